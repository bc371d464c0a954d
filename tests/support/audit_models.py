"""Models on which an audit must fire, or must not: deep stacks, linear classifiers, sawtooths."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.explainer import Explainer

DEEP = 12


def dense_model(*layers: tuple[Any, Any], rectify: bool = True) -> onnx.ModelProto:
    """x (N, inputs) -> y (N, outputs) by Gemms (w, b or None), with ReLUs between."""
    nodes, constants, value = [], [], "x"
    for i, (w, b) in enumerate(layers):
        last = i == len(layers) - 1
        out = "y" if last else f"z{i}"
        names = [value, f"w{i}"] + ([] if b is None else [f"b{i}"])
        nodes.append(helper.make_node("Gemm", names, [out], f"layer{i}"))
        constants.append(numpy_helper.from_array(np.asarray(w, np.float32), f"w{i}"))
        if b is not None:
            constants.append(numpy_helper.from_array(np.asarray(b, np.float32), f"b{i}"))
        value = out
        if rectify and not last:
            nodes.append(helper.make_node("Relu", [out], [f"a{i}"], f"relu{i}"))
            value = f"a{i}"
    return _model(nodes, [len(layers[0][0])], [len(layers[-1][0][0])], constants)


def conv_model(
    rng: np.random.Generator, depth: int = DEEP, channels: int = 8, classes: int = 10
) -> onnx.ModelProto:
    """x (N, 1, 12, 12) through random 3 x 3 convolutions with ReLUs, and a dense layer."""
    nodes, constants, value = [], [], "x"
    for i in range(depth):
        before = 1 if i == 0 else channels
        w = rng.standard_normal((channels, before, 3, 3)) * np.sqrt(2 / (9 * before))
        constants.append(numpy_helper.from_array(w.astype(np.float32), f"w{i}"))
        nodes.append(helper.make_node("Conv", [value, f"w{i}"], [f"z{i}"], f"conv{i}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"], f"relu{i}"))
        value = f"a{i}"
    nodes.append(helper.make_node("Flatten", [value], ["flat"], "flatten"))
    w = rng.standard_normal((channels * 144, classes)) * np.sqrt(1 / (channels * 144))
    constants.append(numpy_helper.from_array(w.astype(np.float32), "w"))
    nodes.append(helper.make_node("Gemm", ["flat", "w"], ["y"], "dense"))
    return _model(nodes, [1, 12, 12], [classes], constants)


def _model(nodes: list[Any], inputs: list[int], outputs: list[int], constants: list[Any]) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *inputs])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *outputs])
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def deep_stack(method: str, width: int = 64, depth: int = DEEP, **options: Any) -> tuple[Explainer, Any]:
    """Random dense ReLU layers, ten classes, a non-negative input."""
    rng = np.random.default_rng(1)
    sizes = [*[width] * depth, 10]
    layers = [(rng.standard_normal(pair) * np.sqrt(2 / pair[0]), None) for pair in itertools.pairwise(sizes)]
    return Explainer(dense_model(*layers), method, **options), rng.random((1, width), np.float32)


def deep_convolutions(method: str) -> tuple[Explainer, Any]:
    """Random convolutions with ReLUs, ten classes, a non-negative image."""
    rng = np.random.default_rng(2)
    return Explainer(conv_model(rng), method), rng.random((1, 1, 12, 12), np.float32)


def linear_model(method: str) -> tuple[Explainer, Any]:
    """y = x w, w >= 0: each of ten classes has four inputs of its own. Every rule of shares agrees on it."""
    rng = np.random.default_rng(3)
    w = 0.02 * rng.random((40, 10)) + np.kron(np.eye(10), np.ones((4, 1)))
    x = 0.2 + 0.8 * rng.random((1, 40), np.float32)
    return Explainer(dense_model((w, None)), method, input_range=(0, 1)), x


def biased(method: str, bias: str | None = None) -> tuple[Explainer, Any]:
    """Two layers whose hidden biases are as large as what the inputs bring."""
    rng = np.random.default_rng(4)
    first, second = rng.random((6, 8)) / 6, rng.random((8, 3))
    model = dense_model((first, np.ones(8)), (second, None))
    return Explainer(model, method, bias=bias, input_range=(0, np.inf)), rng.random((1, 6), np.float32)


def sawtooth(method: str) -> tuple[Explainer, Any]:
    """f(x) = a wave of 400 ReLU teeth in each of 20 inputs: its slope flips every 1/400 of the range."""
    teeth, inputs = 400, 20
    first = np.kron(np.eye(inputs), np.ones((1, teeth)))
    kinks = np.tile(-np.arange(teeth) / teeth, inputs)
    slopes = np.where(np.arange(teeth) == 0, 1.0, 2.0 * (-1.0) ** np.arange(teeth))
    second = np.kron(np.eye(inputs), slopes[:, None]).sum(axis=1, keepdims=True)
    rng = np.random.default_rng(5)
    return Explainer(dense_model((first, kinks), (second, None)), method, input_range=(0, 1)), rng.random(
        (1, inputs), np.float32
    )


def cancelling(method: str, **options: Any) -> tuple[Explainer, Any]:
    """y = 100 a - 99.9 b: two amounts that nearly cancel at a = b."""
    model = dense_model(([[100.0], [-99.9]], None))
    return Explainer(model, method, **options), np.ones((1, 2), np.float32)


def unbounded(method: str) -> tuple[Explainer, Any]:
    """y = x w of any x: Deep Taylor's rule there, w-square, shares by the weights alone."""
    rng = np.random.default_rng(6)
    return Explainer(dense_model((rng.random((12, 3)), None)), method), rng.random((1, 12), np.float32)
