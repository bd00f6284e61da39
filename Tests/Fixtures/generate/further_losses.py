"""The losses that losses.py leaves out: values, and the gradient of sum(value) to the predictions."""

from fixture import Fixture
import loss_records

import numpy as np

fixture = Fixture("further_losses")
rng = np.random.default_rng(14)


def record(name, y_true, y_pred, weight=None, reductions=("sum_over_batch_size", "none"), activation=None, note=None,
           gradient_tolerance=None, **arguments):
    loss_records.record(
        fixture, reductions, name, y_true, y_pred, weight, activation, arguments, note=note,
        gradient_tolerance=gradient_tolerance)


floats = lambda *shape: rng.standard_normal(shape).astype("float32")
positive = lambda *shape: rng.uniform(0.1, 3, shape).astype("float32")
unit = lambda *shape: rng.uniform(0.02, 0.98, shape).astype("float32")
bits = lambda *shape: rng.integers(0, 2, shape).astype("float32")
weights = lambda *shape: rng.uniform(0, 2, shape).astype("float32")
one_hot = lambda classes, *shape: np.eye(classes, dtype="float32")[rng.integers(0, classes, shape)]


def probabilities(*shape, axis=-1):
    z = np.exp(rng.standard_normal(shape))
    return (z / z.sum(axis, keepdims=True)).astype("float32")


ALL = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")
for name, make_true, make_pred in (
        ("MeanAbsolutePercentageError", floats, floats), ("MeanSquaredLogarithmicError", positive, positive),
        ("LogCosh", floats, floats), ("CosineSimilarity", floats, floats), ("Poisson", positive, positive),
        ("Hinge", lambda *s: 2 * bits(*s) - 1, floats), ("SquaredHinge", lambda *s: 2 * bits(*s) - 1, floats),
        ("CategoricalHinge", lambda *s: one_hot(s[-1], *s[:-1]), floats)):
    record(name, make_true(4, 3), make_pred(4, 3), reductions=ALL)
    record(name, make_true(4, 3), make_pred(4, 3), weights(4), reductions=ALL)
    record(name, make_true(2, 4, 3), make_pred(2, 4, 3), weights(2, 4))
    record(name, make_true(2, 4, 3), make_pred(2, 4, 3), weights(2, 1))
record("MeanAbsolutePercentageError", np.array([[0, 1e-9, 2, -2]], "float32"), np.array([[1, 1, 2, 2]], "float32"),
       note="labels of zero")
record("MeanSquaredLogarithmicError", np.array([[0, -3, 2]], "float32"), np.array([[-1, 0, 2]], "float32"),
       note="negative numbers")
record("LogCosh", np.zeros((1, 4), "float32"), np.array([[1e3, -1e3, 0, 30]], "float32"), note="huge errors")
record("CosineSimilarity", floats(3, 4), floats(3, 4), axis=0)
record("CosineSimilarity", floats(2, 3, 4), floats(2, 3, 4), weights(2, 4), axis=1)
record("CosineSimilarity", np.zeros((2, 3), "float32"), floats(2, 3), note="labels of zero")
record("Poisson", positive(2, 3), np.zeros((2, 3), "float32"), note="predictions of zero")
record("Hinge", bits(4, 3), floats(4, 3), note="labels 0 and 1")
record("SquaredHinge", bits(4, 3), floats(4, 3), note="labels 0 and 1")
record("Hinge", bits(5), floats(5, 1), note="labels (5) against predictions (5, 1)")
record("CategoricalHinge", one_hot(3, 2), np.array([[1, 1, 1], [0, 2, 2]], "float32"), note="equal predictions")

for arguments in ({}, {"from_logits": True}, {"label_smoothing": 0.2}, {"gamma": 1.0}, {"gamma": 3.0, "from_logits": True},
                  {"apply_class_balancing": True}, {"apply_class_balancing": True, "alpha": 0.6, "gamma": 0.5}):
    p = floats if arguments.get("from_logits") else unit
    record("BinaryFocalCrossentropy", bits(6, 1), p(6, 1), **arguments)
    record("BinaryFocalCrossentropy", bits(4, 3), p(4, 3), weights(4), **arguments)
