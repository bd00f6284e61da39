"""`.keras` files of models with attention, as Keras writes them, and what the models in them answer; see functional_files.py."""

from fixture import Fixture
from model_records import ModelFiles

import keras
import numpy as np

L = keras.layers
fixture = Fixture("attention_files")
files = ModelFiles(fixture, np.random.default_rng(9))

# Plain SGD: the gradient of a key's bias is 0 but for rounding, and Adam would make a step of it.
words = keras.Input((6,), dtype="int32", name="words")
h = L.Embedding(48, 4, mask_zero=True)(words)
attention = L.MultiHeadAttention(2, 3, value_dim=4)
h = L.Add()([h, attention(h, h, use_causal_mask=True)])
h = L.LayerNormalization()(h)
h, scores = L.MultiHeadAttention(2, 2, use_gate=True)(query=h, value=h, key=h, return_attention_scores=True)
h = L.GroupQueryAttention(3, 4, 2, sliding_window=3)(h, h, use_causal_mask=True)
h = L.Attention(use_scale=True)([h, h], use_causal_mask=True)
h = L.AdditiveAttention()([h, h])
y = L.Dense(3, activation="softmax")(L.Concatenate()([L.Flatten()(h), L.Flatten()(scores)]))
numbers = (np.arange(48) * 7 % 48).reshape(8, 6).astype("int32")
files.add("attention", keras.Model(words, y), numbers, optimizer=keras.optimizers.SGD(0.1))

# A mask that is an input of its own, made of the first.
x = keras.Input((4, 5))
seen = L.Dense(4, activation="relu", trainable=False, kernel_initializer="ones")(x)
z = L.MultiHeadAttention(2, 3)(x, x, attention_mask=seen)
z = L.GroupQueryAttention(2, 2, 1)(z, x, attention_mask=seen)
files.add("attention-mask", keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(z))),
          np.random.default_rng(2).standard_normal((8, 4, 5)).astype("float32"), optimizer=keras.optimizers.SGD(0.1))
fixture.write()
