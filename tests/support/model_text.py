"""Tiny models as text, and onnxruntime, its own rewriting switched off, as the judge of what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

import onnxdtd.ops  # noqa: F401 (the ranges of ops are declared there)
from onnxdtd.domains.propagation import Domain, domains
from onnxdtd.errors import ModelError
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load

OPSETS = (7, 9, 11, 13, 17, 22)
BN = "BatchNormalization<epsilon = 0.001>"


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
    """Raise unless both compute the same outputs to 1e-5 of the largest."""
    feeds = feeds_for(before)
    for old, new in zip(run(before, feeds), run(after, feeds), strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-5 * max(np.abs(old).max(), 1e-3))


RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    """Normal random numbers in float32, each call its own."""
    return RNG.standard_normal(shape).astype(np.float32)


def ops(source: Graph) -> list[str]:
    """The operators in order."""
    return [node.op for node in source.nodes]


def changed(before: Graph, run: Callable[[Graph], Graph]) -> Graph:
    """What a pass makes of the graph: it must fire, note it, keep the outputs, and have nothing more to do."""
    after = run(before)
    assert after is not before
    assert len(after.notes) > len(before.notes)
    assert after.outputs == before.outputs
    same(before, after)
    assert run(after) is after
    return after


def unchanged(before: Graph, run: Callable[[Graph], Graph]) -> None:
    """Raise unless the pass leaves the graph alone."""
    assert run(before) is before


def statistics(channels: int, tiny: bool = False) -> dict[str, Any]:
    """s, o, m, v: the scale, offset, mean and variance of a BatchNormalization.

    tiny: variances that the epsilon of `BN` outweighs.
    """
    variance = np.abs(normal(channels)) * (1e-4 if tiny else 1) + (1e-5 if tiny else 0.1)
    parameters = {name: normal(channels) for name in "som"}
    return {**parameters, "v": variance.astype(np.float32)}


def refuses(source: Any, *words: str) -> str:
    """The one line with which `load` refuses the source; every one of the words is in it."""
    with pytest.raises(ModelError) as caught:
        load(source)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def domain_of(
    text: str, input_range: Any = None, opset: int = 22, output: str = "y", **constants: Any
) -> str:
    """The domain of a value of a model, as printed."""
    return str(domains(graph(text, opset, **constants), input_range)[output])


def inside(y: Any, domain: Domain) -> bool:
    """No value leaves the domain. A kernel may round past an end by 4 units in the last place; zero is exact."""
    ends = [
        math.isfinite(end) and 4 * float(np.spacing(np.float32(abs(end))))
        for end in (domain.low, domain.high)
    ]
    low, high = domain.low - ends[0] * (domain.low != 0), domain.high + ends[1] * (domain.high != 0)
    return bool(low <= y.min() and y.max() <= high)
