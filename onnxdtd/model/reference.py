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


def evaluate(
    node: Node, opsets: Mapping[str, int], feeds: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]] | None:
    """The node's outputs by name, None where the reference implementation lacks the op or this form of it."""
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
