"""The public classes of Keras, and its activation functions, by module: what Documentation/Supported.md has a row for."""

import inspect

from fixture import Fixture

import keras

fixture = Fixture("surface")


def own_names(module, base):
    """Classes derived from `base`, each under the first of its names; what only other classes are made from is left out."""
    found = {}
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if inspect.isclass(value) and issubclass(value, base) and value is not base:
            best = found.get(value)
            # `Conv2D` rather than `Convolution2D`, but `MaxPooling2D`, as the class itself is called.
            found[value] = value.__name__ if value.__name__ in dir(module) else best or name
    return sorted(set(found.values()))


MODULES = [
    ("layers", keras.layers, keras.layers.Layer),
    ("losses", keras.losses, keras.losses.Loss),
    ("metrics", keras.metrics, keras.metrics.Metric),
    ("optimizers", keras.optimizers, keras.optimizers.Optimizer),
    ("schedules", keras.optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule),
    ("initializers", keras.initializers, keras.initializers.Initializer),
    ("regularizers", keras.regularizers, keras.regularizers.Regularizer),
    ("constraints", keras.constraints, keras.constraints.Constraint),
]
for name, module, base in MODULES:
    fixture.add(module=name, names=own_names(module, base))
functions = [name for name in dir(keras.activations)
             if inspect.isfunction(getattr(keras.activations, name)) and name not in ("get", "serialize", "deserialize")]
fixture.add(module="activations", names=sorted(functions))
fixture.write()
