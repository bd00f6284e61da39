"""What optimizers.py and further_optimizers.py share: steps from given gradients, and what is kept of them.

The gradient of the variable number v (0, 1, …), element i, at step s (0, 1, …) is a formula, so that it need not be stored:
  k = (s * 131 + v * 71 + i * 29) mod 97,   gradient = (k - 48) / 16 * scale,   scale = 10 for every tenth step, else 1
Each value is a small multiple of 1/16: exact in float32, so both sides see the same bits.
"""

from fixture import Fixture, tensor

import keras
import numpy as np

STEPS = 50


def gradient(shape, variable, step):
    k = (step * 131 + variable * 71 + np.arange(np.prod(shape)) * 29) % 97
    return ((k - 48) / 16 * (10 if step % 10 == 9 else 1)).astype("float32").reshape(shape)


class Records:
    """A fixture of optimizers: each case has the variables after the steps numbered in `recorded`, and the state at the end."""

    def __init__(self, name, seed, shapes, recorded):
        self.fixture, self.shapes, self.recorded = Fixture(name), shapes, recorded
        rng = np.random.default_rng(seed)
        self.start = {key: rng.standard_normal(shape).astype("float32") for key, shape in shapes.items()}

    def gradients(self, step):
        return [gradient(list(shape), variable, step) for variable, shape in enumerate(self.shapes.values())]

    def facts(self, **more):
        self.fixture.fact(
            start=[{"name": key, "value": tensor(value)} for key, value in self.start.items()],
            gradient="k = (step * 131 + variable * 71 + i * 29) mod 97; (k - 48) / 16 * (10 if step mod 10 = 9 else 1)",
            **more)

    def add(self, name, arguments, exclude=None):
        keras.backend.clear_session()  # else names count up: adam_1, adam_2, …
        optimizer = getattr(keras.optimizers, name)(**arguments)
        variables = [keras.Variable(value, name=key, dtype="float32") for key, value in self.start.items()]
        if exclude:
            optimizer.exclude_from_weight_decay(var_names=exclude)
        optimizer.build(variables)
        after = {}
        for step in range(STEPS):
            optimizer.apply(self.gradients(step))
            if step + 1 in self.recorded:
                after[str(step + 1)] = [tensor(v) for v in variables]
        slots = [{"path": v.path, "value": tensor(v)} for v in optimizer.variables]
        case = {"optimizer": name, "config": optimizer.get_config(), "after": after, "state": slots}
        if exclude:
            case["exclude_from_weight_decay"] = exclude
        if optimizer.use_ema:  # what fit does after its last batch
            optimizer.finalize_variable_values(variables)
            case["finalized"] = [tensor(v) for v in variables]
        self.fixture.add(**case)
