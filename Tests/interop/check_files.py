"""Opens the files that the suite `Files for h5py and Keras` wrote into a folder with h5py and Keras.

Run by `scripts/test --interop`; by hand: BACKPROP_INTEROP=DIR swift test … --filter InteropTests, then this with DIR.
"""

import base64
import contextlib
import json
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import h5py
import keras
import numpy as np

if keras.backend.backend() == "torch":
    import torch_attention

FOLDER = pathlib.Path(sys.argv[1])
# With --models WORD only the models with it in their names.
NAMED = sys.argv[3] if sys.argv[2:3] == ["--models"] else ""


def counting(shape, dtype):
    """As in Tests/Fixtures/generate/hdf5_files.py."""
    count = int(np.prod(shape))
    return (np.arange(count) % (2 if dtype == "bool" else 100)).astype(dtype).reshape(shape)


def hdf5_sample():
    with h5py.File(FOLDER / "sample.h5", "r") as file:
        assert file.attrs["name"] == "sample ü" and file.attrs["empty"] == "", dict(file.attrs)
        assert file["nothing/vars"].attrs["name"] == "nothing" and len(file["nothing/vars"]) == 0
        for dtype in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
            data = file[f"types/{dtype}/0"]
            assert data.dtype == dtype and np.array_equal(data[()], counting((3, 5), dtype)), dtype
        half = file["types/bfloat16/0"]
        assert half.attrs["dtype"] == "bfloat16" and half.dtype == "V2", half.dtype
        upper = half[()].view("uint16").astype("uint32") << 16
        assert np.array_equal(upper.view("float32"), counting((3, 5), "float32"))
        assert file["shapes/scalar"][()] == 7 and file["shapes/scalar"].shape == ()
        assert file["shapes/empty"].shape == (0, 3) and file["shapes/empty"][()].size == 0
        assert np.array_equal(file["shapes/rank5"][()], counting((1, 2, 3, 2, 1), "int32"))


def hdf5_large():
    with h5py.File(FOLDER / "large.h5", "r") as file:
        assert len(file) == 2501 and sorted(file) == sorted(["vars"] + [f"g{i}" for i in range(2500)])
        assert len(file["vars"]) == 2500 and all(file[f"vars/{i}"][()] == i for i in range(2500))
        assert all(file[f"g{i}"].attrs["name"] == f"layer {i}" for i in range(2500))


def tensor(stored):
    """A tensor of a fixture."""
    if "base64" in stored:
        flat = np.frombuffer(base64.b64decode(stored["base64"]), stored["dtype"])
    else:
        flat = np.array(stored["data"], stored["dtype"])
    return flat.reshape(stored["shape"])


def close(found, expected, what, tolerance=1e-5):
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    assert found.shape == expected.shape, f"{what}: {found.shape} {expected.shape}"
    worst = float(np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected)), initial=0))
    assert worst <= tolerance, f"{what}: differs by {worst}"
    return worst


