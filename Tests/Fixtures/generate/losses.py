"""Losses: every reduction, sample weights, ranks, edge cases; values and the gradient of sum(value) to the predictions."""

from fixture import Fixture
import loss_records

import numpy as np

fixture = Fixture("losses")
rng = np.random.default_rng(4)
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def record(name, y_true, y_pred, weight=None, activation=None, reductions=REDUCTIONS, note=None, **arguments):
    loss_records.record(fixture, reductions, name, y_true, y_pred, weight, activation, arguments, note=note)


def floats(*shape):
    return rng.standard_normal(shape).astype("float32")


def weights(*shape):
    return rng.uniform(0, 2, shape).astype("float32")


def probabilities(*shape, axis=-1):
    z = np.exp(rng.standard_normal(shape))
    return (z / z.sum(axis, keepdims=True)).astype("float32")


def one_hot(classes, *shape):
    return np.eye(classes, dtype="float32")[rng.integers(0, classes, shape)]


# Element-wise losses, averaged over the last axis.
for name, variants in {
        "MeanSquaredError": [{}], "MeanAbsoluteError": [{}], "Huber": [{}, {"delta": 0.5}, {"delta": 3.0}]}.items():
    for arguments in variants:
        record(name, floats(4, 3), floats(4, 3), **arguments)
        record(name, floats(4, 3), floats(4, 3), weights(4), **arguments)
        record(name, floats(4, 3), floats(4, 3), weights(4, 1), **arguments)
        record(name, floats(2, 4, 3), floats(2, 4, 3), **arguments)
        record(name, floats(2, 4, 3), floats(2, 4, 3), weights(2, 4), **arguments)
        record(name, floats(2, 4, 3), floats(2, 4, 3), weights(2, 1), **arguments)
        record(name, floats(2, 4, 3), floats(2, 4, 3), weights(2, 4, 1), **arguments)
        record(name, floats(5), floats(5), **arguments, note="rank 1: one value")
    record(name, floats(4), floats(4, 1), weights(4), note="labels (4) against predictions (4, 1)")
    record(name, floats(4, 1), floats(4, 1), np.zeros(4, "float32"), note="all weights zero")
    bends = np.array([[0, 1, -1, 2, -2, 0.5, -0.5, 1e4]], "float32")
    record(name, np.zeros((1, 8), "float32"), bends, note="errors of zero and of exactly delta")

# Binary cross-entropy.
bits = lambda *shape: rng.integers(0, 2, shape).astype("float32")
for arguments in ({}, {"from_logits": True}, {"label_smoothing": 0.2}, {"from_logits": True, "label_smoothing": 0.1}):
    p = floats if arguments.get("from_logits") else lambda *shape: rng.uniform(0.02, 0.98, shape).astype("float32")
    record("BinaryCrossentropy", bits(6, 1), p(6, 1), **arguments)
    record("BinaryCrossentropy", bits(4, 3), p(4, 3), weights(4), **arguments)
    record("BinaryCrossentropy", bits(2, 3, 4), p(2, 3, 4), weights(2, 3), **arguments)
    record("BinaryCrossentropy", bits(3, 4), p(3, 4), axis=0, **arguments)
    record("BinaryCrossentropy", bits(5), p(6)[:5], **arguments)
record("BinaryCrossentropy", bits(5).astype("int32"), rng.uniform(0.1, 0.9, (5, 1)).astype("float32"), weights(5))
record("BinaryCrossentropy", np.array([[0, 1, 0, 1, 0, 1, 0.5]], "float32"),
       np.array([[0, 1, 1, 0, 1e-8, 1e-8, 0]], "float32"), note="probabilities of exactly 0 and 1")
record("BinaryCrossentropy", np.array([[0, 1, 0, 1]], "float32"), np.array([[1e4, 1e4, -1e4, -1e4]], "float32"),
       from_logits=True, note="huge logits")
record("BinaryCrossentropy", np.array([[0], [1], [0], [1]], "float32"), np.array([[40], [-40], [2], [3]], "float32"),
       activation="sigmoid", note="fed by a sigmoid: its logits are used")

# Categorical cross-entropy.
for arguments in ({}, {"from_logits": True}, {"label_smoothing": 0.2}, {"from_logits": True, "label_smoothing": 0.1}):
    p = floats if arguments.get("from_logits") else probabilities
    record("CategoricalCrossentropy", one_hot(5, 4), p(4, 5), **arguments)
    record("CategoricalCrossentropy", one_hot(5, 4), p(4, 5), weights(4), **arguments)
    record("CategoricalCrossentropy", one_hot(5, 2, 3), p(2, 3, 5), weights(2, 3), **arguments)
    record("CategoricalCrossentropy", one_hot(5, 2, 3), p(2, 3, 5), weights(2, 1), **arguments)
    record("CategoricalCrossentropy", np.moveaxis(one_hot(4, 2, 3), -1, 1), np.moveaxis(p(2, 3, 4), -1, 1), axis=1,
           **arguments)
    record("CategoricalCrossentropy", one_hot(5, 1)[0], p(5), note="rank 1: one value", **arguments)
