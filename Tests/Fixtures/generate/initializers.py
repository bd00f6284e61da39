"""The 16 initializers. Bits of random draws can't match, so a random case has what its distribution must be (Keras' own
fans, and the limits that its formula gives) with the statistics of a big draw by Keras; the exact ones have their values."""

import math

from fixture import Fixture, tensor

import keras
import numpy as np
from keras.src.initializers.random_initializers import compute_fans

fixture = Fixture("initializers")
I = keras.initializers
SHAPES = [(2000,), (300, 200), (200, 300), (5, 40, 60), (3, 3, 30, 40), (3, 3, 3, 10, 20)]
TRUNCATION = 0.87962566103423978  # standard deviation of a unit normal cut at ±2


def statistics(values):
    values = values.astype("float64")
    return {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max(), "count": values.size}


def check(expected, found, what):
    """Keras' own draw must be what we say it is: within five standard errors, and inside the bounds."""
    error = expected["std"] / math.sqrt(found["count"])
    assert abs(found["mean"] - expected["mean"]) < 5 * error, (what, expected, found)
    assert abs(found["std"] / expected["std"] - 1) < 5 / math.sqrt(found["count"]), (what, expected, found)
    if "min" in expected:
        slack = 1e-6 * (expected["max"] - expected["min"])
        assert expected["min"] - slack <= found["min"] and found["max"] <= expected["max"] + slack, (what, expected, found)


def uniform(low, high):
    return {"distribution": "uniform", "mean": (low + high) / 2, "std": (high - low) / math.sqrt(12), "min": low, "max": high}


def truncated(mean, stddev):
    """stddev is that of the normal before it is cut at two of them."""
    return {"distribution": "truncated_normal", "mean": mean, "std": stddev * TRUNCATION, "min": mean - 2 * stddev,
            "max": mean + 2 * stddev}


def normal(mean, stddev):
    return {"distribution": "untruncated_normal", "mean": mean, "std": stddev}


def random(initializer, shape, expected, **facts):
    found = statistics(np.asarray(initializer(shape)))
    check(expected, found, (initializer.get_config(), shape))
    config = {key: value for key, value in initializer.get_config().items() if key != "seed"}
    fixture.add(initializer=type(initializer).__name__, config=config, shape=list(shape), expected=expected, found=found,
                **facts)


def exact(initializer, shape):
    fixture.add(initializer=type(initializer).__name__, config=initializer.get_config(), shape=list(shape),
                values=tensor(initializer(shape)))


for seed, (cls, variants) in enumerate({
        I.RandomNormal: [{}, {"mean": 1.0, "stddev": 0.5}], I.TruncatedNormal: [{}, {"mean": -1.0, "stddev": 2.0}],
        I.RandomUniform: [{}, {"minval": 0.5, "maxval": 2.0}]}.items()):
    for arguments in variants:
        initializer = cls(seed=seed, **arguments)
        expected = (uniform(initializer.minval, initializer.maxval) if cls is I.RandomUniform else
                    (truncated if cls is I.TruncatedNormal else normal)(initializer.mean, initializer.stddev))
        random(initializer, (300, 200), expected)


def variance_scaling(initializer, shape):
    fan_in, fan_out = compute_fans(shape)
    n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[initializer.mode]
    scale = initializer.scale / max(1, n)
    expected = {
        "uniform": lambda: uniform(-math.sqrt(3 * scale), math.sqrt(3 * scale)),
        "untruncated_normal": lambda: normal(0, math.sqrt(scale)),
        "truncated_normal": lambda: truncated(0, math.sqrt(scale) / TRUNCATION)}[initializer.distribution]()
    random(initializer, shape, expected, fan_in=fan_in, fan_out=fan_out)


for seed, cls in enumerate([I.GlorotUniform, I.GlorotNormal, I.HeUniform, I.HeNormal, I.LecunUniform, I.LecunNormal]):
    for shape in SHAPES:
        variance_scaling(cls(seed=seed), shape)
for mode in ("fan_in", "fan_out", "fan_avg"):
    for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
        for shape in SHAPES:
            variance_scaling(I.VarianceScaling(scale=1.7, mode=mode, distribution=distribution, seed=9), shape)
variance_scaling(I.VarianceScaling(seed=9), (300, 200))

for shape in ((3, 4), (5,), ()):
    exact(I.Zeros(), shape)
    exact(I.Ones(), shape)
    exact(I.Constant(), shape)
    exact(I.Constant(2.5), shape)
for shape in ((3, 3), (2, 4), (4, 2)):
    exact(I.Identity(), shape)
    exact(I.Identity(gain=0.5), shape)

# Orthogonal: with all axes but the last flattened, the shorter side's vectors are orthogonal and as long as the gain.
for seed, shape in enumerate([(20, 20), (10, 30), (30, 10), (3, 3, 4, 16), (2, 2, 40)]):
    for gain in (1.0, 2.0):
        initializer = I.Orthogonal(gain=gain, seed=seed)
        flat = np.asarray(initializer(shape)).reshape(-1, shape[-1]).astype("float64")
        gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
        assert np.allclose(gram, gain ** 2 * np.eye(len(gram)), atol=1e-5)
        fixture.add(initializer="Orthogonal", config={"gain": gain}, shape=list(shape), flattened=list(flat.shape),
                    gram="rows" if flat.shape[0] <= flat.shape[1] else "columns", gram_diagonal=gain ** 2,
                    gram_error=float(np.abs(gram - gain ** 2 * np.eye(len(gram))).max()))

for arguments in ({}, {"side": "imag"}, {"window": None}, {"window": "hamming", "scaling": "spectrum"},
                  {"window": "hann", "scaling": None, "periodic": True}, {"side": "imag", "window": "blackman", "periodic": True},
                  {"window": "boxcar", "scaling": "spectrum", "side": "imag"}, {"window": "bartlett"}):
    for shape in ((16, 1, 9), (8, 1, 9)):
        exact(I.STFT(**arguments), shape)
fixture.write()
