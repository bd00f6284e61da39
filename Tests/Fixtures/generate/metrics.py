"""Metrics over several update_state calls, with and without sample weights; the result after each, and the variables."""

from fixture import Fixture, tensor

import keras
import numpy as np

fixture = Fixture("metrics")
rng = np.random.default_rng(5)


def record(name, updates, note=None, **arguments):
    """updates: (y_true, y_pred, sample_weight or None), or (values, sample_weight or None) for Mean."""
    metric = getattr(keras.metrics, name)(**arguments)
    recorded = []
    for *inputs, weight in updates:
        metric.update_state(*inputs, sample_weight=weight)
        entry = {"values": tensor(inputs[0])} if name == "Mean" else {
            "y_true": tensor(inputs[0]), "y_pred": tensor(inputs[1])}
        if weight is not None:
            entry["sample_weight"] = tensor(weight)
        entry["result"] = tensor(metric.result())
        recorded.append(entry)
    variables = [tensor(v) for v in metric.variables]
    metric.reset_state()
    case = {"metric": name, "config": metric.get_config(), "updates": recorded, "variables": variables,
            "result_after_reset": tensor(metric.result())}
    if note:
        case["note"] = note
    fixture.add(**case)


def batches(make_true, make_pred, weight_shape=None):
    """Three batches; with a weight shape the first goes without weights and the last has zeros among them."""
    found = []
    for i in range(3):
        weight = None
        if weight_shape and i > 0:
            weight = rng.uniform(0, 2, weight_shape).astype("float32") * (rng.random(weight_shape) < (0.5 if i == 2 else 1))
            weight = weight.astype("float32")
        found.append((make_true(), make_pred(), weight))
    return found


floats = lambda *shape: (lambda: rng.standard_normal(shape).astype("float32"))
unit = lambda *shape: (lambda: rng.random(shape).astype("float32"))
bits = lambda *shape: (lambda: rng.integers(0, 2, shape).astype("int32"))
classes = lambda n, *shape: (lambda: rng.integers(0, n, shape).astype("int32"))
one_hot = lambda n, *shape: (lambda: np.eye(n, dtype="float32")[rng.integers(0, n, shape)])

for name in ("MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError"):
    record(name, batches(floats(4, 3), floats(4, 3)))
    record(name, batches(floats(4, 3), floats(4, 3), (4,)))
    record(name, batches(floats(2, 4, 3), floats(2, 4, 3), (2, 4)))
    record(name, batches(floats(6), floats(6, 1), (6,)), note="labels (6) against predictions (6, 1)")

record("Accuracy", batches(classes(3, 8), classes(3, 8)))
record("Accuracy", batches(classes(3, 8, 1), classes(3, 8, 1), (8,)))
record("Accuracy", batches(classes(3, 4, 2), classes(3, 4, 2), (4, 2)))
record("BinaryAccuracy", batches(bits(8, 1), unit(8, 1)))
record("BinaryAccuracy", batches(bits(8), unit(8, 1), (8,)))
record("BinaryAccuracy", batches(bits(4, 3), unit(4, 3), (4,)), threshold=0.7)
record("BinaryAccuracy", [(np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.4, 0.6], "float32"), None)],
       note="a prediction equal to the threshold counts as 0")
record("CategoricalAccuracy", batches(one_hot(5, 8), unit(8, 5)))
record("CategoricalAccuracy", batches(one_hot(5, 8), unit(8, 5), (8,)))
record("CategoricalAccuracy", batches(one_hot(4, 2, 3), unit(2, 3, 4), (2, 3)))
record("CategoricalAccuracy", [(np.eye(3, dtype="float32"), np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]], "float32"), None)],
       note="of equal scores the first counts")
record("SparseCategoricalAccuracy", batches(classes(5, 8), unit(8, 5)))
record("SparseCategoricalAccuracy", batches(classes(5, 8, 1), unit(8, 5), (8,)))
record("SparseCategoricalAccuracy", batches(classes(4, 2, 3), unit(2, 3, 4), (2, 3)))
for k in (1, 2, 3):
    record("TopKCategoricalAccuracy", batches(one_hot(6, 8), unit(8, 6)), k=k)
    record("SparseTopKCategoricalAccuracy", batches(classes(6, 8), unit(8, 6)), k=k)
record("TopKCategoricalAccuracy", batches(one_hot(9, 8), unit(8, 9), (8,)))
record("SparseTopKCategoricalAccuracy", batches(classes(9, 8), unit(8, 9), (8,)))
record("SparseTopKCategoricalAccuracy", batches(classes(6, 2, 3), unit(2, 3, 6), (2, 3)), k=2)
record("SparseTopKCategoricalAccuracy",
       batches(classes(6, 4), lambda: np.stack([rng.permutation(6)[:4] for _ in range(4)]).astype("float32")),
       k=2, from_sorted_ids=True)
record("SparseTopKCategoricalAccuracy",
       [(np.array([0, 1, 2, 3]), np.array([[1, 1, 1, 0]] * 4, "float32"), None)], k=2,
       note="equal scores: a class is in the top k if fewer than k are strictly better")
scalars = [(np.float32(2), None), (np.float32(5), np.float32(3)), (np.array([1, 2, 3], "float32"), None)]
record("Mean", scalars)
record("Mean", [(rng.random((4, 3)).astype("float32"), None), (rng.random((4, 3)).astype("float32"), rng.random(4).astype("float32")),
                (rng.random((4, 3)).astype("float32"), rng.random((4, 1)).astype("float32"))])
record("Mean", [(np.array([1, 2], "float32"), np.zeros(2, "float32"))], note="all weights zero")
fixture.write()
