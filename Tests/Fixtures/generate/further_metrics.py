"""The metrics that metrics.py leaves out, over several update_state calls: the result after each."""

from fixture import Fixture, tensor

import keras
import numpy as np

fixture = Fixture("further_metrics")
rng = np.random.default_rng(15)


def record(name, updates, note=None, **arguments):
    """updates: (y_true, y_pred, sample_weight or None), or (values, sample_weight or None) for Sum."""
    metric = getattr(keras.metrics, name)(**arguments)
    recorded = []
    for *inputs, weight in updates:
        metric.update_state(*inputs, sample_weight=weight)
        entry = {"values": tensor(inputs[0])} if name == "Sum" else {
            "y_true": tensor(inputs[0]), "y_pred": tensor(inputs[1])}
        if weight is not None:
            entry["sample_weight"] = tensor(weight)
        entry["result"] = tensor(metric.result())
        recorded.append(entry)
    config = metric.get_config()
    config = {**config, **arguments, "name": config["name"], "dtype": str(config.get("dtype"))}
    case = {"metric": name, "config": config, "updates": recorded}
    if note:
        case["note"] = note
    fixture.add(**case)


def batches(make_true, make_pred, weight_shape=None, whole=False):
    """Three batches; with a weight shape the first goes without weights and the last has zeros among them."""
    found = []
    for i in range(3):
        weight = None
        if weight_shape and i > 0:
            weight = rng.uniform(0, 2, weight_shape) * (rng.random(weight_shape) < (0.5 if i == 2 else 1))
            weight = rng.integers(0, 4, weight_shape).astype("int32") if whole else weight.astype("float32")
        found.append((make_true(), make_pred(), weight))
    return found


floats = lambda *shape: (lambda: rng.standard_normal(shape).astype("float32"))
positive = lambda *shape: (lambda: rng.uniform(0.1, 3, shape).astype("float32"))
unit = lambda *shape: (lambda: rng.random(shape).astype("float32"))
bits = lambda *shape: (lambda: rng.integers(0, 2, shape).astype("int32"))
classes = lambda n, *shape: (lambda: rng.integers(0, n, shape).astype("int32"))
one_hot = lambda n, *shape: (lambda: np.eye(n, dtype="float32")[rng.integers(0, n, shape)])


def probabilities(*shape):
    def make():
        z = np.exp(rng.standard_normal(shape))
        return (z / z.sum(-1, keepdims=True)).astype("float32")
    return make


# Means of values.
for name, t, p in (("MeanAbsolutePercentageError", floats, floats), ("MeanSquaredLogarithmicError", positive, positive),
                   ("LogCoshError", floats, floats), ("CosineSimilarity", floats, floats), ("Poisson", positive, positive),
                   ("KLDivergence", probabilities, probabilities), ("Hinge", bits, floats), ("SquaredHinge", bits, floats),
                   ("PearsonCorrelation", floats, floats), ("ConcordanceCorrelation", floats, floats)):
    record(name, batches(t(4, 3), p(4, 3)))
    record(name, batches(t(4, 3), p(4, 3), (4,)))
    record(name, batches(t(2, 4, 3), p(2, 4, 3), (2, 4)))
record("CategoricalHinge", batches(one_hot(3, 4), floats(4, 3)))
record("CategoricalHinge", batches(one_hot(3, 4), floats(4, 3), (4,)))
for name in ("CosineSimilarity", "PearsonCorrelation", "ConcordanceCorrelation"):
    record(name, batches(floats(4, 3), floats(4, 3)), axis=0)
for arguments in ({}, {"from_logits": True}, {"label_smoothing": 0.1}):
    logits = arguments.get("from_logits")
    record("BinaryCrossentropy", batches(bits(4, 1), floats(4, 1) if logits else unit(4, 1), (4,)), **arguments)
    record("BinaryCrossentropy", batches(bits(4, 3), floats(4, 3) if logits else unit(4, 3)), **arguments)
    record("CategoricalCrossentropy", batches(one_hot(4, 5), floats(5, 4) if logits else probabilities(5, 4), (5,)), **arguments)
