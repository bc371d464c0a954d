"""The same graph in float64: what is left of a difference there is none of rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnx.reference
import onnxruntime as ort
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
    """onnxruntime's session where it has the kernels, else onnx's own evaluation in NumPy."""

    def __init__(self, model: onnx.ModelProto, constants: Mapping[str, Any]) -> None:
        whole = onnx.ModelProto.FromString(model.SerializeToString())
        whole.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()
        )
        self._run: ort.InferenceSession | onnx.reference.ReferenceEvaluator
        try:
            self._run = session(whole)
        except Exception:  # onnxruntime's exceptions have no common base
            self._run = onnx.reference.ReferenceEvaluator(whole)

    def run(self, outputs: list[str], feeds: dict[str, Any], options: Any = None) -> list[Any]:
        """As a session's."""
        return list(self._run.run(outputs, feeds))


def _start(model: onnx.ModelProto, constants: Mapping[str, Any], *_: Any, **__: Any) -> Evaluated:
    return Evaluated(model, constants)


@contextmanager
def in_float64() -> Iterator[None]:
    """Both engines take sessions that can do float64."""
    with (
        mock.patch("onnxdtd.walk.forward.start_session", _start),
        mock.patch("onnxdtd.compiled.sessions.start_session", _start),
    ):
        yield
