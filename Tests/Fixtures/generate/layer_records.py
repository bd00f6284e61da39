"""What the generators of layers' goldens share: one case is a layer's configuration with its output and gradients.

The gradients are those of sum(output * cotangent) to the inputs and the trainable weights, in float32. State is what the
weights that aren't trained hold after the call.
"""

from fixture import tensor

import keras
import numpy as np
import tensorflow as tf


class LayerCases:
    def __init__(self, fixture, seed):
        self.fixture = fixture
        self.rng = np.random.default_rng(seed)

    def floats(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype("float32")

    def record(self, layer, *inputs, masks=None, training=False, weights=None, note=None, options=(), argument_names=None):
        """Weights are drawn here, whatever the layer's initializers say, and stored with the case; `weights` maps the names of
        those that can't be any number to functions of their shapes. `options` are arguments of the call that are true; `argument_names`
        are those of the inputs where they aren't one list."""
        keras.backend.clear_session()
        xs = [tf.constant(x) for x in inputs]
        masks = [None] * len(xs) if masks is None else masks

        def call(**arguments):
            fed = []
            for x, mask in zip(xs, masks):
                x = tf.identity(x)
                if mask is not None:
                    keras.src.backend.set_keras_mask(x, tf.constant(mask))
                fed.append(x)
            arguments.update({option: True for option in options})
            if argument_names:
                return fed, layer(**dict(zip(argument_names, fed)), **arguments)
            return fed, layer(fed if len(fed) > 1 else fed[0], **arguments)

        call()  # builds
        for variable in layer.weights:
            draw = (weights or {}).get(variable.name)
            variable.assign(draw(variable.shape) if draw else self.floats(*variable.shape, scale=0.7))
        before = [tensor(w) for w in layer.weights]
        names = [w.name for w in layer.weights]
        with tf.GradientTape() as tape:
            tape.watch([x for x in xs if x.dtype.is_floating])
            _, y = call(training=training)
            y, scores = y if isinstance(y, tuple) else (y, None)
            cotangent = tf.constant(self.floats(*y.shape))
            total = tf.reduce_sum(y * cotangent)
        trained = [w.value for w in layer.trainable_weights]
        gradients = tape.gradient(total, [*xs, *trained], unconnected_gradients=tf.UnconnectedGradients.NONE)
        gradients = [tf.convert_to_tensor(g) if g is not None else None for g in gradients]
        count = len(xs)
        mask = keras.src.backend.get_keras_mask(y)
        case = {"layer": keras.saving.serialize_keras_object(layer), "training": training,
                "inputs": [tensor(x) for x in xs],
                "masks": [None if m is None else tensor(np.asarray(m)) for m in masks],
                "weights": [{"name": n, "value": v} for n, v in zip(names, before)], "output": tensor(y),
                "output_mask": None if mask is None else tensor(np.asarray(mask)), "cotangent": tensor(cotangent),
                "input_gradients": [None if g is None else tensor(g) for g in gradients[:count]],
                "weight_gradients": [None if g is None else tensor(g) for g in gradients[count:]],
                "state": [tensor(w) for w in layer.non_trainable_weights]}
        if options:
            case["options"] = list(options)
        if scores is not None:
            case["scores"] = tensor(scores)
        if note:
            case["note"] = note
        self.fixture.add(**case)
