"""Attention layers: outputs, gradients, masks, scores."""

from fixture import Fixture

import keras
import numpy as np

from layer_records import LayerCases

fixture = Fixture("layers_attention")
cases = LayerCases(fixture, 33)
floats, record, L = cases.floats, cases.record, keras.layers
CAUSAL, SCORES = "use_causal_mask", "return_attention_scores"

QUERY = np.array([[1, 1, 0], [1, 0, 0]], bool)
VALUE = np.array([[1, 1, 0, 1], [0, 1, 0, 0]], bool)
NOTHING = np.array([[1, 1, 0, 1], [0, 0, 0, 0]], bool)


def sequences():
    return floats(2, 3, 4), floats(2, 4, 4)


for layer in (L.Attention, L.AdditiveAttention):
    record(layer(), *sequences())
    record(layer(), *sequences(), floats(2, 4, 4), options=[CAUSAL])
    record(layer(use_scale=layer is L.Attention), *sequences(), options=[SCORES])
    record(layer(), *sequences(), masks=[QUERY, VALUE])
    record(layer(), *sequences(), masks=[QUERY, None])
    record(layer(dropout=0.5), *sequences(), masks=[None, VALUE], options=[CAUSAL, SCORES])
    record(layer(), *sequences(), masks=[None, NOTHING], note="a sample whose values all don't count")
record(L.Attention(use_scale=True), *sequences())
record(L.Attention(score_mode="concat"), *sequences())
record(L.Attention(score_mode="concat", use_scale=True), *sequences(), masks=[QUERY, VALUE], options=[CAUSAL])
record(L.Attention(), floats(2, 2, 5), floats(2, 3, 6), floats(2, 3, 5))

NAMES = ["query", "value", "key", "attention_mask"]
M, G = L.MultiHeadAttention, L.GroupQueryAttention


def attention(layer, *inputs, names=NAMES, **arguments):
    record(layer, *inputs, argument_names=names, **arguments)


def grids():
    return floats(2, 2, 3, 4), floats(2, 2, 3, 4)


SEEN = np.random.default_rng(5).random((2, 3, 4)) < 0.6
SEEN[1, 1] = False  # a query that sees nothing
attention(M(2, 3), *sequences())
attention(M(3, 2, use_bias=False), *sequences(), options=[CAUSAL])
attention(M(2, 3, value_dim=5, output_shape=3), *sequences(), floats(2, 4, 2))
attention(M(2, 3, output_shape=(2, 3)), *sequences(), options=[SCORES])
attention(M(2, 3), *sequences(), masks=[QUERY, VALUE])
attention(M(2, 3), *sequences(), masks=[QUERY, VALUE], options=[CAUSAL, SCORES])
attention(M(2, 3), *sequences(), floats(2, 4, 4), masks=[None, VALUE, NOTHING])
attention(M(2, 3), *sequences(), floats(2, 4, 4), SEEN)
attention(M(2, 3), *sequences(), floats(2, 4, 4), SEEN[:, None], options=[CAUSAL])
attention(M(2, 3, dropout=0.3), *sequences(), floats(2, 4, 4), SEEN, note="as dropout would be applied: 0 where nothing is seen")
attention(M(2, 3, sliding_window=2), *sequences())
attention(M(2, 3, sliding_window=2), *sequences(), options=[CAUSAL])
attention(M(2, 3, use_gate=True), *sequences())
attention(M(2, 3, attention_axes=2), *grids())
attention(M(2, 3, attention_axes=1), *grids(), options=[CAUSAL, SCORES])
attention(M(2, 3), *grids())
attention(M(2, 3, attention_axes=(1, 2)), floats(2, 2, 3, 4), floats(2, 1, 2, 4), options=[SCORES])
attention(M(2, 3, attention_axes=-2), *grids())

attention(G(3, 4, 2), *sequences())
attention(G(3, 4, 2, use_bias=False), *sequences(), options=[CAUSAL])
attention(G(2, 3, 1, use_gate=True), *sequences(), options=[SCORES])
attention(G(2, 2, 2), *sequences(), masks=[QUERY, VALUE])
attention(G(3, 4, 2), *sequences(), floats(2, 4, 4), SEEN)
attention(G(3, 4, 2, dropout=0.3), *sequences(), floats(2, 4, 4), SEEN)
attention(G(3, 4, 1, sliding_window=1), *sequences(), options=[CAUSAL])

random = np.random.default_rng(6)
GRID = random.random((2, 2, 2, 2, 2)) < 0.6
ROWS = random.random((2, 2, 3, 3)) < 0.6
GRID[..., 0, 0] = ROWS[..., 0] = True
attention(M(2, 3, attention_axes=(1, 2)), floats(2, 2, 2, 4), floats(2, 2, 2, 4), floats(2, 2, 2, 4), GRID)
attention(M(2, 3, attention_axes=2), *grids(), floats(2, 2, 3, 4), ROWS)
attention(M(2, 3, attention_axes=1, sliding_window=1), *grids())
attention(M(2, 3, attention_axes=1), *grids(), masks=[QUERY[:, :2], VALUE[:, 2:]])
attention(M(2, 3, attention_axes=2), *grids(), masks=[ROWS[..., 1], ROWS[..., 2]])
attention(M(2, 3, attention_axes=2, sliding_window=2), floats(2, 3, 3, 4), floats(2, 3, 3, 4))
attention(M(2, 3, attention_axes=2), floats(2, 3, 3, 4), floats(2, 3, 3, 4), options=[CAUSAL])
fixture.write()
