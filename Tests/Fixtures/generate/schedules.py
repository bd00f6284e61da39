"""Keras' six learning rate schedules over a range of steps."""

from fixture import Fixture, tensor

import keras
import numpy as np

fixture = Fixture("schedules")
S = keras.optimizers.schedules
STEPS = np.array([0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 14, 15, 19, 20, 21, 25, 29, 30, 31, 39, 40, 41, 49, 50, 60, 70, 79, 80,
                  99, 100, 101, 150, 200, 299, 300, 1000, 12345], "int64")
SCHEDULES = [
    S.ExponentialDecay(0.1, 10, 0.5), S.ExponentialDecay(0.1, 10, 0.5, staircase=True), S.ExponentialDecay(1.0, 1000, 0.96),
    S.PiecewiseConstantDecay([10], [0.1, 0.01]), S.PiecewiseConstantDecay([5, 20, 100], [1.0, 0.5, 0.25, 0.1]),
    S.PiecewiseConstantDecay([0, 1], [3.0, 2.0, 1.0]),
    S.PolynomialDecay(0.1, 50), S.PolynomialDecay(0.1, 50, end_learning_rate=0.02, power=2.0),
    S.PolynomialDecay(0.1, 20, end_learning_rate=0.01, power=0.5, cycle=True), S.PolynomialDecay(0.1, 10, cycle=True),
    S.InverseTimeDecay(0.1, 10, 0.5), S.InverseTimeDecay(0.1, 10, 0.5, staircase=True), S.InverseTimeDecay(1.0, 3, 2.0),
    S.CosineDecay(0.1, 50), S.CosineDecay(0.1, 50, alpha=0.2), S.CosineDecay(0.0, 50, warmup_target=0.1, warmup_steps=10),
    S.CosineDecay(0.02, 40, alpha=0.1, warmup_target=0.2, warmup_steps=20), S.CosineDecay(0.1, 50, warmup_steps=5),
    S.CosineDecayRestarts(0.1, 10), S.CosineDecayRestarts(0.1, 10, t_mul=1.0, m_mul=0.8),
    S.CosineDecayRestarts(0.1, 15, t_mul=2.0, m_mul=0.5, alpha=0.1), S.CosineDecayRestarts(0.1, 7, t_mul=1.5, alpha=0.05),
]
fixture.fact(steps=tensor(STEPS))
for schedule in SCHEDULES:
    fixture.add(schedule=type(schedule).__name__, config=schedule.get_config(),
                values=tensor([float(schedule(step)) for step in STEPS], "float32"))
fixture.write()
