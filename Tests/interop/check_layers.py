"""What Keras makes of the models that the suite `Every layer for Keras` wrote: each configuration of each layer.

For each: weights and optimizer state bit for bit, predictions and the weights after one more Adam step within 1e-5; then
Keras saves what it loaded, and a model of its own with the same configurations, for the suite `Every layer from Keras`.
Run by `scripts/test --interop`; by hand: BACKPROP_INTEROP=DIR swift test … --filter InteropTests, then this with DIR.
`--first N`: of each layer N configurations.
"""

import gc
import inspect
import json
import os
import pathlib
import re
import sys
import traceback
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import keras
import numpy as np

from tensors import stored, tensor

FOLDER = pathlib.Path(sys.argv[1])
BACKEND = keras.backend.backend()
if BACKEND == "torch":
    import torch_attention
LIMIT = 1e-5
# The configurations in the fixtures are those of Keras 3.15.
IS_OLD = keras.__version__.startswith("3.0.")
TAG = keras.__version__ if IS_OLD else BACKEND


class Differs(Exception):
    pass


def difference(found, expected, what):
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    if found.shape != expected.shape:
        raise Differs(f"{what}: {found.shape}, expected {expected.shape}")
    worst = float(np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected)), initial=0))
    if not worst <= LIMIT:
        raise Differs(f"{what}: differs by {worst:.1e}")
    return worst


def identical(found, expected, what):
    if len(found) != len(expected):
        raise Differs(f"{what}: {len(found)}, expected {len(expected)}")
    for a, b in zip(found, expected):
        a = keras.ops.convert_to_numpy(a)
        if a.shape != b.shape or not np.array_equal(a, b):
            raise Differs(f"{what}: not the same bits")


def width(layer):
    return layer["config"].get("units", layer["config"].get("filters"))


def graph(name):
    """The configuration in our file."""
    with zipfile.ZipFile(FOLDER / f"{name}.keras") as archive:
        return json.loads(archive.read("config.json"))


def limitation(name, facts):
    """Why Keras can't do what a sample wants, or does it otherwise on this backend than on TensorFlow, whose numbers are ours;
    None where it can."""
    file, name, config = name, facts["class"], facts["layer"]["config"]
    if not hasattr(keras.layers, name):
        return f"Keras {keras.__version__} has no such layer"
    if name == "Bidirectional" and width(config["layer"]) != width(config["backward_layer"]):
        return "Keras takes the layer for both directions to be equally wide when it works out shapes"
    if BACKEND != "jax" and name == "MultiHeadAttention" and "return_attention_scores" in facts["options"]:
        return "Keras works out the shape of attention's scores from the query alone"
    if name == "SimpleRNNCell" and (config["dropout"] or config["recurrent_dropout"]):
        return "a cell that is called by itself keeps the mask of dropout that it drew when its model was made, for another batch"
    if IS_OLD:
        return old_limitation(file, name)
    if BACKEND == "jax" and name == "IntegerLookup":
        return "on JAX Keras looks numbers up outside of what can be traced"
    if BACKEND == "jax" and name == "MultiHeadAttention" and config["value_dim"] not in (None, config["key_dim"]):
        return "JAX's attention takes the values to be as wide as the queries"
    if BACKEND == "jax" and name == "RandomErasing" and isinstance(config["fill_value"], list):
        return "on JAX Keras takes no list for what is filled in"
    if BACKEND == "jax" and name == "Resizing" and config["interpolation"] == "bicubic" and not config["antialias"]:
        return "TensorFlow has its cubic from a table of 1024 places, and so have we; JAX computes it for the place itself"
    if BACKEND == "torch":
        if name in ("GRU", "LSTM") and config["stateful"]:
            return "on PyTorch Keras overwrites the state that a stateful layer carries, which its gradient needs"
        shape = facts["inputs"][0]["shape"]
        if name.startswith("AveragePooling") and config["padding"] == "same" and repeats_edges(config, shape[1:-1]):
            return "on PyTorch Keras repeats edges, and counts them into the average, where the two ends aren't padded alike"
        if name == "LayerNormalization" and are_inner(config["axis"], len(shape)):
            return "on PyTorch Keras takes neighbouring axes for the last ones"
        if name == "Resizing" and config["interpolation"] in ("lanczos3", "lanczos5", "area"):
            return "on PyTorch Keras has no such interpolation"
        if name == "Resizing" and config["interpolation"] == "bicubic" and not config["antialias"]:
            return "PyTorch's cubic has the slope -0.75 instead of -0.5 where it isn't asked to smooth, and repeats edges"
    return None


