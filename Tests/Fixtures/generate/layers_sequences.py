"""Embedding, Masking, TimeDistributed, and layers of noise at inference and with a rate of 0."""

from fixture import Fixture

import keras
import numpy as np

from layer_records import LayerCases

fixture = Fixture("layers_sequences")
cases = LayerCases(fixture, 23)
floats, record, L = cases.floats, cases.record, keras.layers

STEPS = np.array([[1, 1, 0], [1, 0, 0]], bool)
numbers = np.array([[1, 3, 0], [3, 3, 2]], "int32")
record(L.Embedding(5, 4), numbers)
record(L.Embedding(5, 4, mask_zero=True), numbers)
record(L.Embedding(7, 1, embeddings_initializer="zeros"), np.array([6, 0, 6, 1], "int32"))
record(L.Embedding(5, 3), numbers.astype("float32"), note="numbers as floats")
record(L.Embedding(50, 6, embeddings_regularizer="l2"), cases.rng.integers(0, 50, (3, 4, 5)).astype("int32"))

padded = floats(3, 4, 2)
padded[0, 2:] = 0
padded[1, 0, 0] = 0
padded[2] = 0
record(L.Masking(), padded)
marked = floats(2, 3, 2)
marked[1, 1] = -1
record(L.Masking(mask_value=-1.0), marked)
record(L.Masking(), floats(2, 3))

T = L.TimeDistributed
record(T(L.Dense(4)), floats(2, 3, 5))
record(T(L.Dense(4, activation="relu")), floats(2, 3, 5), masks=[STEPS])
record(T(L.Flatten()), floats(2, 3, 2, 2))
record(T(L.LayerNormalization()), floats(2, 3, 4))

record(L.SpatialDropout1D(0.4), floats(2, 3, 4))
record(L.SpatialDropout1D(0.4), floats(2, 3, 4), masks=[STEPS])
record(L.SpatialDropout1D(0.0), floats(2, 3, 4), training=True)
record(L.SpatialDropout2D(0.4), floats(2, 3, 2, 4))
record(L.SpatialDropout2D(0.2, data_format="channels_first"), floats(2, 3, 2, 4))
record(L.SpatialDropout2D(0.0), floats(2, 3, 2, 4), training=True)
record(L.SpatialDropout3D(0.4), floats(2, 2, 2, 2, 3))
record(L.SpatialDropout3D(0.4, data_format="channels_first"), floats(2, 2, 2, 2, 3))
record(L.SpatialDropout3D(0.0), floats(2, 2, 2, 2, 3), training=True)
for layer in (L.GaussianDropout, L.GaussianNoise, L.AlphaDropout):
    record(layer(0.3), floats(3, 4))
    record(layer(0.3, seed=3), floats(2, 3, 4), masks=[STEPS])
    record(layer(0.0), floats(3, 4), training=True)
record(L.AlphaDropout(0.3, noise_shape=[3, 1]), floats(3, 4))
record(L.ActivityRegularization(l1=0.1), floats(3, 4))
record(L.ActivityRegularization(l2=0.1), floats(2, 3, 4), masks=[STEPS])
record(L.ActivityRegularization(l1=0.1, l2=0.2), floats(3, 4), training=True)
fixture.write()