record("CategoricalCrossentropy", batches(one_hot(4, 2, 3), probabilities(2, 3, 4), (2, 3)))
for arguments in ({}, {"from_logits": True}, {"ignore_class": 1}):
    p = floats if arguments.get("from_logits") else probabilities
    record("SparseCategoricalCrossentropy", batches(classes(4, 5), p(5, 4)), **arguments)
    record("SparseCategoricalCrossentropy", batches(classes(4, 5), p(5, 4), (5,)), **arguments)
values = lambda *shape: rng.standard_normal(shape).astype("float32")
record("Sum", [(values(4), None), (values(4), values(4)), (values(4, 3), values(4))])
record("Sum", [(np.float32(2), None), (values(2, 3), values(2, 3)), (values(2, 3, 2), values(2, 3))])

# Counts at thresholds.
for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"):
    record(name, batches(bits(8), unit(8)))
    record(name, batches(bits(8, 1), unit(8), (8,)), thresholds=0.3)
    record(name, batches(bits(4, 3), unit(4, 3), (4,)), thresholds=[0.2, 0.7, 0.8])
    record(name, batches(bits(4, 3), unit(4, 3), (4, 3)), thresholds=[0.0, 0.5, 1.0])
for name in ("Precision", "Recall"):
    record(name, batches(bits(8), unit(8)))
    record(name, batches(bits(8, 1), unit(8, 1), (8,)))
    record(name, batches(bits(8), unit(8, 1), (8,)), thresholds=[0.1, 0.4, 0.9])
    record(name, batches(bits(8), unit(8)), thresholds=[0.0, 0.25, 0.5, 0.75, 1.0])
    record(name, batches(one_hot(5, 6), unit(6, 5)), top_k=2)
    record(name, batches(one_hot(5, 6), unit(6, 5), (6,)), class_id=3)
    record(name, batches(one_hot(5, 6), unit(6, 5)), top_k=3, class_id=1)
    record(name, [(np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.4, 0.6], "float32"), None)], note="on the threshold")
    record(name, [(np.zeros(3), np.zeros(3), None)], note="no positives")
for name, argument in (("PrecisionAtRecall", "recall"), ("RecallAtPrecision", "precision"),
                       ("SensitivityAtSpecificity", "specificity"), ("SpecificityAtSensitivity", "sensitivity")):
    record(name, batches(bits(12), unit(12)), **{argument: 0.6})
    record(name, batches(bits(12), unit(12), (12,)), **{argument: 0.4, "num_thresholds": 20})
    record(name, batches(one_hot(3, 8), unit(8, 3)), **{argument: 0.5, "class_id": 1})
    record(name, batches(bits(6), unit(6)), **{argument: 0.7, "num_thresholds": 1})
    record(name, [(np.array([0, 0, 1, 1, 1]), np.array([0, 0.5, 0.3, 0.9, 1], "float32"), None)], **{argument: 1.0})
for curve in ("ROC", "PR", "PRGAIN"):
    for method in ("interpolation", "minoring", "majoring"):
        record("AUC", batches(bits(12), unit(12)), curve=curve, summation_method=method)
        record("AUC", batches(bits(12), unit(12), (12,)), curve=curve, summation_method=method, num_thresholds=5)
    record("AUC", batches(bits(8, 3), unit(8, 3), (8,)), curve=curve, multi_label=True)
    record("AUC", batches(bits(8, 3), unit(8, 3)), curve=curve, multi_label=True, label_weights=[1.0, 0.5, 2.0])
    record("AUC", batches(bits(8, 3), unit(8, 3), (8,)), curve=curve, label_weights=[1.0, 0.5, 2.0])
    record("AUC", batches(bits(12), floats(12)), curve=curve, from_logits=True)
    record("AUC", batches(bits(12), unit(12), (12,)), curve=curve, thresholds=[0.1, 0.5, 0.6])
    record("AUC", batches(bits(12), unit(12)), curve=curve, thresholds=[0.25, 0.5, 0.75])
    record("AUC", batches(bits(8, 3), unit(8, 3)), curve=curve, thresholds=[0.1, 0.7], multi_label=True)
    record("AUC", [(np.array([0, 0, 1, 1]), np.array([0, 0.5, 0.5, 1], "float32"), None)], curve=curve, num_thresholds=3)

