"""The same graph in float64: what is left of a difference there is none of rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnx.reference
from onnx import TensorProto, helper, numpy_helper

from tools.fuzz.draft import session

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def doubled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float64 in place of float32."""
    twin = onnx.ModelProto.FromString(model.SerializeToString())
    _graph(twin.graph)
    return twin


def _graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == FLOAT:
            value.type.tensor_type.elem_type = DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_dtype") and attribute.i == FLOAT:
                attribute.i = DOUBLE
            elif attribute.name in ("value_float", "value_floats"):
                values = attribute.f if attribute.name == "value_float" else list(attribute.floats)
                tensor = numpy_helper.from_array(np.asarray(values, np.float64))
                attribute.CopyFrom(helper.make_attribute("value", tensor))
            elif attribute.type == onnx.AttributeProto.TENSOR and not node.domain:
                _tensor(attribute.t)
            if attribute.HasField("g"):
                _graph(attribute.g)


def _tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == FLOAT:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


class Evaluated:
    """A graph run node by node: by onnxruntime where it has the kernel, else by onnx's own evaluation in NumPy."""

    def __init__(self, model: onnx.ModelProto, constants: Mapping[str, Any]) -> None:
        self._model = model
        held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._constants: dict[str, Any] = {**held, **{name: np.asarray(a) for name, a in constants.items()}}

    def run(self, outputs: list[str] | None, feeds: dict[str, Any], options: Any = None) -> list[Any]:
        """As a session's."""
        values = {**self._constants, **feeds}
        for node in self._model.graph.node:
            names = [name for name in node.output if name]
            values |= zip(names, self._node(node, names, values), strict=True)
        return [values[name] for name in outputs or [o.name for o in self._model.graph.output]]

    def _node(self, node: onnx.NodeProto, names: list[str], values: dict[str, Any]) -> list[Any]:
        read = {name: values[name] for name in _read(node) if name in values}
        ins = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in read.items()
        ]
        graph = helper.make_graph([node], "one", ins, [onnx.ValueInfoProto(name=name) for name in names])
        model = helper.make_model(graph, opset_imports=self._model.opset_import, ir_version=10)
        try:
            return list(session(model).run(names, read))
        except Exception:  # onnxruntime's exceptions have no common base
            return list(onnx.reference.ReferenceEvaluator(model).run(names, read))


def _read(node: onnx.NodeProto) -> list[str]:
    """What a node reads, also inside of its bodies."""
    inner = [name for a in node.attribute if a.HasField("g") for n in a.g.node for name in _read(n)]
    return list(dict.fromkeys(name for name in (*node.input, *inner) if name))


def _start(model: onnx.ModelProto, constants: Mapping[str, Any], *_: Any, **__: Any) -> Evaluated:
    return Evaluated(model, constants)


@contextmanager
def in_float64() -> Iterator[None]:
    """Both engines take sessions that can do float64."""
    with (
        mock.patch("onnxdtd.walk.forward.start_session", _start),
        mock.patch("onnxdtd.compiled.ready.start_session", _start),
    ):
        yield