def model_file(name, facts):
    """Weights and optimizer state bit for bit; predictions, and the weights after one more step, within 1e-5."""
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    weights = [tensor(w) for w in facts["weights"]]
    assert len(weights) == len(model.weights)
    for weight, expected in zip(model.get_weights(), weights):
        assert np.array_equal(weight, expected), f"{name}: a weight differs"
    state = [tensor(v) for v in facts["state"]]
    found = [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
    assert len(found) == len(state), f"{name}: {len(found)} optimizer variables, {len(state)} expected"
    for variable, expected in zip(found, state):
        assert np.array_equal(variable, expected), f"{name}: optimizer state differs: {variable} {expected}"
    inputs, labels = tensor(facts["input"]), tensor(facts["labels"])
    if keras.backend.backend() != "tensorflow" and any(
            isinstance(x, keras.layers.Resizing) and x.interpolation == "bicubic" and not x.antialias for x in model.layers):
        # The reasons are in check_layers.py.
        print(f"no prediction compared of {name}, only TensorFlow's cubic is ours")
        return 0.0
    worst = close(model.predict(inputs, verbose=0), tensor(facts["output"]), f"{name}: output")
    if "other" in facts:
        other = model.predict(tensor(facts["other"]), verbose=0)
        worst = max(worst, close(other, tensor(facts["other_output"]), f"{name}: output for samples of another size"))
    if keras.backend.backend() == "jax" and any(isinstance(x, keras.layers.SpectralNormalization) for x in model.layers):
        print(f"no step compared of {name}, on JAX Keras drops what a layer assigns to a weight that is trained")
    elif "after" in facts:
        before = schedule_free(model)
        with watched_attention() as idle:
            loss = model.train_on_batch(inputs, labels, return_dict=True)["loss"]
        worst = max(worst, close(loss, facts["loss"], f"{name}: loss"))
        late = read_late(model, before)
        after = [late.get(id(weight), keras.ops.convert_to_numpy(weight)) for weight in model.weights]
        if any(idle):
            after = replaced_scores(name, after, lambda model: model.train_on_batch(inputs, labels))
        for found, expected in zip(after, facts["after"]):
            worst = max(worst, close(found, tensor(expected), f"{name}: weight after a step"))
    return worst


def watched_attention():
    return torch_attention.attention() if keras.backend.backend() == "torch" else contextlib.nullcontext([])


def replaced_scores(name, after, step):
    """What Keras' step on PyTorch is where a query attends to no key, and the step with TensorFlow's formula, which is ours."""
    theirs, ours = torch_attention.steps(lambda: keras.saving.load_model(FOLDER / f"{name}.keras"), step)
    for found, expected in zip(after, theirs):
        close(found, expected, f"{name}: PyTorch, a query without a key")
    far = max(float(np.max(np.abs(a - b))) for a, b in zip(after, ours))
    print(f"a query of {name} attends to no key: the step compared is TensorFlow's, PyTorch's differs by {far:.1e}")
    return ours


def schedule_free(model):
    """Of ScheduleFreeAdamW on JAX each weight that is trained, and what Keras calls its momentum: where steps lead."""
    # Keras 3.0.5 doesn't have it.
    known = getattr(keras.optimizers, "ScheduleFreeAdamW", ())
    if keras.backend.backend() != "jax" or not isinstance(model.optimizer, known):
        return []
    optimizer = model.optimizer
    return [(weight, *map(keras.ops.convert_to_numpy, (weight, momentum)))
            for weight, momentum in zip(optimizer._trainable_variables, optimizer._momentums)]


def read_late(model, before):
    """What ScheduleFreeAdamW makes of weights on TensorFlow and PyTorch, and here, of a step on JAX. To find the mean before a
    step, JAX takes off the momentum before it, as in the paper; elsewhere the same line of Keras reads it after the step."""
    iterations = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    share, rate = 1 - getattr(model.optimizer, "beta_1", 0), 1 / max(1, iterations)
    weights = {}
    for (weight, old, old_momentum), (_, found, momentum) in zip(before, schedule_free(model)):
        def step(taken_off):
            mean = (1 - rate) * (old - share * taken_off) + rate * (1 - share) * momentum
            moved = share * momentum + mean
            return np.maximum(moved, 0) if weight.constraint is not None else moved
        close(found, step(old_momentum), f"{weight.path}: JAX, from the momentum before the step")
        weights[id(weight)] = step(momentum)
    return weights


def models():
    cases = {}
    for name in ("keras_files", "optimizer_files", "functional_files", "attention_files", "recurrent_files", "open_files"):
        fixtures = json.loads((pathlib.Path(__file__).parent.parent / f"Fixtures/{name}.json").read_text())
        cases.update({case["name"]: case for case in fixtures["cases"]})
    ours = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("ours-*.json"))}
    assert len(ours) >= 10, "the suite wrote no models"
    failures, worst = [], 0.0
    chosen = {name: facts for name, facts in {**cases, **ours}.items() if NAMED in name}
    assert chosen, f"no model has '{NAMED}' in its name"
    for name, facts in chosen.items():
        if keras.backend.backend() == "jax" and name == "attention":
            print("left out, JAX's attention takes the values to be as wide as the queries: attention.keras")
            continue
        try:
            difference = model_file(name, facts)
        except Exception as error:
            failures.append(f"{name}.keras: {type(error).__name__}: {error}".replace("\n", " ")[:500])
            print("failed:", failures[-1], flush=True)
            continue
        worst = max(worst, difference)
        print(f"ok: {name}.keras, {keras.backend.backend()}, largest difference {difference:.1e}", flush=True)
    print(f"Models, Keras on {keras.backend.backend()}: largest difference {worst:.1e}, {len(failures)} failed")
    assert not failures, failures


