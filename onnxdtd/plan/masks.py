"""Which integer inputs say what counts instead of being explained: the attention masks of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnxdtd.inputs.tokenizer import role
from onnxdtd.model.graph import Graph
from onnxdtd.ops import OPS


def masks(graph: Graph) -> tuple[str, ...]:
    """Integer inputs that have the shape of a looked-up one (tokens, one beside the other) and are only cast."""
    looked_up: set[str] = set()
    integers = [name for name in graph.inputs if not graph.value(name).is_float]
    for name in integers:
        if any(_looks_up(graph, value) for value in moved(graph, name)):
            looked_up.add(name)
    shapes = {graph.value(name).shape for name in looked_up}
    # A column of a table (N, 1) is no sequence, so beside it lie other columns and no mask.
    shapes = {shape for shape in shapes if shape is not None and any(size != 1 for size in shape[1:])}
    return tuple(name for name in integers if name not in looked_up and graph.value(name).shape in shapes)


def texts(graph: Graph, features: Sequence[str] | None, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the named inputs that are sequences of tokens (N, T), each looked up where it stands; the inputs that
    say of which kind or at which place a token is are none, nor are a table's columns, which have names."""
    integers = [name for name in names if not graph.value(name).is_float and role(name) == "ids"]
    return tuple(
        name
        for name in integers
        if features is None
        and (shape := graph.value(name).shape) is not None
        and len(shape) == 2
        and shape[1] != 1
        and any(_looks_up(graph, v) and graph.value(v).shape in (shape, None) for v in moved(graph, name))
    )


def moved(graph: Graph, name: str) -> list[str]:
    """The value itself, and integers that are the same ones in another shape or type."""
    same = {name: None}
    waiting = [name]
    while waiting:
        value = waiting.pop()
        for node in graph.consumers.get(value, ()):
            entry = OPS.get((node.domain, node.op))
            moves = entry is not None and entry.kind == "route" and node.inputs[0] == value
            if moves and not graph.value(node.output).is_float and node.output not in same:
                same[node.output] = None
                waiting.append(node.output)
    return list(same)


def _looks_up(graph: Graph, value: str) -> bool:
    """Whether an op makes other floats of the integers: those that it carries as they are are only cast."""
    for node in graph.consumers.get(value, ()):
        entry = OPS.get((node.domain, node.op))
        slots = () if entry is None else tuple(i for i in entry.embeds if i not in (entry.data or ()))
        if any(node.inputs[slot] == value for slot in slots) and graph.value(node.output).is_float:
            return True
    return False
