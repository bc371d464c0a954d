"""Models of one op for the tests: build one, run it, and take its site at a point."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.linear import Site
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.model.ml_shapes import ml_values
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.plan.carry import carry
from onnxdtd.plan.reach import reach
from tests.support.forward_oracle import FORWARD

Array = np.ndarray
_RNG = np.random.default_rng(7)


@dataclass(frozen=True)
class X:
    """A data input of this shape, batch first. nonnegative: drawn from [0, inf). within: drawn evenly from there."""

    shape: tuple[int, ...]
    nonnegative: bool = False
    within: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """One op with its inputs: X for a data input, an array for a constant, None for one left out. fixed: batch is not
    the first axis, so other batch sizes mean another computation. outputs: how many the op has; the first is y."""

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    domain: str = ""
    note: str = ""
    fixed: bool = False
    outputs: int = 1

    def __str__(self) -> str:
        return f"{self.op}-{self.note or self.opset}"


def w(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def ex(
    op: str,
    *inputs: Any,
    opset: int = 17,
    domain: str = "",
    note: str = "",
    fixed: bool = False,
    outputs: int = 1,
    **attributes: Any,
) -> Example:
    return Example(op, inputs, attributes, opset, domain, note, fixed, outputs)


def model_of(example: Example, dtype: int = TensorProto.FLOAT, batch: str | int = "N") -> onnx.ModelProto:
    """The example as a model with inputs x0, x1, ... and output y; float constants in `dtype`."""
    names, inputs, constants = [], [], []
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    for i, operand in enumerate(example.inputs):
        names.append("" if operand is None else f"x{i}")
        if isinstance(operand, X):
            first = operand.shape[0] if example.fixed else batch
            inputs.append(helper.make_tensor_value_info(f"x{i}", dtype, [first, *operand.shape[1:]]))
        elif operand is not None:
            array = np.asarray(operand)
            array = array.astype(kind) if array.dtype.kind == "f" else array
            constants.append(numpy_helper.from_array(array, f"x{i}"))
    made = ["y", *(f"beside_{i}" for i in range(1, example.outputs))]
    node = helper.make_node(example.op, names, made, "node", domain=example.domain, **example.attributes)
    graph = helper.make_graph([node], "one", inputs, [onnx.ValueInfoProto(name="y")], constants)
    inferred = _output_type(graph, example, dtype)
    graph.output[0].CopyFrom(inferred)
    opsets = [helper.make_opsetid("", example.opset)]
    if example.domain:
        opsets.append(helper.make_opsetid(example.domain, 5 if example.op == "TreeEnsemble" else 3))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _output_type(graph: onnx.GraphProto, example: Example, dtype: int) -> onnx.ValueInfoProto:
    bare = helper.make_model(graph, opset_imports=[helper.make_opsetid("", example.opset)], ir_version=8)
    shape = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    like_x = helper.make_tensor_value_info("y", dtype, shape)
    if example.domain:
        return next(ml_values(graph.node[0], graph.input[0].type.tensor_type), like_x)
    output = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph.output[0]
    return output if output.type.tensor_type.HasField("shape") else like_x


def draw(example: Example, rng: np.random.Generator, batch: int | None = None) -> dict[str, Array]:
    """Inputs for the example, float32, of its own batch or another."""
    feeds = {}
    for i, operand in enumerate(example.inputs):
        if isinstance(operand, X):
            first = batch if batch and not example.fixed else operand.shape[0]
            x = rng.standard_normal((first, *operand.shape[1:])).astype(np.float32)
            if operand.within is not None:
                x = rng.uniform(*operand.within, x.shape).astype(np.float32)
            feeds[f"x{i}"] = np.abs(x) if operand.nonnegative else x
    return feeds


def run_ort(model: onnx.ModelProto, feeds: dict[str, Array]) -> Array:
    return _session(model.SerializeToString()).run(None, feeds)[0]


@lru_cache(maxsize=8)
def _session(model: bytes) -> ort.InferenceSession:
    """Unoptimised, on one thread: to start more takes longer than one op."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_reference(example: Example, feeds: dict[str, Array]) -> Array:
    """The op in float64: by onnx's reference implementation, or by its formula where that has float32 inside."""
    if example.op in FORWARD:
        operands = [feeds.get(f"x{i}", x) for i, x in enumerate(example.inputs)]
        arrays = [None if x is None else np.asarray(x, np.float64) for x in operands]
        return FORWARD[example.op](*arrays, opset=example.opset, **example.attributes)
    model = model_of(example, TensorProto.DOUBLE)
    if example.op in ("GridSample", "DeformConv"):
        return run_ort(model, {k: v.astype(np.float64) for k, v in feeds.items()})
    evaluator = onnx.reference.ReferenceEvaluator(model)
    return np.asarray(evaluator.run(None, {k: v.astype(np.float64) for k, v in feeds.items()})[0])


@cache
def _graph(example: Example) -> Graph:
    return load(model_of(example))


def site_of(
    example: Example,
    feeds: dict[str, Array],
    y: Array,
    precise: dict[str, Array] | None = None,
    **options: Any,
) -> Site:
    """The op's site in float64, so that its claims can be tested sharply; precise: constants in float64."""
    graph = _graph(example)
    constants = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in graph.constants.items()}
    graph = graph.replace(constants=constants | (precise or {}))
    reached = reach(carry(graph, lambda node: False), None)
    (node,) = reached.nodes
    values = {k: v.astype(np.float64) for k, v in feeds.items()} | {"y": y.astype(np.float64)}
    return OPS[node.domain, node.op].site(Point(node, graph, reached.slots[node.name], values, **options))