# F-score, R².
for average in (None, "micro", "macro", "weighted"):
    record("FBetaScore", batches(one_hot(3, 6), unit(6, 3), (6,)), average=average, beta=2.0)
    record("FBetaScore", batches(bits(6, 3), unit(6, 3)), average=average, beta=0.5, threshold=0.6)
    record("F1Score", batches(one_hot(3, 6), unit(6, 3)), average=average)
    record("F1Score", batches(bits(6, 3), unit(6, 3), (6,)), average=average, threshold=0.5)
for aggregation in (None, "uniform_average", "variance_weighted_average"):
    record("R2Score", batches(floats(6, 2), floats(6, 2)), class_aggregation=aggregation)
    record("R2Score", batches(floats(6, 2), floats(6, 2), (6,)), class_aggregation=aggregation)
    record("R2Score", batches(floats(6, 2), floats(6, 2)), class_aggregation=aggregation, num_regressors=3)
record("R2Score", batches(floats(6, 1), floats(6, 1)))

# Intersection over union.
record("IoU", batches(classes(4, 10), classes(4, 10)), num_classes=4, target_class_ids=[0, 2])
record("IoU", batches(classes(4, 10), classes(4, 10), (10,), whole=True), num_classes=4, target_class_ids=[1])
record("IoU", batches(classes(4, 10), classes(4, 10), (10,)), num_classes=4, target_class_ids=[1, 3], dtype="float32")
record("IoU", batches(classes(4, 2, 3, 3), floats(2, 3, 3, 4)), num_classes=4, target_class_ids=[0, 1], sparse_y_pred=False)
record("IoU", batches(classes(5, 10), classes(4, 10)), num_classes=4, target_class_ids=[0, 1, 2, 3], ignore_class=1,
       note="labels outside of the classes")
record("BinaryIoU", batches(bits(8), unit(8)))
record("BinaryIoU", batches(bits(4, 3), unit(4, 3), (4, 3), whole=True), target_class_ids=[1], threshold=0.3)
record("BinaryIoU", batches(bits(8), unit(8), (8,)), target_class_ids=[0], threshold=0.7, dtype="float32")
record("MeanIoU", batches(classes(3, 8), classes(3, 8)), num_classes=3)
record("MeanIoU", batches(classes(3, 8), classes(3, 8), (8,), whole=True), num_classes=5)
record("MeanIoU", batches(one_hot(3, 8), unit(8, 3)), num_classes=3, sparse_y_true=False, sparse_y_pred=False, ignore_class=0)
record("OneHotIoU", batches(one_hot(3, 8), unit(8, 3)), num_classes=3, target_class_ids=[0, 2])
record("OneHotIoU", batches(one_hot(3, 8), classes(3, 8)), num_classes=3, target_class_ids=[1], sparse_y_pred=True)
record("OneHotIoU", batches(one_hot(3, 2, 4), floats(2, 4, 3), (2, 4), whole=True), num_classes=3, target_class_ids=[0, 1])
record("OneHotMeanIoU", batches(one_hot(3, 8), unit(8, 3)), num_classes=3)
record("OneHotMeanIoU", batches(one_hot(3, 8), unit(8, 3), (8,), whole=True), num_classes=3, ignore_class=1)
record("OneHotMeanIoU", batches(one_hot(3, 8), classes(3, 8)), num_classes=3, sparse_y_pred=True)
fixture.write()
