"""An ONNX model in the making: nodes as they are called, random weights under the names that torch gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
DRAWN = 1 << 20
Dimension = int | str


class Builder:
    """Adds nodes and weights; a value is its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)
        self._inputs: list[onnx.ValueInfoProto] = []

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output."""
        name = f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def input(self, name: str, shape: Sequence[Dimension], dtype: int = TensorProto.FLOAT) -> str:
        """Add an input."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def constant(self, array: Any, name: str = "") -> str:
        """Add an initializer, float64 as float32."""
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = name or f"constant_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, name: str, shape: Sequence[int], deviation: float) -> str:
        """Add weights drawn from a normal distribution around 0; the first million of them, again and again."""
        drawn = self._rng.standard_normal(min(math.prod(shape), DRAWN), np.float32)
        return self.constant(np.resize(drawn * np.float32(deviation), shape), name)

    def uniform(self, name: str, size: int, low: float, high: float) -> str:
        """Add a vector of weights between two numbers."""
        return self.constant(self._rng.uniform(low, high, size), name)

    def conv(
        self, x: str, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> str:
        """A convolution that keeps the size but for its stride; the weights after He."""
        w = self.normal(
            f"{name}.weight", (outputs, inputs, kernel, kernel), math.sqrt(2 / (inputs * kernel**2))
        )
        b = [self.normal(f"{name}.bias", (outputs,), 0.05)] if bias else []
        pads = [(kernel - 1) // 2] * 4
        return self("Conv", x, w, *b, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def batch_norm(self, x: str, name: str, channels: int) -> str:
        """A batch normalisation with random statistics."""
        ranges = {
            "weight": (0.3, 0.9),
            "bias": (-0.3, 0.3),
            "running_mean": (-0.3, 0.3),
            "running_var": (0.5, 2),
        }
        parts = [self.uniform(f"{name}.{part}", channels, *ends) for part, ends in ranges.items()]
        return self("BatchNormalization", x, *parts, epsilon=1e-5)

    def gemm(self, x: str, name: str, inputs: int, outputs: int) -> str:
        """A dense layer of a matrix, its weights (outputs, inputs) as torch exports them."""
        w = self.normal(f"{name}.weight", (outputs, inputs), math.sqrt(2 / inputs))
        return self("Gemm", x, w, self.normal(f"{name}.bias", (outputs,), 0.05), transB=1)

    def dense(self, x: str, name: str, inputs: int, outputs: int, *, bias: bool = True) -> str:
        """A dense layer of the last axis, its weights (inputs, outputs) as torch exports them."""
        w = self.normal(f"{name}.weight", (inputs, outputs), math.sqrt(1 / inputs))
        product = self("MatMul", x, w)
        return self("Add", self.normal(f"{name}.bias", (outputs,), 0.05), product) if bias else product

    def layer_norm(self, x: str, name: str, size: int) -> str:
        """A layer normalisation of the last axis."""
        weight, bias = (
            self.uniform(f"{name}.weight", size, 0.8, 1.2),
            self.normal(f"{name}.bias", (size,), 0.05),
        )
        return self("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-12)

    def reshape(self, x: str, *shape: int) -> str:
        """x in another shape; 0 keeps a size."""
        return self("Reshape", x, self.constant(np.array(shape, np.int64)))

    def model(self, value: str, name: str, shape: Sequence[Dimension]) -> onnx.ModelProto:
        """The model whose one output is the value, under this name."""
        last = helper.make_node("Identity", [value], [name], "last")
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph([*self._nodes, last], "bench", self._inputs, [output], self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
