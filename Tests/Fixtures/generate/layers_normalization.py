"""Normalisation layers: outputs, gradients, running statistics in training, at inference and frozen, with masks."""

from fixture import Fixture

import keras
import numpy as np

from layer_records import LayerCases

fixture = Fixture("layers_normalization")
cases = LayerCases(fixture, 22)
floats, record, L = cases.floats, cases.record, keras.layers


def positive(shape):
    return (cases.rng.random(shape) + 0.5).astype("float32")


STATISTICS = {"moving_variance": positive}
STEPS = np.array([[1, 1, 0], [1, 0, 0]], bool)
BN = L.BatchNormalization
for training in (True, False):
    record(BN(), floats(6, 4), training=training, weights=STATISTICS)
    record(BN(), floats(4, 3, 3, 5), training=training, weights=STATISTICS)
    record(BN(axis=1), floats(4, 3, 5), training=training, weights=STATISTICS)
    record(BN(momentum=0.7, epsilon=1e-2, center=False), floats(5, 2, 3), training=training, weights=STATISTICS)
    record(BN(scale=False), floats(5, 7), training=training, weights=STATISTICS)
record(BN(center=False, scale=False), floats(5, 3), training=True, weights=STATISTICS)
record(BN(), floats(40, 17) + 3, training=True, weights=STATISTICS, note="a mean above the deviation")
record(BN(), floats(8, 6, 6, 16), training=True, weights=STATISTICS)
frozen = BN(trainable=False)
record(frozen, floats(6, 4), training=True, weights=STATISTICS, note="frozen: running statistics in training too")
record(BN(), floats(2, 3, 4), masks=[STEPS], training=True, weights=STATISTICS)
record(BN(), floats(2, 3, 4), masks=[STEPS], training=False, weights=STATISTICS)

LN = L.LayerNormalization
record(LN(), floats(3, 5))
record(LN(), floats(2, 3, 8), training=True)
record(LN(axis=1), floats(2, 4, 3))
record(LN(axis=[1, 2]), floats(2, 3, 4))
record(LN(axis=[-1, 1]), floats(2, 3, 2, 4), note="axes in any order")
record(LN(epsilon=1e-5, center=False), floats(4, 33) + 10)
record(LN(scale=False), floats(4, 6))
record(LN(center=False, scale=False), floats(4, 6))
record(LN(), floats(2, 3, 4), masks=[STEPS])

GN = L.GroupNormalization
record(GN(groups=2), floats(3, 6))
record(GN(groups=3), floats(2, 4, 4, 6))
record(GN(groups=-1), floats(2, 3, 4), note="instance normalisation")
record(GN(groups=2, axis=1), floats(2, 4, 5))
record(GN(groups=1, epsilon=1e-5, center=False), floats(2, 3, 4))
record(GN(groups=4, scale=False), floats(2, 3, 4), training=True)

RN = L.RMSNormalization
record(RN(), floats(3, 5))
record(RN(axis=[1, 2]), floats(2, 3, 4))
record(RN(epsilon=1e-3), floats(2, 3, 4), training=True)

UN = L.UnitNormalization
record(UN(), floats(3, 5))
record(UN(axis=[1, 2]), floats(2, 3, 4))
record(UN(axis=1), floats(2, 3, 4))
record(UN(), floats(2, 3, 4), masks=[STEPS])

SN = L.SpectralNormalization
record(SN(L.Dense(4)), floats(3, 5), training=True)
record(SN(L.Dense(4)), floats(3, 5), training=False)
record(SN(L.Dense(3, activation="tanh"), power_iterations=3), floats(2, 3, 5), training=True)
fixture.write()