record("BinaryFocalCrossentropy", bits(3, 4), unit(3, 4), axis=0)
record("BinaryFocalCrossentropy", bits(4, 1), 3 * floats(4, 1), activation="sigmoid", note="fed by a sigmoid")
for arguments in ({}, {"from_logits": True}, {"label_smoothing": 0.2}, {"gamma": 3.0, "alpha": 0.5},
                  {"from_logits": True, "gamma": 1.0}):
    p = floats if arguments.get("from_logits") else probabilities
    record("CategoricalFocalCrossentropy", one_hot(5, 4), p(4, 5), **arguments)
    record("CategoricalFocalCrossentropy", one_hot(5, 2, 3), p(2, 3, 5), weights(2, 3), **arguments)
record("CategoricalFocalCrossentropy", np.moveaxis(one_hot(4, 2, 3), -1, 1), np.moveaxis(probabilities(2, 3, 4), -1, 1),
       axis=1)

classes = lambda n, *shape: rng.integers(0, n, shape).astype("int32")
for q in (0.5, 0.1, 0.9):
    record("CategoricalGeneralizedCrossEntropy", classes(5, 6), probabilities(6, 5), q=q)
    record("CategoricalGeneralizedCrossEntropy", classes(5, 6), probabilities(6, 5), weights(6), q=q)
record("CategoricalGeneralizedCrossEntropy", classes(4, 2, 3), probabilities(2, 3, 4), q=0.7)

for name, variants in {"Dice": [{}], "Tversky": [{}, {"alpha": 0.2, "beta": 0.8}]}.items():
    for arguments in variants:
        record(name, bits(2, 3, 3, 1), unit(2, 3, 3, 1), **arguments)
        record(name, bits(4, 5), unit(4, 5), weights(4), **arguments)
        record(name, bits(2, 3, 3, 2), unit(2, 3, 3, 2), axis=(1, 2, 3), **arguments)
        record(name, bits(2, 3, 3, 2), unit(2, 3, 3, 2), weights(2), axis=(1, 2, 3), **arguments)
        record(name, bits(3, 4), unit(3, 4), axis=-1, **arguments)

directions = lambda n, d: (lambda v: (v / np.linalg.norm(v, axis=1, keepdims=True)).astype("float32"))(rng.standard_normal((n, d)))
for arguments in ({}, {"gamma": 32.0, "margin": 0.25}, {"remove_diagonal": False, "gamma": 10.0}):
    record("Circle", classes(3, 8), directions(8, 4), reductions=ALL, **arguments)
    record("Circle", classes(3, 6), directions(6, 4), weights(6), **arguments)
    record("Circle", np.array([0, 1, 2, 0]), directions(4, 3), note="classes of one row", **arguments)

record("CTC", np.array([[1, 2, 3], [2, 2, 0], [1, 0, 0]]), floats(3, 8, 5), reductions=ALL)
record("CTC", np.array([[1, 2, 3], [2, 2, 0], [1, 0, 0]]), floats(3, 8, 5), weights(3))
record("CTC", np.array([[1, 1, 1, 1], [4, 3, 2, 1]]), 3 * floats(2, 7, 6), note="repetitions take all frames")
record("CTC", np.array([[1, 1, 1]]), floats(1, 4, 3), note="too few frames",
       gradient_tolerance=1e-4)  # float32 logarithms near 707
record("CTC", np.zeros((2, 3), "int32"), floats(2, 5, 4), note="no labels")
record("CTC", classes(11, 2, 20) + 1, 5 * floats(2, 60, 12), note="long")
record("CTC", np.array([[1, 2], [2, 1]]), 1e3 * floats(2, 6, 3), note="huge logits")
fixture.write()
