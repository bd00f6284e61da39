"""What a real TensorBoard shows of the runs that the suite `Files for h5py and Keras` wrote into a folder: asked through
its web server, with the loader in Python and with its data server. Run by `scripts/test --interop`."""

import io
import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard import default, program
from tensorboard.compat.proto.graph_pb2 import GraphDef

FOLDER = pathlib.Path(sys.argv[1])


class Board:
    """TensorBoard on a port of its own, on this machine alone."""

    def __init__(self, folder, load_fast):
        board = program.TensorBoard(default.get_plugins())
        board.configure(argv=[None, "--logdir", str(folder), "--host", "127.0.0.1", "--port", "0", "--load_fast", load_fast])
        self.address = board.launch()

    def read(self, path, body=None, **query):
        url = f"{self.address}data/plugin/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def json(self, path, body=None, **query):
        return json.loads(self.read(path, body, **query))

    def wait(self, path, run, tag):
        """Runs are read in the background."""
        for _ in range(100):
            tags = self.json(path)
            if tag in tags.get(run, {}):
                return tags
            time.sleep(0.2)
        raise AssertionError(f"{path}: no {tag} in {run}: {tags}")


def series(board, run, tag):
    return [(step, value) for _, step, value in board.json("scalars/scalars", run=run, tag=tag)]


def scalars(board, history):
    tags = board.wait("scalars/tags", "validation", "evaluation_loss_vs_iterations")
    assert set(tags["train"]) == {
        "epoch_loss", "epoch_accuracy", "epoch_learning_rate", "epoch_steps_per_second", "batch_loss", "batch_accuracy"}, tags
    assert set(tags["validation"]) == {
        "epoch_loss", "epoch_accuracy", "evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations"}, tags
    for run, prefix in (("train", ""), ("validation", "val_")):
        for name in ("loss", "accuracy"):
            found = series(board, run, f"epoch_{name}")
            assert [step for step, _ in found] == [0, 1], found
            assert np.allclose([value for _, value in found], history[prefix + name], atol=1e-6), (found, history)
    assert [step for step, _ in series(board, "train", "batch_loss")] == [2, 4, 6]
    assert np.allclose([value for _, value in series(board, "train", "epoch_learning_rate")], [0.001, 0.001])


def histograms(board):
    tags = board.wait("histograms/tags", "train", "sequential/dense/kernel/histogram")
    weights = {"sequential/dense/kernel": 20, "sequential/dense/bias": 4, "sequential/dense_1/kernel": 12, "sequential/dense_1/bias": 3}
    assert set(tags["train"]) == {f"{name}/histogram" for name in weights}, tags
    for name, count in weights.items():
        shown = board.json("histograms/histograms", run="train", tag=f"{name}/histogram")
        assert [step for _, step, _ in shown] == [0, 1], shown
        for _, _, rows in shown:
            assert len(rows) == 30 and sum(n for _, _, n in rows) == count, rows
            assert all(left <= right for left, right, _ in rows), rows


def images(board):
    tags = board.wait("images/tags", "train", "sequential/dense/kernel/image")
    assert set(tags["train"]) >= {"sequential/dense/kernel/image", "sequential/dense_1/bias/image"}, tags
    shown = board.json("images/images", run="train", tag="sequential/dense/kernel/image", sample=0)
    assert [image["step"] for image in shown] == [0, 1], shown
    query = dict(urllib.parse.parse_qsl(shown[0]["query"]))
    picture = Image.open(io.BytesIO(board.read("images/individualImage", **query)))
    # A weight's smallest number is black, its largest white.
    assert picture.format == "PNG" and picture.size == (4, 5) and picture.getextrema() == (0, 255), picture


def text(board):
    board.wait("text/tags", "train", "note")
    shown = board.json("text/text", run="train", tag="note")
    assert [(note["step"], note["text"]) for note in shown] == [
        (step, f"<p><strong>epoch</strong> {step}</p>") for step in (0, 1)], shown


def hyperparameters(board):
    experiment = board.json("hparams/experiment", {"experimentName": ""})
    assert {info["name"] for info in experiment["hparamInfos"]} == {"units", "optimizer", "flag"}, experiment
    groups = board.json("hparams/session_groups", {
        "experimentName": "", "allowedStatuses": ["STATUS_SUCCESS"], "colParams": [], "startIndex": 0, "sliceSize": 10})
    (group,) = groups["sessionGroups"]
    assert group["hparams"] == {"units": 4.0, "optimizer": "adam", "flag": True}, group
    (session,) = group["sessions"]
    assert session["status"] == "STATUS_SUCCESS" and session["endTimeSecs"] >= session["startTimeSecs"] > 0, session


def edges(board):
    info = board.json("graphs/info")
    assert info["train"]["tags"]["keras"]["conceptual_graph"] is True, info
    graph = GraphDef()
    text_format.Parse(board.read("graphs/graph", run="train", tag="keras", conceptual="true").decode(), graph)
    return {(start, node.name) for node in graph.node for start in node.input}, {
        node.name: node.attr["keras_class"].s.decode() for node in graph.node}


def sequence_graph(board):
    found, classes = edges(board)
    assert found == {("sequential/input_layer", "sequential/dense"), ("sequential/dense", "sequential/dense_1")}, found
    assert classes["sequential/dense"] == "Dense", classes


def branched_graph(board):
    """Two branches that meet, one layer that is used by both, a model inside."""
    board.wait("scalars/tags", "train", "epoch_loss")
    found, classes = edges(board)
    expected = [("a", "left"), ("left", "shared"), ("b", "shared"), ("left", "joined"), ("shared", "joined"),
                ("joined", "tail/input_layer"), ("tail/input_layer", "tail/last"), ("tail/last", "kind")]
    assert found == {tuple(f"graph/{end}" for end in edge) for edge in expected}, (sorted(found), classes)


for load_fast in ("false", "true"):
    board = Board(FOLDER / "runs", load_fast)
    scalars(board, json.loads((FOLDER / "runs.json").read_text()))
    for check in (histograms, images, text, hyperparameters, sequence_graph):
        check(board)
    branched_graph(Board(FOLDER / "branches", load_fast))
    print(f"ok: TensorBoard{', its data server' if load_fast == 'true' else ''}: scalars, histograms, images, text, "
          "hyperparameters, graphs", flush=True)
