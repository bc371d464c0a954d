"""One node computed by onnx's own reference implementation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, helper

from onnxdtd.evaluator import evaluator
from onnxdtd.model.graph import Node

_SAME_SINCE = {"DequantizeLinear": 19, "QuantizeLinear": 19}
"""The first opset of the reference implementation, where older forms mean the same."""
_AT_FAULT = {
    "BatchNormalization", "GRU", "GridSample", "LRN", "LSTM", "LpNormalization", "LpPool", "MaxPool", "RNN", "Resize",
    "RoiAlign",
}  # fmt: skip
"""Of which the reference implementation has forms that are none of the standard's."""


def evaluate(
    node: Node, opsets: Mapping[str, int], feeds: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]] | None:
    """The node's outputs by name, None where the reference implementation lacks the op or this form of it, or is at
    fault."""
    if not node.domain and _is_at_fault(node, opsets.get("", 1)):
        return None
    made = [name for name in node.outputs if name]
    alone = GraphProto(name="alone")
    alone.node.append(node.to_proto(opsets))
    alone.input.extend(helper.make_empty_tensor_value_info(name) for name in feeds)
    alone.output.extend(helper.make_empty_tensor_value_info(name) for name in made)
    opsets = {**opsets, "": max(opsets.get("", 0), _SAME_SINCE.get(node.op, 0))}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = evaluator(alone, opsets=opsets).run(None, dict(feeds))
    except Exception:  # whatever the implementation raises
        return None
    return {name: np.asarray(result, order="C") for name, result in zip(made, results, strict=True)}


def _is_at_fault(node: Node, opset: int) -> bool:
    if node.op in ("Softmax", "LogSoftmax"):
        return opset < 13  # it takes one axis where all from this one on are meant
    if node.op in ("TopK", "Unique"):
        return not node.attributes.get("sorted", 1)  # the order is the kernel's own
    return node.op in _AT_FAULT
