"""50 steps of each optimizer, with each of Keras' common arguments, on two small variables from given gradients.

The gradient of the variable number v (0 or 1), element i, at step s (0, 1, …) is a formula, so that it need not be stored:
  k = (s * 131 + v * 71 + i * 29) mod 97,   gradient = (k - 48) / 16 * scale,   scale = 10 for every tenth step, else 1
Each value is a small multiple of 1/16: exact in float32, so both sides see the same bits.
"""

from fixture import Fixture, tensor

import keras
import numpy as np

fixture = Fixture("optimizers")
SHAPES = {"kernel": (3, 4), "bias": (4,)}
STEPS, RECORDED = 50, (1, 2, 3, 10, 50)
rng = np.random.default_rng(2)
START = {name: rng.standard_normal(shape).astype("float32") for name, shape in SHAPES.items()}


def gradient(variable, step):
    shape = list(SHAPES.values())[variable]
    i = np.arange(np.prod(shape))
    k = (step * 131 + variable * 71 + i * 29) % 97
    return ((k - 48) / 16 * (10 if step % 10 == 9 else 1)).astype("float32").reshape(shape)


S = keras.optimizers.schedules
COMMON = [
    {"weight_decay": 0.01}, {"clipnorm": 2.0}, {"clipvalue": 0.5}, {"global_clipnorm": 3.0},
    {"use_ema": True, "ema_momentum": 0.9}, {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    {"gradient_accumulation_steps": 4}, {"weight_decay": 0.02, "clipnorm": 1.0, "gradient_accumulation_steps": 3},
    {"use_ema": True, "ema_overwrite_frequency": 4, "gradient_accumulation_steps": 2},
    {"loss_scale_factor": 8.0},
    {"learning_rate": S.ExponentialDecay(0.05, decay_steps=10, decay_rate=0.5)},
    {"learning_rate": S.PiecewiseConstantDecay([5, 20], [0.1, 0.02, 0.005]), "weight_decay": 0.1},
    {"learning_rate": S.CosineDecay(0.0, decay_steps=30, alpha=0.1, warmup_target=0.05, warmup_steps=10)},
    {"learning_rate": S.PolynomialDecay(0.1, decay_steps=20, end_learning_rate=0.01, power=2.0, cycle=True)},
]
OWN = {
    "SGD": [{}, {"learning_rate": 0.1}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
            {"learning_rate": 0.05, "momentum": 0.5, "nesterov": True, "weight_decay": 0.01}, {"nesterov": True},
            *({"momentum": 0.9, **c} for c in COMMON)],
    "Adam": [{}, {"learning_rate": 0.1}, {"beta_1": 0.5, "beta_2": 0.9}, {"epsilon": 1e-3}, {"amsgrad": True},
             {"amsgrad": True, "beta_2": 0.5, "weight_decay": 0.1}],
    "AdamW": [{}, {"weight_decay": 0.1, "learning_rate": 0.01}, {"amsgrad": True, "beta_1": 0.8}],
    "RMSprop": [{}, {"rho": 0.5}, {"momentum": 0.9}, {"centered": True}, {"centered": True, "momentum": 0.8, "rho": 0.95},
                {"epsilon": 1e-2, "learning_rate": 0.1}],
    "Adagrad": [{}, {"learning_rate": 0.1}, {"initial_accumulator_value": 0.0, "learning_rate": 0.1}, {"epsilon": 0.1}],
}


def record(name, arguments, exclude=None):
    optimizer = getattr(keras.optimizers, name)(**arguments)
    variables = [keras.Variable(value, name=key, dtype="float32") for key, value in START.items()]
    if exclude:
        optimizer.exclude_from_weight_decay(var_names=exclude)
    optimizer.build(variables)
    after = {}
    for step in range(STEPS):
        optimizer.apply([gradient(0, step), gradient(1, step)])
        if step + 1 in RECORDED:
            after[str(step + 1)] = [tensor(v) for v in variables]
    slots = [{"path": v.path, "value": tensor(v)} for v in optimizer.variables]
    case = {"optimizer": name, "config": optimizer.get_config(), "after": after, "state": slots}
    if exclude:
        case["exclude_from_weight_decay"] = exclude
    if optimizer.use_ema:  # what fit does after its last batch
        optimizer.finalize_variable_values(variables)
        case["finalized"] = [tensor(v) for v in variables]
    fixture.add(**case)


fixture.fact(
    start=[{"name": key, "value": tensor(value)} for key, value in START.items()],
    gradient="k = (step * 131 + variable * 71 + i * 29) mod 97; (k - 48) / 16 * (10 if step mod 10 = 9 else 1)",
    first_gradients=[[tensor(gradient(v, step)) for v in (0, 1)] for step in range(2)])
for name, own in OWN.items():
    for arguments in own + ([] if name == "SGD" else COMMON):
        keras.backend.clear_session()  # else names count up: adam_1, adam_2, …
        record(name, arguments)
    record(name, {"weight_decay": 0.05, "learning_rate": 0.1}, exclude=["bias"])
fixture.write()
