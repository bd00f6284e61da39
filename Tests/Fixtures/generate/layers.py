"""Layers in several configurations: output, and the gradients of sum(output * cotangent) to input and weights, in float32."""

from fixture import Fixture
from layer_cases import LayerCases

import keras
import numpy as np

fixture = Fixture("layers")
L = keras.layers


cases = LayerCases(fixture, seed=8)
floats, record, rng = cases.floats, cases.record, cases.rng

# Dense: ranks 2, 3, 4; with and without bias; activations; wide enough for a fast path, and odd sizes.
record(L.Dense(4), floats(3, 5))
record(L.Dense(4, use_bias=False), floats(3, 5))
record(L.Dense(7, activation="relu"), floats(5, 9))
record(L.Dense(3, activation="softmax"), floats(2, 4, 5))
record(L.Dense(6, activation="gelu", use_bias=False), floats(2, 2, 3, 5))
record(L.Dense(1, activation="sigmoid"), floats(1, 1))
record(L.Dense(33, activation="tanh"), floats(17, 65, scale=0.3))
record(L.Dense(64, activation="relu"), floats(64, 48, scale=0.3))
for name in ("elu", "leaky_relu", "selu", "softplus", "swish", "hard_sigmoid", "mish", "log_softmax", "exponential"):
    record(L.Dense(4, activation=name), floats(3, 5))
record(L.Dense(4, kernel_regularizer=keras.regularizers.L2(0.1), kernel_constraint=keras.constraints.MaxNorm(1.0),
               bias_initializer="ones", kernel_initializer=keras.initializers.HeNormal(seed=3)), floats(3, 5),
       note="regularizer and constraint are in the config; the output knows nothing of them")

for name in ("relu", "tanh", "softmax", "linear", "silu", "relu6"):
    record(L.Activation(name), floats(3, 6, scale=2))
record(L.Activation("softmax"), floats(2, 3, 4))
record(L.Activation("elu"), floats(2, 3, 4, 2))

SHAPES = [(4, 6), (2, 3, 5), (2, 3, 4, 3)]
for arguments in ({}, {"max_value": 1.5}, {"negative_slope": 0.2}, {"threshold": 0.5},
                  {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.3}):
    for shape in SHAPES:
        record(L.ReLU(**arguments), floats(*shape, scale=2))
for layer in (lambda: L.LeakyReLU(), lambda: L.LeakyReLU(negative_slope=0.05), lambda: L.ELU(), lambda: L.ELU(alpha=0.4)):
    for shape in SHAPES:
        record(layer(), floats(*shape, scale=2))
for shape, axes in (((4, 6), (None,)), ((2, 3, 5), (None, [1], [2], [1, 2])), ((2, 3, 4, 3), (None, [1, 2], [3], [1, 2, 3]))):
    for shared in axes:
        record(L.PReLU(shared_axes=shared), floats(*shape, scale=2))

record(L.Softmax(), floats(3, 5))
record(L.Softmax(axis=1), floats(2, 4, 3))
record(L.Softmax(axis=[1, 2]), floats(2, 3, 4))
record(L.Softmax(axis=-2), floats(2, 3, 4, 2))
record(L.Softmax(), floats(3, 5), mask=np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool))
record(L.Softmax(), floats(2, 2, 4), mask=np.array([[[1, 1, 1, 0]], [[0, 1, 1, 0]]], bool), note="a mask that broadcasts")
record(L.Softmax(axis=1), floats(2, 3, 2), mask=rng.random((2, 3, 2)) < 0.7)
record(L.Softmax(axis=[1, 2]), floats(2, 2, 3), mask=np.array([[[1, 0, 1], [1, 1, 1]], [[1, 1, 0], [0, 0, 1]]], bool))
record(L.Softmax(), floats(2, 3), mask=np.array([[0, 0, 0], [1, 1, 1]], bool), note="a row that is all masked")

for shape in ((5,), (4, 6), (2, 3, 5), (2, 3, 4, 3)):
    record(L.Flatten(), floats(*shape))
record(L.Flatten(data_format="channels_first"), floats(2, 3, 4, 5))
record(L.Reshape((3, 4)), floats(2, 12))
record(L.Reshape((-1,)), floats(2, 3, 4))
record(L.Reshape((2, -1, 3)), floats(2, 4, 6))
record(L.Reshape((-1, 2)), floats(3, 2, 2, 2))
record(L.Reshape((24,)), floats(1, 2, 3, 4))
record(L.Rescaling(1 / 255), rng.integers(0, 256, (2, 3, 4)).astype("float32"))
record(L.Rescaling(2.0, offset=-1.0), floats(3, 5))
record(L.Rescaling([0.5, 1.0, 2.0], offset=[1.0, 0.0, -1.0]), floats(2, 2, 2, 3))
record(L.Rescaling([0.1, 10.0]), floats(3, 2))

# Dropout: exact at inference; in training only what must hold is recorded.
for arguments, shape in (({"rate": 0.5}, (4, 6)), ({"rate": 0.2}, (2, 3, 5)), ({"rate": 0.9, "noise_shape": [2, 1, 1, 3]}, (2, 3, 4, 3))):
    record(L.Dropout(**arguments), floats(*shape))
record(L.Dropout(0.0), floats(3, 4), training=True, note="rate 0 changes nothing in training")
for rate, noise_shape in ((0.25, None), (0.5, None), (0.9, None), (0.5, [None, 1, 8]), (0.3, [200, 64, 1])):
    layer = L.Dropout(rate, noise_shape=noise_shape, seed=1)
    x = np.ones((200, 64, 8), "float32")
    y = np.asarray(layer(x, training=True))
    drawn = [200, 64, 8] if noise_shape is None else [n or d for n, d in zip(noise_shape, x.shape)]
    count = int(np.prod(drawn))
    kept = float((y != 0).mean())
    assert abs(kept - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / count)
    assert np.allclose(y[y != 0], 1 / (1 - rate))
    axes_equal = [bool((y == y[(slice(None),) * a + (slice(0, 1),)]).all()) for a in range(3)]
    assert axes_equal == [n == 1 for n in drawn]
    fixture.add(layer=keras.saving.serialize_keras_object(layer), training=True, input_shape=list(x.shape),
                note="of an input of ones, each element is 0 or kept_value; draws are shared along axes where drawn is 1",
                kept_value=1 / (1 - rate), keep_probability=1 - rate, drawn=drawn, found_kept=kept)
fixture.write()
