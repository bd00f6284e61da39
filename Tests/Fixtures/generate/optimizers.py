"""50 steps of each optimizer, with each of Keras' common arguments, on two small variables from given gradients.

The gradients are those of optimizer_records.py.
"""

from fixture import tensor
from optimizer_records import Records

import keras

records = Records("optimizers", 2, {"kernel": (3, 4), "bias": (4,)}, (1, 2, 3, 10, 50))
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


records.facts(first_gradients=[[tensor(g) for g in records.gradients(step)] for step in range(2)])
for name, own in OWN.items():
    for arguments in own + ([] if name == "SGD" else COMMON):
        records.add(name, arguments)
    records.add(name, {"weight_decay": 0.05, "learning_rate": 0.1}, exclude=["bias"])
records.fixture.write()
