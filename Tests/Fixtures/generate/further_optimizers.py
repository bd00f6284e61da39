"""50 steps of the optimizers that optimizers.py leaves out, on three small variables, from gradients as there."""

from optimizer_records import Records

import keras

SHAPES = {"kernel": (3, 4), "bias": (4,), "embeddings": (4, 2)}
records = Records("further_optimizers", 22, SHAPES, (1, 2, 10, 50))
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


records.facts()
for name, own in OWN.items():
    # Ftrl's `linear` is a small difference of numbers of the size of 1 / learning rate.
    common = [{"learning_rate": 0.1, **c} for c in COMMON] if name == "Ftrl" else COMMON
    for arguments in own + common:
        records.add(name, arguments)
    records.add(name, {"weight_decay": 0.05, "learning_rate": 0.05}, exclude=["bias"])
records.fixture.write()