def weights():
    """Weights alone: by Keras' own load_weights, by safetensors and by NumPy."""
    import safetensors.numpy

    model = keras.saving.load_model(FOLDER / "alone.keras")
    expected = model.get_weights()
    names = ["first.kernel", "first.bias", "sequential.dense.kernel", "sequential.dense.bias", "sequential.dense_1.kernel",
             "p_re_lu.alpha", "dense.kernel", "dense.bias"]
    for found in (safetensors.numpy.load_file(FOLDER / "alone.safetensors"), dict(np.load(FOLDER / "alone.npz"))):
        assert sorted(found) == sorted(names), sorted(found)
        assert all(np.array_equal(found[name], value) for name, value in zip(names, expected))
    with safetensors.safe_open(FOLDER / "alone.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
    model.set_weights([np.zeros_like(value) for value in expected])
    model.load_weights(FOLDER / "alone.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), expected))
    assert np.array_equal(np.load(FOLDER / "matrix.npy"), counting((3, 5), "float32"))


def tensorboard():
    """What a real TensorBoard reads of a run, with its Python loader and its data server's."""
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    history = json.loads((FOLDER / "runs.json").read_text())
    for run, prefix in (("train", ""), ("validation", "val_")):
        events = event_accumulator.EventAccumulator(str(FOLDER / "runs" / run), size_guidance={"tensors": 0})
        events.Reload()
        tags = events.Tags()["tensors"]
        for name in ("loss", "accuracy"):
            found = [tensor_util.make_ndarray(e.tensor_proto) for e in events.Tensors(f"epoch_{name}")]
            steps = [e.step for e in events.Tensors(f"epoch_{name}")]
            assert steps == [0, 1] and np.allclose(found, history[prefix + name], atol=1e-6), (found, history)
        if run == "validation":
            assert "evaluation_loss_vs_iterations" in tags, tags
            continue
        assert [e.step for e in events.Tensors("batch_loss")] == [2, 4, 6]
        rows = tensor_util.make_ndarray(events.Tensors("sequential/dense/kernel/histogram")[0].tensor_proto)
        assert rows.shape == (30, 3) and rows[:, 2].sum() == 20, rows
        image = tensor_util.make_ndarray(events.Tensors("sequential/dense/kernel/image")[0].tensor_proto)
        assert image[0] == b"4" and image[1] == b"5", image[:2]
        import io

        from PIL import Image
        assert Image.open(io.BytesIO(image[2])).size == (4, 5)
        graph = json.loads(tensor_util.make_ndarray(events.Tensors("keras")[0].tensor_proto).item())
        assert graph["class_name"] == "Sequential" and len(graph["config"]["layers"]) == 3
        assert tensor_util.make_ndarray(events.Tensors("note")[1].tensor_proto).item() == b"**epoch** 1"
        from tensorboard.plugins.hparams import metadata

        content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(content)
        assert start.hparams["units"].number_value == 4 and start.hparams["optimizer"].string_value == "adam"
        assert start.hparams["flag"].bool_value is True
        end = metadata.parse_session_end_info_plugin_data(
            events.SummaryMetadata("_hparams_/session_end_info").plugin_data.content)
        assert end.status == 1


for check in (models,) if NAMED else (hdf5_sample, hdf5_large, weights, tensorboard, models):
    check()
    print(f"ok: {check.__name__}")