record("CategoricalCrossentropy", probabilities(4, 5), probabilities(4, 5), note="soft labels")
record("CategoricalCrossentropy", one_hot(3, 4), rng.uniform(0.1, 2, (4, 3)).astype("float32"),
       note="predictions that don't sum to 1")
record("CategoricalCrossentropy", np.eye(3, dtype="float32"), np.array([[0, 1, 0], [0, 1, 0], [0.5, 0.5, 0]], "float32"),
       note="probabilities of exactly 0 and 1")
record("CategoricalCrossentropy", np.eye(3, dtype="float32"), np.array([[1e4, 0, 0], [1e4, 0, -1e4], [0, 0, 0]], "float32"),
       from_logits=True, note="huge logits")
record("CategoricalCrossentropy", np.eye(3, dtype="float32"), np.array([[-40, 40, 0], [1, 2, 3], [60, 0, -60]], "float32"),
       activation="softmax", note="fed by a softmax: its logits are used")

# Sparse categorical cross-entropy.
classes = lambda *shape: rng.integers(0, 5, shape).astype("int32")
for arguments in ({}, {"from_logits": True}):
    p = floats if arguments else probabilities
    record("SparseCategoricalCrossentropy", classes(4), p(4, 5), **arguments)
    record("SparseCategoricalCrossentropy", classes(4, 1), p(4, 5), weights(4), **arguments)
    record("SparseCategoricalCrossentropy", classes(2, 3), p(2, 3, 5), weights(2, 3), **arguments)
    record("SparseCategoricalCrossentropy", classes(2, 3), p(2, 3, 5), weights(2, 1), **arguments)
    record("SparseCategoricalCrossentropy", np.array([0, 1, 2, 1, 4], "int32"), p(5, 5), ignore_class=1, **arguments)
    record("SparseCategoricalCrossentropy", np.array([0, 1, 2, 1, 4], "int32"), p(5, 5), weights(5), ignore_class=1,
           **arguments)
    record("SparseCategoricalCrossentropy", np.array([[0, -1, 2], [-1, -1, 3]], "int32"), p(2, 3, 5), ignore_class=-1,
           **arguments)
    record("SparseCategoricalCrossentropy", np.array([[0, -1, 2], [-1, -1, 3]], "int32"), p(2, 3, 5), weights(2, 3),
           ignore_class=-1, **arguments)
    record("SparseCategoricalCrossentropy", np.full(3, 2, "int32"), p(3, 5), ignore_class=2, note="all ignored", **arguments)
record("SparseCategoricalCrossentropy", np.array([0, 1, 2], "int32"), rng.uniform(0.1, 2, (3, 3)).astype("float32"),
       note="predictions that don't sum to 1")
record("SparseCategoricalCrossentropy", np.array([0, 1, 2], "int32"),
       np.array([[0, 1, 0], [0, 1, 0], [0.5, 0.5, 0]], "float32"), note="probabilities of exactly 0 and 1")
record("SparseCategoricalCrossentropy", np.array([0, 1, 2], "int32"),
       np.array([[1e4, 0, 0], [1e4, 0, -1e4], [0, 0, 0]], "float32"), from_logits=True, note="huge logits")
record("SparseCategoricalCrossentropy", np.array([0, 1, 2], "int32"),
       np.array([[-40, 40, 0], [1, 2, 3], [60, 0, -60]], "float32"), activation="softmax",
       note="fed by a softmax: its logits are used")

# Kullback-Leibler divergence.
record("KLDivergence", probabilities(4, 5), probabilities(4, 5))
record("KLDivergence", probabilities(4, 5), probabilities(4, 5), weights(4))
record("KLDivergence", probabilities(2, 3, 5), probabilities(2, 3, 5), weights(2, 3))
record("KLDivergence", probabilities(5), probabilities(5), note="rank 1: one value")
record("KLDivergence", np.array([[0, 1, 0], [0.5, 0.5, 0], [0, 0, 1]], "float32"),
       np.array([[0, 1, 0], [1, 0, 0], [0.5, 0.5, 0]], "float32"), note="probabilities of exactly 0 and 1")

fixture.write()
