"""50 steps of the optimizers that optimizers.py leaves out, from gradients by its formula, on three small variables.

The formula is in the fixture, too: each value is a small multiple of 1/16, exact in float32, so both sides see the same bits.
"""

from fixture import Fixture, tensor

import keras
import numpy as np

fixture = Fixture("further_optimizers")
SHAPES = {"kernel": (3, 4), "bias": (4,), "embeddings": (4, 2)}
STEPS, RECORDED = 50, (1, 2, 10, 50)
rng = np.random.default_rng(22)
START = {name: rng.standard_normal(shape).astype("float32") for name, shape in SHAPES.items()}


def gradient(variable, step):
    shape = list(SHAPES.values())[variable]
    i = np.arange(np.prod(shape))
    k = (step * 131 + variable * 71 + i * 29) % 97
    return ((k - 48) / 16 * (10 if step % 10 == 9 else 1)).astype("float32").reshape(shape)


S = keras.optimizers.schedules
COMMON = [
    {"weight_decay": 0.01}, {"clipnorm": 2.0}, {"clipvalue": 0.5}, {"global_clipnorm": 3.0},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7}, {"gradient_accumulation_steps": 4},
    {"weight_decay": 0.02, "clipnorm": 1.0, "gradient_accumulation_steps": 3}, {"loss_scale_factor": 8.0},
    {"learning_rate": S.ExponentialDecay(0.05, decay_steps=10, decay_rate=0.5)},
]
OWN = {
    "Adamax": [{}, {"learning_rate": 0.1}, {"beta_1": 0.5, "beta_2": 0.9}, {"epsilon": 1e-2}],
    "Nadam": [{}, {"learning_rate": 0.1}, {"beta_1": 0.5, "beta_2": 0.9}, {"epsilon": 1e-3}],
    "Adadelta": [{}, {"learning_rate": 1.0}, {"rho": 0.5, "learning_rate": 0.5}, {"epsilon": 1e-3}],
    "Ftrl": [{}, {"learning_rate": 0.1}, {"learning_rate_power": -0.8, "learning_rate": 0.05}, {"beta": 0.5},
             {"initial_accumulator_value": 1.0, "l1_regularization_strength": 2.0, "learning_rate": 0.1},
             {"l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.05, "learning_rate": 0.1}],
    "Lion": [{}, {"learning_rate": 0.01}, {"beta_1": 0.7, "beta_2": 0.8}],
    "Lamb": [{}, {"learning_rate": 0.05}, {"beta_1": 0.5, "beta_2": 0.9}, {"epsilon": 1e-2}],
    "Muon": [{}, {"learning_rate": 0.02}, {"nesterov": False, "momentum": 0.8}, {"ns_steps": 2}, {"rms_rate": None},
             {"adam_lr_ratio": 3.0, "adam_beta_1": 0.8, "adam_beta_2": 0.9, "epsilon": 1e-4},
             {"exclude_embeddings": False}, {"exclude_layers": ["ker.el"], "adam_weight_decay": 0.1},
             {"weight_decay": None}, {"adam_weight_decay": None}, {"muon_a": 1.875, "muon_b": -1.25, "muon_c": 0.375}],
    "ScheduleFreeAdamW": [{}, {"learning_rate": 0.05}, {"beta_1": 0.6, "beta_2": 0.9}, {"warmup_steps": 20}, {"epsilon": 1e-2}],
    "Adafactor": [{}, {"learning_rate": 0.1}, {"relative_step": False, "learning_rate": 0.3}, {"beta_2_decay": -0.5},
                  {"epsilon_1": 1e-3, "epsilon_2": 0.5}, {"clip_threshold": 0.5, "learning_rate": 0.05}],
}


def record(name, arguments, exclude=None):
    optimizer = getattr(keras.optimizers, name)(**arguments)
    variables = [keras.Variable(value, name=key, dtype="float32") for key, value in START.items()]
    if exclude:
        optimizer.exclude_from_weight_decay(var_names=exclude)
    optimizer.build(variables)
    after = {}
    for step in range(STEPS):
        optimizer.apply([gradient(v, step) for v in range(len(SHAPES))])
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
    gradient="k = (step * 131 + variable * 71 + i * 29) mod 97; (k - 48) / 16 * (10 if step mod 10 = 9 else 1)")
for name, own in OWN.items():
    # Ftrl's `linear` is a small difference of numbers of the size of 1 / learning rate.
    common = [{"learning_rate": 0.1, **c} for c in COMMON] if name == "Ftrl" else COMMON
    for arguments in own + common:
        keras.backend.clear_session()  # else names count up: nadam_1, nadam_2, …
        record(name, arguments)
    record(name, {"weight_decay": 0.05, "learning_rate": 0.05}, exclude=["bias"])
fixture.write()
