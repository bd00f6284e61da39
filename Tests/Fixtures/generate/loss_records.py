"""What losses.py and further_losses.py share: a loss, its value, and the gradient of sum(value) to the predictions."""

from fixture import tensor

import keras
import numpy as np
import tensorflow as tf


def record(fixture, reductions, name, y_true, y_pred, weight=None, activation=None, arguments={}, **more):
    """With an activation, y_pred are the logits: the loss is fed by the activation's output, as at the end of a model."""
    for reduction in reductions:
        loss = getattr(keras.losses, name)(reduction=reduction, name="loss", **arguments)
        x = tf.constant(np.asarray(y_pred, "float32"))
        with tf.GradientTape() as tape:
            tape.watch(x)
            fed = getattr(keras.activations, activation)(x) if activation else x
            value = loss(y_true, fed, sample_weight=weight)
            total = tf.reduce_sum(value)
        # Some leave arguments out of their configuration.
        case = {"loss": name, "config": {**loss.get_config(), **arguments}, "y_true": tensor(y_true), "y_pred": tensor(x),
                "value": tensor(value), "gradient": tensor(tape.gradient(total, x))}
        if weight is not None:
            case["sample_weight"] = tensor(weight)
        if activation:
            case["activation"] = activation
        fixture.add(**case, **{key: value for key, value in more.items() if value})
