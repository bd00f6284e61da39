"""`.keras` files of models over samples of which some sizes are open, as Keras writes them, and what they answer:
open_files.json, as keras_files.py has it. `other` are samples of another size, and `other_output` the answer.
"""

from fixture import Fixture
from model_records import ModelFiles

import keras
import numpy as np

L = keras.layers
fixture = Fixture("open_files")
rng = np.random.default_rng(11)
files = ModelFiles(fixture, rng)


def add(name, model, size, other):
    inputs, others = (rng.standard_normal((n, *s)).astype("float32") for n, s in ((4, size), (2, other)))
    files.add(name, model, inputs, other=others)


def blocks(count, filters=2):
    return [layer for _ in range(count) for layer in (L.Conv2D(filters, 3, padding="same", activation="tanh"), L.MaxPooling2D())]


def head(pooling=L.GlobalAveragePooling2D):
    return [pooling(), L.Dense(3, activation="softmax")]


# Images of any size: a kernel that no single pixel has, and as many poolings as VGG has.
add("open-images", keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(4, 3, activation="relu"), *head()]), (6, 7, 3), (9, 5, 3))
add("open-deep", keras.Sequential([keras.Input((None, None, 1)), *blocks(5), *head()]), (32, 33, 1), (64, 40, 1))

# A Sequential without an Input, called on what is open.
x = keras.Input((None, None, 3))
inner = keras.Sequential([L.Conv2D(4, 3, activation="relu"), L.BatchNormalization()], name="inner")
y = keras.Sequential(head(), name="head")(inner(x))
add("open-nested", keras.Model(x, y), (6, 7, 3), (9, 5, 3))

# Two branches, of which one pools more often than the smallest sizes allow.
x = keras.Input((None, None, 2))
left, right = L.Conv2D(2, 5, activation="tanh")(x), x
for layer in blocks(5):
    right = layer(right)
y = L.Concatenate()([L.GlobalMaxPooling2D()(left), L.GlobalAveragePooling2D()(right)])
add("open-branches", keras.Model(x, L.Dense(3, activation="softmax")(y)), (32, 40, 2), (70, 33, 2))

# Sound as it comes, with the long first kernel of "Very deep convolutional neural networks for raw waveforms".
sound = [keras.Input((None, 1)), L.Conv1D(2, 80, strides=4, activation="relu"), L.MaxPooling1D(4)]
for _ in range(3):
    sound += [L.Conv1D(2, 3, activation="relu"), L.MaxPooling1D(4)]
add("open-sound", keras.Sequential([*sound, *head(L.GlobalAveragePooling1D)]), (3000, 1), (4001, 1))

# Sequences, and a layer that makes as many again.
steps = keras.Input((None, 4))
h = L.Bidirectional(L.LSTM(3, return_sequences=True))(steps)
h = keras.Sequential([L.Conv1DTranspose(3, 2, strides=2), L.GRU(4)], name="twice")(h)
add("open-steps", keras.Model(steps, L.Dense(3, activation="softmax")(h)), (5, 4), (9, 4))
fixture.write()
