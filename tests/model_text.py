"""Tiny models as text, and onnxruntime, its own rewriting switched off, as the judge of what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load

OPSETS = (7, 9, 11, 13, 17, 22)


def model(text: str, opset: int = 17, **constants: Any) -> onnx.ModelProto:
    """`(float[N, 3] x) => (float[N, 2] y) { y = MatMul(x, w) }` as a model; keywords become initializers."""
    head = f'<ir_version: 10, opset_import: ["" : {opset}]> model '
    proto = onnx.parser.parse_model(head + text)
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
    )
    return proto


def graph(text: str, opset: int = 17, **constants: Any) -> Graph:
    """The same, loaded."""
    return load(model(text, opset, **constants))


def run(source: Graph | onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """The outputs by onnxruntime, with all its rewriting switched off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    proto = source.to_proto() if isinstance(source, Graph) else source
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, feeds)


def feeds_for(source: Graph, seed: int = 0, batch: int = 2) -> dict[str, Any]:
    """Normal random numbers for every input; open dimensions take the size `batch`."""
    rng = np.random.default_rng(seed)
    values = [source.value(name) for name in source.inputs]
    sizes = [[d if isinstance(d, int) else batch for d in value.shape or ()] for value in values]
    pairs = zip(values, sizes, strict=True)
    return {v.name: rng.standard_normal(shape).astype(v.dtype) for v, shape in pairs}


def same(before: Graph, after: Graph) -> None:
    """Raise unless both compute the same outputs to 1e-5."""
    feeds = feeds_for(before)
    for old, new in zip(run(before, feeds), run(after, feeds), strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)
