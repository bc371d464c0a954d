"""Which values may be infinite: a mask adds, or puts, -inf where nothing is to count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from onnxdtd.model.node import Node
from onnxdtd.registry import OPS

_MOVES = {"route", "select"}
_ADDS = {"sum", "scale"}


class _Graph(Protocol):
    @property
    def nodes(self) -> Iterable[Node]: ...
    @property
    def constants(self) -> Mapping[str, Any]: ...


def infinite(graph: _Graph) -> frozenset[str]:
    """The values that a constant of infinity may reach in one pass: as a bias of any linear operator, and on through
    moves, selections, sums and scales."""
    constants = {name for name, array in graph.constants.items() if _has_infinity(array)}
    reached = set(constants)
    for node in graph.nodes:
        entry = OPS.get((node.domain, node.op))
        if entry is None or entry.kind not in _MOVES | {"linear"}:
            continue
        lets = reached if entry.kind in _MOVES or entry.family in _ADDS else constants
        if not lets.isdisjoint(node.inputs) or any(map(_has_infinity, node.attributes.values())):
            reached.update(name for name in node.outputs if name)
    return frozenset(reached)


def _has_infinity(value: Any) -> bool:
    array = value if isinstance(value, np.ndarray) else np.zeros(0)
    return array.dtype.kind == "f" and bool(np.isinf(array).any())
