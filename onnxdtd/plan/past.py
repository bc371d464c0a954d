"""Which inputs hold what a decoder has read before: the keys and values that it kept for the next token."""

from __future__ import annotations

import re

from onnxdtd.model.graph import Graph
from onnxdtd.ops import OPS


def past(graph: Graph) -> tuple[str, ...]:
    """Float inputs that the model joins with new values and hands on as an output, and others of their name up to
    its first digit (`past_key_values.0.encoder.key` beside `past_key_values.0.decoder.key`)."""
    floats = [name for name in graph.inputs if graph.value(name).is_float]
    stems = {_stem(name) for name in floats if _grows(graph, name)}
    return tuple(name for name in floats if _stem(name) in stems)


def _stem(name: str) -> str:
    return re.split(r"\d", name, maxsplit=1)[0]


def _grows(graph: Graph, name: str) -> bool:
    """Whether moves alone lead from the input to an output, one of them a join."""
    waiting, seen = [(name, False)], {(name, False)}
    while waiting:
        value, joined = waiting.pop()
        if joined and value in graph.outputs:
            return True
        for node in graph.consumers.get(value, ()):
            entry = OPS.get((node.domain, node.op))
            if entry is None or entry.kind != "route" or value not in node.inputs:
                continue
            step = (node.output, joined or (entry.data is None and len(node.inputs) > 1))
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return False
