"""Keras' 32 activations: values, and the gradient of sum(output * cotangent), in float32."""

from fixture import Fixture, tensor

import keras
import numpy as np
import tensorflow as tf

fixture = Fixture("activations")
rng = np.random.default_rng(1)

# A grid, the places where some activation bends or jumps, both zeros, and values that overflow a naive exp.
POINTS = np.array(
    [-1e4, -100, -88.5, -30, -20, -10, -6, -5, -4, -3, -2.5, -2, -1.5, -1, -0.75, -0.5, -0.25, -0.1, -1e-3, -1e-7,
     -0.0, 0.0, 1e-7, 1e-3, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 10, 20, 30, 88.5, 100, 1e4, 0.3],
    dtype="float32")
MATRIX = (rng.standard_normal((4, 6)) * 2).astype("float32")
CUBE = (rng.standard_normal((2, 4, 6)) * 2).astype("float32")
# Rows that are hard for the activations that normalise: ties, one huge value, all equal, all very negative.
HARD_ROWS = np.array(
    [[0, 0, 0, 0], [1e4, 0, 0, -1e4], [1, 1, 0.5, 0], [-1e4, -1e4, -1e4, -1e4], [0.1, 0.2, 0.3, 5], [2, 2, 2, 1.9]],
    dtype="float32")

ARGUMENTS = {
    "relu": [{}, {"negative_slope": 0.1}, {"max_value": 4.0}, {"threshold": 1.0}, {"max_value": 6.0},
             {"negative_slope": 0.2, "max_value": 3.0, "threshold": 0.5}, {"negative_slope": 0.3, "threshold": -1.0}],
    "leaky_relu": [{}, {"negative_slope": 0.01}, {"negative_slope": 0.3}],
    "elu": [{}, {"alpha": 0.5}, {"alpha": 2.0}],
    "celu": [{}, {"alpha": 0.5}, {"alpha": 2.0}],
    "gelu": [{}, {"approximate": True}],
    "squareplus": [{}, {"b": 1}, {"b": 0.5}],
    "soft_shrink": [{}, {"threshold": 1.5}, {"threshold": 0.0}],
    "hard_shrink": [{}, {"threshold": 1.5}, {"threshold": 0.0}],
    "threshold": [{"threshold": 0.5, "default_value": -7.0}, {"threshold": -1.0, "default_value": 2.0}],
}
ALONG_AXIS = ("softmax", "log_softmax", "sparsemax", "glu")
NAMES = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
    "sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold").split()
assert len(NAMES) == 32


def record(name, arguments, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = getattr(keras.activations, name)(x, **arguments)
        cotangent = tf.constant(rng.uniform(0.5, 1.5, y.shape).astype("float32"))
        total = tf.reduce_sum(y * cotangent)
    fixture.add(activation=name, arguments=arguments, input=tensor(x), output=tensor(y), cotangent=tensor(cotangent),
                gradient=tensor(tape.gradient(total, x)))


for name in NAMES:
    if name in ALONG_AXIS:
        for x, axes in ((MATRIX, (None, 0, -2)), (CUBE, (None, 0, 1, 2)), (HARD_ROWS, (None,))):
            for axis in axes:
                record(name, {} if axis is None else {"axis": axis}, x)
        continue
    for arguments in ARGUMENTS.get(name, [{}]):
        record(name, arguments, POINTS)
        record(name, arguments, CUBE)

fixture.write()
