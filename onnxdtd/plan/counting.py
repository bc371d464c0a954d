"""Whether a mask hides where it is 0 or where it is 1: by what the model makes of either."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.reference import evaluate
from onnxdtd.plan.scores import entry_of
from onnxdtd.plan.uses import Uses
from onnxdtd.types import Array

Counting = Literal["nonzero", "zero", "summand"]
Pair = tuple[Array, Array]
"""A value where the mask is 0, and where it is 1; elsewhere it is taken to be of one number."""
HIDDEN = 100.0
"""What lowers a score by more hides it."""


def counting(graph: Graph, name: str, use: Uses) -> Counting:
    """Where the mask counts: where it is not 0, where it is 0, or, of what is added to scores as it is, wherever it
    is not far below 0. Where the graph does not tell, not 0, as exporters of text models have it."""
    made = _Made(graph, name)
    for node, slot in (*use.masks, *use.gates):
        hidden = made.hidden(node, slot)
        if hidden in ((True, False), (False, True)):
            return "nonzero" if hidden[0] else "zero"
    return "summand" if use.masks and graph.value(name).is_float else "nonzero"


class _Made:
    """What is made of a mask that is 0 or 1 everywhere."""

    def __init__(self, graph: Graph, name: str) -> None:
        zero, one = (np.asarray(number).astype(graph.value(name).dtype) for number in (0, 1))
        self._graph = graph
        self._pairs: dict[str, Pair | None] = {name: (zero, one)}

    def hidden(self, node: Node, slot: int) -> tuple[bool, bool] | None:
        """Whether the node hides what it reads besides, where the mask is 0 and where it is 1."""
        entry, pair = entry_of(node), self._of(node.inputs[slot])
        if entry is None or pair is None:
            return None
        if entry.chooses and slot == 0:
            # What stands in the place of other values is a number, or what is made of constants.
            kept = [i for i in (1, 2) if self._moves(node.inputs[i])]
            return (
                (bool(pair[0]) != (kept[0] == 1), bool(pair[1]) != (kept[0] == 1)) if len(kept) == 1 else None
            )
        full = 1 if entry.family == "scale" else 0
        results = [self._evaluated(node, {node.inputs[slot]: part}, full) for part in pair]
        if any(result is None for result in results):
            return None
        low, high = (float(np.asarray(result)) for result in results)
        if entry.family == "scale":
            return low == 0 != high, high == 0 != low
        return low < high - HIDDEN, high < low - HIDDEN

    def _moves(self, value: str) -> bool:
        graph = self._graph
        return value not in graph.constants and self._of(value) is None and value in graph.producers

    def _of(self, value: str) -> Pair | None:
        if value not in self._pairs:
            self._pairs[value] = None  # a value of a ring has none
            self._pairs[value] = self._made_by(self._graph.producers.get(value))
        return self._pairs[value]

    def _made_by(self, node: Node | None) -> Pair | None:
        entry = None if node is None else entry_of(node)
        if node is None or entry is None:
            return None
        own = {value: pair for value in node.inputs if value and (pair := self._of(value)) is not None}
        if not own:
            return None
        if entry.kind == "route" and not entry.chooses and not entry.embeds:  # moved, repeated or joined
            return next(iter(own.values()))
        if entry.kind not in ("barrier", "route", "elementwise", "select") and entry.family not in (
            "sum",
            "scale",
        ):
            return None
        pairs = [self._both(node, own, end) for end in (np.min, np.max)]
        made = [pair for pair in pairs if pair is not None]
        # Of a triangle of constants, that part counts in which the mask has a say.
        return next((pair for pair in made if pair[0] != pair[1]), made[0] if made else None)

    def _both(self, node: Node, own: dict[str, Pair], end: Any) -> Pair | None:
        low, high = (
            self._evaluated(node, {value: pair[i] for value, pair in own.items()}, None, end) for i in (0, 1)
        )
        return None if low is None or high is None else (low, high)

    def _evaluated(self, node: Node, parts: dict[str, Array], full: Any, end: Any = np.max) -> Array | None:
        """The node's output, its inputs single numbers: these, constants' ends, and `full` for what is data."""
        graph, feeds = self._graph, {**parts}
        for value in filter(None, node.inputs):
            if value in feeds:
                continue
            stored = graph.constants.get(value)
            if stored is not None:
                feeds[value] = np.asarray(end(stored)) if stored.size else stored
            elif graph.value(value).elem_type:
                filler = full if full is not None else end(np.array([0, 1]))
                feeds[value] = np.asarray(filler).astype(graph.value(value).dtype)
            else:
                return None
        made = evaluate(node, graph.opsets, feeds)
        return made[node.output].reshape(()) if made is not None and made[node.output].size == 1 else None
