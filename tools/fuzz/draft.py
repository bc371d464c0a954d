"""A graph in the making: each node is run as it is added, so that shapes and sizes of values are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from tools.fuzz.words import pick

Array = npt.NDArray[Any]
BATCH = 3
LARGEST = 30.0
"""Values beyond it are scaled, so that no graph is about overflow alone."""
ML = "ai.onnx.ml"


class UnfitError(Exception):
    """The node does not run, or makes nothing to go on with."""


@dataclass
class Draft:
    """open: the first axis is a batch of any size; else the graph is for one sample, whose axes may be moved.

    values: every value at the input `feeds`. stock: those that further nodes may read. loose: those that
    none has read.
    """

    rng: np.random.Generator
    opset: int
    open: bool
    ml: int = 3
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    values: dict[str, Array] = field(default_factory=dict)
    stock: list[str] = field(default_factory=list)
    loose: dict[str, None] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)

    def feed(self, *shape: int) -> str:
        """A further input; shape: of one sample."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(name)
        whole = (BATCH if self.open else 1, *shape)
        self.values[name] = self.rng.standard_normal(whole).astype(np.float32)
        self.stock.append(name)
        self.loose[name] = None
        return name

    def constant(self, array: Any) -> str:
        """A constant."""
        name = f"w{len(self.weights)}"
        self.values[name] = np.asarray(array)
        self.weights.append(numpy_helper.from_array(self.values[name], name))
        return name

    def weight(self, *shape: int) -> str:
        """A constant of random numbers, by which a sum of the last axis keeps its size."""
        w = self.rng.standard_normal(shape) / np.sqrt(max(1, shape[-1] if len(shape) > 1 else 4))
        return self.constant(w.astype(np.float32))

    def add(self, op: str, *inputs: str, outputs: str = "y", domain: str = "", **attributes: Any) -> str:
        """A node; the name of its first output. outputs: "y" for each, " " for one left out. Raises UnfitError."""
        named = [f"v{len(self.nodes)}{f'_{i}' if i else ''}" for i in range(len(outputs))]
        names = [name for name, there in zip(named, outputs, strict=True) if there == "y"]
        listed = [name if name in names else "" for name in named]
        node = helper.make_node(op, inputs, listed, f"n{len(self.nodes)}", domain=domain, **attributes)
        read = {name: self.values[name] for name in inputs if name}
        made = self._run([node], read, names, [])
        self.nodes.append(node)
        self._read(read)
        self.values |= zip(names, made, strict=True)
        return names[0]

    def inline(self, model: onnx.ModelProto, x: str) -> str:
        """The nodes of a model with one input; the name of its first output. Raises UnfitError."""
        graph = onnx.GraphProto.FromString(model.graph.SerializeToString())
        _rename(graph, f"m{len(self.nodes)}/")
        entry = graph.input[0].name
        graph.node.insert(0, helper.make_node("Identity", [x], [entry], f"n{len(self.nodes)}"))
        names = [output.name for output in graph.output]
        made = self._run(list(graph.node), {x: self.values[x]}, names, list(graph.initializer))
        self.nodes += graph.node
        self.weights += graph.initializer
        self._read([x])
        self.values |= zip(names, made, strict=True)
        return names[0]

    def keep(self, name: str) -> None:
        """A value that further nodes may read, scaled where it is large. Raises UnfitError."""
        y = self.values[name]
        if y.dtype != np.float32 or not y.size or y.size > 20_000 or not np.isfinite(y).all() or not y.any():
            raise UnfitError(name)
        if self.open and y.shape[:1] != (BATCH,):
            raise UnfitError(name)
        if (size := float(np.abs(y).max())) > LARGEST or size < 1e-2:
            name = self.add("Mul", name, self.constant(np.float32(2 / size)))
        self.stock.append(name)
        self.loose[name] = None

    def fit(
        self, shape: tuple[int, ...], within: tuple[float, float] | None = None, low: bool = False
    ) -> str:
        """A value of this shape (of one sample, where the batch is open), in a range, or at least 0 where `low`."""
        size = int(np.prod(shape))
        recent = self.stock[-6:]
        equal = [name for name in recent if self._shape(name) == shape]
        if equal and self.rng.random() < 0.7:
            name = pick(self.rng, equal)
        else:
            same = [name for name in recent if np.prod(self._shape(name), dtype=int) == size]
            name = self._reshaped(pick(self.rng, same or recent), shape, size)
        if within is not None:
            name = self.add(
                "Mul", self.add("Sigmoid", name), self.constant(np.float32(within[1] - within[0]))
            )
            name = self.add("Add", name, self.constant(np.float32(within[0])))
        return self.add(pick(self.rng, ("Relu", "Abs")), name) if low else name

    def batched(self, shape: tuple[int, ...]) -> str:
        """A value of this shape behind a batch axis, which has one sample where the batch is not open."""
        return self.fit(shape if self.open else (1, *shape))

    def rows(self, name: str) -> str:
        """The value with one axis a sample."""
        return self.add("Reshape", name, self.constant(np.array([0 if self.open else 1, -1])))

    def finish(self) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """The model and its input: every loose value goes into four logits. Raises UnfitError."""
        parts = [name for name in self.loose if name not in self.inputs] or [self.stock[-1]]
        sums = []
        for name in parts:
            rows = self.rows(name)
            width = self.values[rows].shape[1]
            sums.append(self.add("Gemm", rows, self.weight(6, width), self.weight(6), transB=1))
        total = sums[0]
        for name in sums[1:]:
            total = self.add("Add", total, name)
        act = self.add(pick(self.rng, ("Relu", "Tanh", "Identity")), total)
        y = self.add("Gemm", act, self.weight(4, 6), self.weight(4), transB=1)
        feeds = {name: self.values[name] for name in self.inputs}
        model = self._model(self.nodes, feeds, [y], self.weights)
        sizes = ["N" if self.open else 1, 4]
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info(y, TensorProto.FLOAT, sizes))
        return model, feeds

    def mark(self) -> tuple[int, int, int, dict[str, None]]:
        """Where the graph stands, for `back`."""
        return len(self.nodes), len(self.weights), len(self.stock), dict(self.loose)

    def back(self, mark: tuple[int, int, int, dict[str, None]]) -> None:
        """Take away what was added since."""
        nodes, weights, stock, self.loose = mark
        for node in self.nodes[nodes:]:
            for name in node.output:
                self.values.pop(name, None)
        del self.nodes[nodes:], self.weights[weights:], self.stock[stock:]

    def _reshaped(self, name: str, shape: tuple[int, ...], size: int) -> str:
        if (count := int(np.prod(self._shape(name), dtype=int))) != size:
            name = self.rows(name)
            if self.rng.random() < 0.5:
                name = self.add("Gemm", name, self.weight(size, count), self.weight(size), transB=1)
            else:
                some = self.rng.permutation(max(size, count))[:size] % count
                name = self.add("Gather", name, self.constant(some), axis=1)
        target = [0, *shape] if self.open else [*shape]
        return self.add("Reshape", name, self.constant(np.array(target, np.int64)))

    def _shape(self, name: str) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.values[name].shape
        return shape[1:] if self.open else shape

    def _read(self, names: Any) -> None:
        for name in names:
            self.loose.pop(name, None)

    def _run(
        self, nodes: list[onnx.NodeProto], read: dict[str, Array], names: list[str], weights: list[Any]
    ) -> list[Array]:
        constants = {t.name for t in self.weights}
        fed = {name: x for name, x in read.items() if name not in constants}
        held = [numpy_helper.from_array(x, name) for name, x in read.items() if name in constants]
        try:
            return list(session(self._model(nodes, fed, names, [*weights, *held])).run(None, fed))
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise UnfitError(str(error)) from None

    def _model(
        self, nodes: list[onnx.NodeProto], feeds: dict[str, Array], outputs: list[str], weights: list[Any]
    ) -> onnx.ModelProto:
        ins = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(x.dtype),
                ["N", *x.shape[1:]] if self.open and x.shape[:1] == (BATCH,) else x.shape,
            )
            for name, x in feeds.items()
        ]
        outs = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(nodes, "random", ins, outs, weights)
        opsets = {"": self.opset} | {node.domain: 1 for node in nodes if node.domain}
        opsets |= {ML: self.ml} if ML in opsets else {}
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _rename(graph: onnx.GraphProto, prefix: str) -> None:
    """All names with a prefix, also in bodies and of what these read from around them."""
    for thing in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        thing.name = thing.name and prefix + thing.name
    for node in graph.node:
        node.input[:] = [name and prefix + name for name in node.input]
        node.output[:] = [name and prefix + name for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, prefix)


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """On one thread, silent, as the file says."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
