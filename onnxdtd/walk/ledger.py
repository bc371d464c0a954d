"""Keeps account of the walk: what arrived at each node, what left it, and where the rest went."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from onnxdtd.conservation import NodeReport
from onnxdtd.plan.plan import Step
from onnxdtd.rules.terms import TermRule

# Differences below this part of what arrived are rounding, whose cause is not asked for.
ROUNDING = 1e-6
BLOCK = 4096


class Ledger:
    """Observer of the NumPy walk; `reports` is what it has seen, in the walk's order."""

    def __init__(self, total: int = 0, progress: Callable[[int, int], None] | None = None) -> None:
        self._total, self._progress = total, progress
        self.reports: list[NodeReport] = []
        self._claims: list[tuple[str, Callable[[], Any]]] = []
        self._known: tuple[weakref.ref[Any], float] | None = None

    def listen(self, step: Step) -> Callable[[str, Callable[[], Any]], None]:
        """Who is told of one node's losses; an amount is worked out only while something is unaccounted for."""
        self._claims = []
        return lambda cause, amount: self._claims.append((cause, amount))

    def observe(self, step: Step, r: Any, shares: tuple[Any, ...]) -> None:
        """Add one node."""
        # What left the node before is often what arrives here, the very same array.
        arrived = self._known[1] if self._known and self._known[0]() is r else _sum(r)
        left = arrived if len(shares) == 1 and shares[0] is r else sum(map(_sum, shares))
        single = len(shares) == 1 and isinstance(shares[0], np.ndarray)
        self._known = (weakref.ref(shares[0]), left) if single else None
        rounding = ROUNDING * max(abs(arrived), abs(left))
        lost: dict[str, float] = {}
        rest = arrived - left
        for cause, amount in self._claims:
            if abs(rest) > rounding:
                lost[cause] = lost.get(cause, 0.0) + float(amount())
                rest = arrived - left - sum(lost.values())
        if abs(rest) > rounding:
            if isinstance(step.rule, TermRule) and step.rule.epsilon:
                lost["epsilon"] = rest
            elif str(step.rule) == "pass":
                lost["border"] = rest
        self._claims = []
        report = NodeReport(
            name=step.node.name,
            op=step.node.op,
            kind=step.op.kind,
            rule=str(step.rule),
            arrived=arrived,
            left=left,
            lost={cause: amount for cause, amount in lost.items() if amount},
            depth=step.place.depth,
        )
        if self.reports and self.reports[-1].name == report.name:  # another output of the same node
            report = self.reports.pop().with_more(report)
        self.reports.append(report)
        if self._progress is not None:
            self._progress(len(self.reports), self._total)


def _sum(r: Any) -> float:
    """The sum: blocks in r's own precision, which is fast, and their sums in float64."""
    flat = np.ascontiguousarray(r).ravel()
    whole = flat.size - flat.size % BLOCK
    blocks = flat[:whole].reshape(-1, BLOCK).sum(axis=1)
    return float(blocks.sum(dtype=np.float64) + flat[whole:].sum(dtype=np.float64))
