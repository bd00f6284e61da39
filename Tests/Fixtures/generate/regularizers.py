"""The four regularizers: penalty and its gradient."""

from fixture import Fixture, tensor

import keras
import numpy as np
import tensorflow as tf

fixture = Fixture("regularizers")
rng = np.random.default_rng(6)
MATRIX = rng.standard_normal((4, 3)).astype("float32")
MATRIX[0, 0] = 0
KERNEL = rng.standard_normal((3, 3, 2, 4)).astype("float32")


def record(name, x, **arguments):
    regularizer = getattr(keras.regularizers, name)(**arguments)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = regularizer(x)
    config = {key: float(v) if hasattr(v, "numpy") else v for key, v in regularizer.get_config().items()}
    gradient = tape.gradient(value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)  # L1L2(): a penalty of nothing
    fixture.add(regularizer=name, config=config, input=tensor(x), value=tensor(value), gradient=tensor(gradient))


for x in (MATRIX, KERNEL, MATRIX[1]):
    for name, variants in {
            "L1": [{}, {"l1": 0.3}], "L2": [{}, {"l2": 0.3}],
            "L1L2": [{}, {"l1": 0.1}, {"l2": 0.1}, {"l1": 0.2, "l2": 0.05}]}.items():
        for arguments in variants:
            record(name, x, **arguments)
for x in (MATRIX, np.eye(3, 5, dtype="float32") * 2, np.zeros((2, 3), "float32")):
    for arguments in ({}, {"factor": 0.5}, {"mode": "columns"}, {"factor": 2.0, "mode": "columns"}):
        record("OrthogonalRegularizer", x, **arguments)
fixture.write()