def repeats_edges(config, sizes):
    """Whether pooling pads one end more than the other, and a window so that its mean changes; all are channels last."""
    pads = [max(0, (-(-size // step) - 1) * step + window - size)
            for size, window, step in zip(sizes, config["pool_size"], config["strides"])]
    return any(pad % 2 for pad in pads) and any(pad and window > 2 for pad, window in zip(pads, config["pool_size"]))


def are_inner(axes, rank):
    """Whether axes are neighbours, written with one sign, and not the last ones."""
    axes = sorted(axes) if isinstance(axes, list) else [axes]
    return axes == list(range(axes[0], axes[0] + len(axes))) and axes[-1] not in (-1, rank - 1)


def old_limitation(file, name):
    """The same of Keras 3.0.5, which runs on a JAX that is younger than itself."""
    layer = next(layer for layer in graph(file)["config"]["layers"] if layer["class_name"] == name)
    if newer := set(layer["config"]) - known_keys(getattr(keras.layers, name)):
        return f"Keras 3.0.5 has no {', '.join(sorted(newer))} for {name}"
    if name == "RandomCrop":
        return "Keras 3.0.5 crops in inference too"
    if name in ("RandomRotation", "RandomTranslation", "RandomZoom"):
        return "JAX has dropped an argument's name with which Keras 3.0.5 transforms images"
    if name == "SpectralNormalization":
        return "Keras 3.0.5 takes an array's truth value when it trains this layer"
    return None


def step_limitation(facts):
    """Why the step after can't be compared; None where it can."""
    if facts["is_random"]:
        return "training draws random numbers"
    text = json.dumps(facts["layer"])
    if IS_OLD and (facts["class"] == "ActivityRegularization" or re.search(r'_regularizer": [^n]', text)):
        return "Keras 3.0.5 adds the losses of regularizers twice"
    # With a regularizer the gradient is whole.
    if BACKEND == "tensorflow" and facts["class"] == "Embedding" and not facts["layer"]["config"]["embeddings_regularizer"]:
        return "on TensorFlow Adam squares the gradients of an embedding's row that is read twice one by one, not their sum"
    if BACKEND == "jax" and facts["class"] == "SpectralNormalization":
        return "on JAX Keras drops what a layer assigns to a weight that is trained"
    if BACKEND == "torch" and has_idle_query(facts):
        return "on PyTorch the gradients of a query that attends to no key are other ones: but with TensorFlow's formula"
    return None


def has_idle_query(facts):
    """Whether a mask of attention, [batch, …, queries, keys], leaves a query without any key. Along several axes, queries
    have as many of the mask's, and so have keys."""
    if facts["class"] not in ("MultiHeadAttention", "GroupQueryAttention"):
        return False
    axes = facts["layer"]["config"].get("attention_axes") or [1]
    keys = tuple(range(-len(axes), 0))
    masks = [tensor(x) for x in facts["inputs"] if x["dtype"] == "bool"]
    return any(mask.ndim > 2 and not mask.any(axis=keys).all() for mask in masks)


def answer(model, facts):
    reset(model)
    return model.predict_on_batch([tensor(x) for x in facts["inputs"]])


def step(model, facts):
    reset(model)
    if BACKEND == "torch":
        # Keras clears gradients by their weights' paths: of two with one path, as in Bidirectional's cells, it forgets one.
        for weight in model.trainable_weights:
            weight.value.grad = None
    model.reset_metrics()  # Keras 3.0 gives the mean of all losses since
    return float(model.train_on_batch([tensor(x) for x in facts["inputs"]], tensor(facts["labels"]), return_dict=True)["loss"])


def eager(model):
    """Tracing takes TensorFlow longer than computing: `check_files.py` has it traced, here there are many models. What is
    saved says nothing of it."""
    model.run_eagerly = BACKEND == "tensorflow"


def reset(model):
    """What stateful layers carry is in no file."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def ours(name, facts):
    """Loads our file; saves it again before the step."""
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    identical(model.weights, [tensor(w) for w in facts["weights"]], "weights")
    identical(model.optimizer.variables, [tensor(v) for v in facts["state"]], "optimizer state")
    model.save(FOLDER / f"back-{TAG}-{name}.keras")
    eager(model)
    output = difference(answer(model, facts), tensor(facts["output"]), "output")
    if facts["is_random"]:
        return [output, 0.0]
    reason = step_limitation(facts)
    try:
        after = step_difference(model, facts)
    except Differs:
        if reason is None:
            raise
        return [output, replaced_scores(name, model, facts) if BACKEND == "torch" and has_idle_query(facts) else 0.0]
    if reason is not None:
        raise Differs(f"the step is the same, so this doesn't hold: {reason}")
    return [output, after]


def replaced_scores(name, model, facts):
    """Tries whether Keras' step on PyTorch is what torch_attention.py says; how far ours is from TensorFlow's formula."""
    theirs, ours = torch_attention.steps(lambda: keras.saving.load_model(FOLDER / f"{name}.keras"),
                                         lambda model: step(model, facts))
    for weight, expected in zip(model.weights, theirs):
        difference(keras.ops.convert_to_numpy(weight), expected, f"{weight.path}: PyTorch, a query without a key")
    return max(difference(found, tensor(expected), f"{weight.path} after a step, TensorFlow's formula")
               for weight, found, expected in zip(model.weights, ours, facts["after"]))


def step_difference(model, facts):
    worst = difference(step(model, facts), facts["loss"], "loss")
    for weight, expected in zip(model.weights, facts["after"]):
        found = keras.ops.convert_to_numpy(weight)
        worst = max(worst, difference(found, tensor(expected), f"{weight.path} after a step"))
    return worst


def theirs(name, facts):
    """A model of Keras' own: the graph of ours around the layer as the fixtures have it."""
    keras.utils.set_random_seed(1)
    whole = graph(name)
    whole.pop("compile_config")
    layers = whole["config"]["layers"]
    for layer in layers:
        if layer["class_name"] == facts["class"] and layer["name"] == layer["config"]["name"] == subject(facts, layers):
            layer["config"] = {**configuration(facts["layer"])["config"], "name": layer["name"]}
            layer.pop("build_config", None)
    model = keras.saving.deserialize_keras_object(whole)
    if facts["adapt"] is not None:
        model.get_layer(subject(facts, layers)).adapt(tensor(facts["adapt"]))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    eager(model)
    for _ in range(2):
        step(model, facts)
    # A gradient that is zero but for rounding, such as that of a bias before a softmax, would be divided by itself.
    for velocity in model.optimizer.variables[3::2]:
        velocity.assign(velocity + 1e-4)
    model.save(FOLDER / f"keras-{TAG}-{name}.keras")
    values = {key: facts[key] for key in ("class", "inputs", "labels")}
    values["output"] = stored(answer(model, facts))
    values["weights"] = [stored(keras.ops.convert_to_numpy(w)) for w in model.weights]
    values["state"] = [stored(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables]
    values["is_random"] = step_limitation(facts) is not None
    if not values["is_random"]:
        values["loss"] = step(model, facts)
        values["after"] = [stored(keras.ops.convert_to_numpy(w)) for w in model.weights]
    (FOLDER / f"keras-{TAG}-{name}.json").write_text(json.dumps(values))


def configuration(value):
    """A configuration of the fixtures; for an old Keras without what it doesn't know."""
    if not IS_OLD:
        return value
    if isinstance(value, list):
        return [configuration(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    # Keras 3.0's Bidirectional keeps the layer that it was made of beside the two that it makes of it; where that was built,
    # it has weights that nothing computes with.
    value = {key: configuration(v) for key, v in value.items() if key != "build_config"}
    if value.get("class_name") == "Orthogonal":
        value["class_name"] = "OrthogonalInitializer"
    made = next((getattr(module, value["class_name"]) for module in (keras.layers, keras.initializers)
                 if hasattr(module, value.get("class_name") or "")), None)
    if made is not None and isinstance(value.get("config"), dict):
        known = known_keys(made)
        value["config"] = {k: v for k, v in value["config"].items() if k in known}
    return value


def known_keys(made):
    """What the constructors of a class take."""
    known = {"name", "trainable", "dtype"} if issubclass(made, keras.layers.Layer) else set()
    for base in made.__mro__:
        known.update(inspect.signature(base.__init__).parameters)
    return known


def subject(facts, layers):
    """The name of the layer that the sample is about: the first of its class."""
    return next(layer["config"]["name"] for layer in layers if layer["class_name"] == facts["class"])


def models():
    names = sorted(path.stem for path in FOLDER.glob("layer-*.json"))
    if "--first" in sys.argv:
        count = int(sys.argv[sys.argv.index("--first") + 1])
        names = [name for name in names if int(name.rsplit("-", 1)[1]) < count]
    assert names, "the suite wrote no models"
    worst, failures, limits, steps, done = [0.0, 0.0], [], {}, {}, {"back": [], "keras": []}
    for name in names:
        facts = json.loads((FOLDER / f"{name}.json").read_text())
        if name == names[1]:
            gc.freeze()  # clear_session collects, and would look at all of TensorFlow, which the first sample loaded, each time
        keras.backend.clear_session()
        reason, failed = limitation(name, facts), 0
        steps.setdefault(step_limitation(facts), []).append(name.removeprefix("layer-"))
        for kind, check in (("back", ours), ("keras", theirs)):
            try:
                found = check(name, facts)
            except Exception as error:
                failed += 1
                if reason is None:
                    failures.append(f"{name}, {kind}: {type(error).__name__}: {error}".replace("\n", " ")[:500])
                    print("failed:", failures[-1], flush=True)
                    if os.environ.get("TRACE"):
                        traceback.print_exc()
                continue
            if reason is None:
                done[kind].append(name)
                worst = [max(pair) for pair in zip(worst, found or worst)]
        if reason is not None:
            limits.setdefault(reason, []).append((name.removeprefix("layer-"), failed))
    for reason, samples in steps.items():
        if reason is not None:
            print(f"no step compared, {reason}: {', '.join(samples)}")
    for reason, samples in limits.items():
        print(f"left out, {reason}: {', '.join(sample for sample, _ in samples)}")
        if untrue := [sample for sample, failed in samples if not failed]:
            failures.append(f"this doesn't hold of {', '.join(untrue)}: {reason}")
    (FOLDER / f"done-{TAG}.json").write_text(json.dumps({"tag": TAG, "models": done}))
    print(f"ok: {len(done['back'])} of {len(names)} models of ours, Keras {keras.__version__} on {BACKEND}: largest difference of "
          f"predictions {worst[0]:.1e}, after a step {worst[1]:.1e}", flush=True)
    return failures


def texts():
    """Layers of text stand before models here, so it is their configurations that are exchanged."""
    failures, back = [], []
    if IS_OLD:
        return failures  # models alone
    for facts in json.loads((FOLDER / "texts.json").read_text()):
        try:
            made = keras.saving.deserialize_keras_object({
                "module": "keras.layers", "class_name": facts["class"], "config": facts["config"], "registered_name": None})
            difference(made(keras.tree.map_structure(str, facts["strings"])), tensor(facts["output"]), facts["name"])
            whole = {**facts["layer"], "module": "keras.layers", "registered_name": None}
            if facts["adapt"] is not None:
                # Keras notes the size of the vocabulary that isn't there yet, and refuses another one.
                whole["config"] = {k: v for k, v in whole["config"].items() if k != "vocabulary_size"}
            layer = keras.saving.deserialize_keras_object(whole)
            config = layer.get_config()
            if facts["adapt"] is not None:
                layer.adapt(facts["adapt"])
                # What was adapted is in the assets of a model's file; the vocabulary can be had from the layer alone.
                config = None
            if config is not None:
                answer = stored(keras.ops.convert_to_numpy(layer(facts["strings"])))
                back.append({"name": facts["name"], "class": facts["class"], "config": keras.saving.serialize_keras_object(config),
                             "strings": facts["strings"], "output": answer})
        except Exception as error:
            failures.append(f"{facts['name']}: {type(error).__name__}: {error}".replace("\n", " ")[:500])
    (FOLDER / f"texts-{TAG}.json").write_text(json.dumps(back))
    print(f"ok: {len(back)} layers of text", flush=True)
    return failures


if failures := models() + texts():
    sys.exit("\n".join(["failed:", *failures]))
