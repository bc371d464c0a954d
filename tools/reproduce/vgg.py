"""The VGG16 network with random weights as an ONNX model, written node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and channels of each stage; a max-pool of 2 x 2 ends it."""
HIDDEN = (4096, 4096)
CLASSES = 1000


def vgg16(side: int, seed: int, shrink: int = 1) -> onnx.ModelProto:
    """x (N, 3, side, side) -> y (N, 1000): 13 convolutions and 3 dense layers, He-normal weights, no biases.

    side: a multiple of 32. shrink: divides all widths, for tests. Source: Simonyan and Zisserman 2015,
    configuration D; He et al. 2015 for the weights, N(0, 2 / inputs).
    """
    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    weights: list[Any] = []
    value = "x"

    def add(op: str, *shape: int, **attributes: Any) -> None:
        nonlocal value
        inputs, out = [value], f"v{len(nodes)}"
        if shape:
            w: npt.NDArray[np.float32] = rng.standard_normal(shape, np.float32)
            w *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
            weights.append(numpy_helper.from_array(w, f"w{len(weights)}"))
            inputs.append(weights[-1].name)
        named = f"{op.lower()}{len(weights)}" if shape else f"{op.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [out], named, **attributes))
        value = out

    channels = 3
    for convolutions, wide in STAGES:
        for _ in range(convolutions):
            add("Conv", wide // shrink, channels, 3, 3, pads=[1, 1, 1, 1])
            add("Relu")
            channels = wide // shrink
        add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten")
    features = channels * (side // 32) ** 2
    for wide in HIDDEN:
        add("Gemm", wide // shrink, features, transB=1)
        add("Relu")
        features = wide // shrink
    add("Gemm", CLASSES // shrink, features, transB=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, side, side])
    y = helper.make_tensor_value_info(value, TensorProto.FLOAT, ["N", CLASSES // shrink])
    graph = helper.make_graph(nodes, "vgg16", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
