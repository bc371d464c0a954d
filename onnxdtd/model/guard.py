"""No loop runs for good: one whose number of steps the model leaves open is ended at a limit, by an error.

A step reads True at place counter / limit of a list of one, which is there up to the limit and not from there on. So
the runtime itself stops, wherever the loop stands: in a branch, in another loop, beside what is explained.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np
from onnx import GraphProto, NodeProto, helper, numpy_helper

from onnxdtd.types import Array

LABEL = "onnxdtd/max_steps"
ENDED = re.compile(rf"Name:'{LABEL}/(\d+)/(.*?)'")
BOUND = 1 << 31
"""A constant number of trips that is as large as this is no bound: exporters write the largest integer."""


def guard(graph: GraphProto, constants: Mapping[str, Array], most: int) -> None:
    """End the loops of a graph after `most` steps each; constants: what it reads of the outermost graph."""
    bounds = {name for name, array in constants.items() if array.dtype == np.int64 and (array < BOUND).all()}
    _guard(graph, bounds, most)


def ended(message: str) -> str:
    """What is to be said where a runtime's message is that of a loop at its limit, else ""."""
    place = ENDED.search(message)
    if place is None:
        return ""
    return (
        f"loop '{place[2]}' had not ended after {int(place[1]):,} steps, the limit; give a larger one with "
        "--max-steps (max_steps=) if it needs more"
    )


def _guard(graph: GraphProto, bounds: Collection[str], most: int) -> None:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _guard(attribute.g, bounds, most)
                if node.op_type == "Loop" and node.domain in ("", "ai.onnx") and node.input[0] not in bounds:
                    _limit(node, attribute.g, most)


def _limit(node: NodeProto, body: GraphProto, most: int) -> None:
    label = f"{LABEL}/{most}/{node.name or node.output[0]}"
    ends = {"limit": np.asarray(most, np.int64), "true": np.ones(1, bool)}
    body.initializer.extend(numpy_helper.from_array(a, f"{label}/{name}") for name, a in ends.items())
    goes_on = body.output[0].name
    body.node.extend(
        [
            helper.make_node("Div", [body.input[0].name, f"{label}/limit"], [f"{label}/over"]),
            helper.make_node("Gather", [f"{label}/true", f"{label}/over"], [f"{label}/within"], label),
            helper.make_node("And", [goes_on, f"{label}/within"], [f"{label}/goes_on"]),
        ]
    )
    body.output[0].name = f"{label}/goes_on"
