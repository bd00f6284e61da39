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

    def record(self, layer, *inputs, masks=None, training=False, weights=None, note=None, options=(), argument_names=None,
               call=None, calls_before=0, cell_masks=None, given_mask=None):
        """Weights are drawn here, whatever the layer's initializers say, and stored with the case; `weights` maps the names of
        those that can't be any number to functions of their shapes. `options` are arguments of the call that are true; `argument_names`
        are those of the inputs where they aren't one list.

        `call(layer, inputs, **arguments)` calls a layer that takes its inputs in yet another way. A layer that carries a
        state from call to call is called `calls_before` times first. `cell_masks` are what a recurrent layer's cell
        multiplies inputs and states with in place of dropout that it draws itself. `given_mask` is an argument of the call.
        """
        keras.backend.clear_session()
        xs = [tf.constant(x) for x in inputs]
        masks = [None] * len(xs) if masks is None else masks

        def prepare():
            if cell_masks:
                kept = [[tf.constant(m) for m in part] for part in cell_masks]
                one = [part[0] if len(part) == 1 else part or None for part in kept]
                layer.cell._dropout_mask, layer.cell._recurrent_dropout_mask = one

        def run(**arguments):
            fed = []
            for x, mask in zip(xs, masks):
                x = tf.identity(x)
                if mask is not None:
                    keras.src.backend.set_keras_mask(x, tf.constant(mask))
                fed.append(x)
            arguments.update({option: True for option in options})
            prepare()
            if given_mask is not None:
                arguments["mask"] = tf.constant(given_mask)
            if call:
                result = call(layer, fed, **arguments)
            elif argument_names:
                result = layer(**dict(zip(argument_names, fed)), **arguments)
            else:
                result = layer(fed if len(fed) > 1 else fed[0], **arguments)
            return list(result) if isinstance(result, (list, tuple)) else [result]

        run()  # builds
        for variable in layer.weights:
            draw = (weights or {}).get(variable.name)
            variable.assign(draw(variable.shape) if draw else self.floats(*variable.shape, scale=0.7))
        before = [tensor(w) for w in layer.weights]
        if calls_before:
            layer.reset_state()
        for _ in range(calls_before):
            run(training=training)
        names = [w.name for w in layer.weights]
        with tf.GradientTape() as tape:
            tape.watch([x for x in xs if x.dtype.is_floating])
            y, *more = run(training=training)
            scores = more.pop() if options and more else None
            cotangent = tf.constant(self.floats(*y.shape))
            total = tf.reduce_sum(y * cotangent)
            further = [tf.constant(self.floats(*m.shape)) for m in more]
            total += sum(tf.reduce_sum(m * c) for m, c in zip(more, further))
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
        if more:
            case["further_outputs"] = [tensor(m) for m in more]
            case["further_cotangents"] = [tensor(c) for c in further]
        if calls_before:
            case["calls_before"] = calls_before
            case["carried"] = [tensor(s) for s in layer.states]
        if given_mask is not None:
            case["given_mask"] = tensor(given_mask)
        if cell_masks:
            case["cell_masks"] = [[tensor(m) for m in part] for part in cell_masks]
        if note:
            case["note"] = note
        self.fixture.add(**case)
