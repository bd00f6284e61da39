"""ONNX Runtime's answer to one sample, with the weights that ours wrote down, checked against ours: as many threads as it
takes by itself, or one."""

import sys
import time

import numpy as np
import onnx
import onnxruntime
import peer
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Graph:
    """Nodes in a chain, each with its weights."""

    def __init__(self, shape):
        self.shape, self.value, self.nodes, self.weights = shape, "x", [], []

    def add(self, kind, *weights, **attributes):
        names = [f"w{len(self.weights) + n}" for n in range(len(weights))]
        self.weights += [numpy_helper.from_array(np.ascontiguousarray(w), n) for w, n in zip(weights, names)]
        result = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.value, *names], [result], **attributes))
        self.value = result

    def model(self):
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        result = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, [1, 10])
        graph = helper.make_graph(self.nodes, "network", [given], [result], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def guide(weights):
    graph = Graph([1, 784])
    for layer in range(3):
        graph.add("Gemm", weights[2 * layer], weights[2 * layer + 1])
        graph.add("Softmax" if layer == 2 else "Relu")
    return graph.model()


def convnet(weights):
    """Channels first, as ONNX has it: the last kernel's rows are put in that order, so that nothing is transposed at run time."""
    graph = Graph([1, 1, 28, 28])
    for layer in range(2):
        graph.add("Conv", weights[2 * layer].transpose(3, 2, 0, 1), weights[2 * layer + 1])
        graph.add("Relu")
        graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    graph.add("Flatten")
    graph.add("Gemm", weights[4].reshape(5, 5, 64, 10).transpose(2, 0, 1, 3).reshape(1600, 10), weights[5])
    graph.add("Softmax")
    return graph.model()


NETWORKS = {"latency-guide": guide, "latency-convnet": convnet}


def latency(bench, arm, folder):
    """Seconds of each call, its result read."""
    given = load_file(f"{folder}/{bench}.safetensors")
    model = NETWORKS[bench]([given[f"w{n}"] for n in range(len(given) - 2)])
    onnx.checker.check_model(onnx.load_from_string(model))
    options = onnxruntime.SessionOptions()
    if arm.endswith("-1"):
        options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = given["x"].reshape(session.get_inputs()[0].shape)
    for _ in range(500):
        found = session.run(None, {"x": x})[0]
    if np.abs(found - given["y"]).max() > 1e-5:
        sys.exit(f"{found} where ours is {given['y']}")
    samples, end = [], time.perf_counter() + 3
    while time.perf_counter() < end:
        start = time.perf_counter()
        result = session.run(None, {"x": x})[0].tolist()
        samples.append(time.perf_counter() - start)
        if len(result[0]) != 10:
            sys.exit("no result")
    peer.report(bench, arm, "a sample", samples)
