"""One case of a layer: what it was made from, its weights, output, and the gradients of sum(output * cotangent)."""

from fixture import tensor

import keras
import numpy as np
import tensorflow as tf


class LayerCases:
    """Records layers into a fixture; numbers come from one seed."""

    def __init__(self, fixture, seed):
        self.fixture, self.rng = fixture, np.random.default_rng(seed)

    def floats(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype("float32")

    def record(self, layer, x, mask=None, training=False, note=None):
        """Weights are drawn here, whatever the layer's initializers say, and stored with the case."""
        keras.backend.clear_session()
        x = tf.constant(x)
        arguments = {} if mask is None else {"mask": tf.constant(mask)}
        layer(x, **arguments)  # builds
        for variable in layer.weights:
            variable.assign(self.floats(*variable.shape, scale=0.7))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training, **arguments)
            cotangent = tf.constant(self.floats(*y.shape))
            total = tf.reduce_sum(y * cotangent)
        gradients = tape.gradient(total, [x, *(w.value for w in layer.trainable_weights)])
        case = {"layer": keras.saving.serialize_keras_object(layer), "input": tensor(x), "training": training,
                "weights": [{"name": w.name, "value": tensor(w)} for w in layer.weights], "output": tensor(y),
                "cotangent": tensor(cotangent), "input_gradient": tensor(gradients[0]),
                "weight_gradients": [tensor(g) for g in gradients[1:]]}
        if mask is not None:
            case["mask"] = tensor(mask)
        if note:
            case["note"] = note
        self.fixture.add(**case)
