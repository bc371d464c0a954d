"""Which inputs say what counts (attention masks) or where a token stands (positions) instead of being explained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from onnxdtd.inputs.tokenizer import role
from onnxdtd.model.graph import Graph
from onnxdtd.ops import OPS
from onnxdtd.plan.counting import Counting, counting
from onnxdtd.plan.scores import per_graph
from onnxdtd.plan.uses import Uses, uses
from onnxdtd.types import Array

LOWEST = -100.0
"""What is added to attention scores where a key does not count is less."""


def masks(graph: Graph) -> tuple[str, ...]:
    """The inputs that say what counts: those that the user named, else those that are used so."""
    if graph.masks is not None:
        return graph.masks
    return tuple(name for name, what in asides(graph).items() if what == "mask")


def places(graph: Graph) -> tuple[str, ...]:
    """The inputs that only turn each token by its place (rotary positions)."""
    named = graph.masks or ()
    return tuple(name for name, what in asides(graph).items() if what == "places" and name not in named)


def numbered(graph: Graph) -> tuple[str, ...]:
    """The inputs that number the places of other tokens, by their names: what is looked up by them is a position
    embedding."""
    integers = [name for name in graph.inputs if not graph.value(name).is_float]
    return tuple(n for n in integers if role(n) == "positions" and any(role(o) == "ids" for o in integers))


@per_graph
def asides(graph: Graph) -> dict[str, Literal["mask", "places"]]:
    """Masks are added to attention scores, or choose among them; or, shaped as the tokens, they multiply or choose
    other values. Places are shaped as the tokens, and waves of theirs multiply other values. Neither is made into
    features otherwise; of floats only those are masks that change scores by what they are compared with, or that are
    named so."""
    kinds: dict[str, Literal["mask", "places"]] = {}
    shapes = _shapes_of_tokens(graph)
    for name, use in uses(graph).items():
        value = graph.value(name)
        like_tokens = value.shape in shapes and value.shape is not None
        if use.data:
            continue
        if use.masks and (not value.is_float or _hides(graph, name, use)):
            kinds[name] = "mask"
        elif (
            not value.is_float and use.turns and not use.gates and (like_tokens or role(name) == "positions")
        ):
            kinds[name] = "places"
        elif not value.is_float and use.gates and like_tokens:
            kinds[name] = "mask"
    return kinds


def counting_of(graph: Graph, name: str) -> Counting:
    """Where a mask says that something counts."""
    return counting(graph, name, uses(graph)[name])


def counts(graph: Graph, name: str, mask: Array) -> npt.NDArray[np.bool_]:
    """Where a mask says that something counts: where it is not 0; or, by what the model does with it, where it is 0,
    or where it adds nothing as low as hides a score."""
    match counting_of(graph, name):
        case "zero":
            return np.asarray(mask == 0)
        case "summand":
            return np.asarray(mask > LOWEST)
    return np.asarray(mask != 0)


def counted(graph: Graph, name: str, mask: Array) -> npt.NDArray[np.bool_] | None:
    """The same of each position (N, T): of a mask of scores (N, 1, 1, T) too; of (N, 1, S, T), where any query sees
    it. None for other ranks."""
    here = counts(graph, name, mask)
    if here.ndim > 2:
        here = np.asarray(here.any(axis=tuple(range(1, here.ndim - 1))))
    return here if here.ndim == 2 else None


def _hides(graph: Graph, name: str, use: Uses) -> bool:
    return counting(graph, name, use) in ("nonzero", "zero") or role(name) == "mask"


def _shapes_of_tokens(graph: Graph) -> set[tuple[int | str | None, ...]]:
    """Of integers that are looked up one beside the other; a column of a table (N, 1) is no sequence."""
    integers = [name for name in graph.inputs if not graph.value(name).is_float]
    looked_up = [name for name in integers if any(_looks_up(graph, value) for value in moved(graph, name))]
    shapes = [shape for name in looked_up if (shape := graph.value(name).shape) is not None]
    return {shape for shape in shapes if any(size != 1 for size in shape[1:])}


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
