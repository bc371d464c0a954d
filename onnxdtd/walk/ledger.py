"""Keeps account of the walk: what arrived at each node, what left it, and where the rest went.

Rules and ops claim each loss where it arises, as a flow (the relevance that arrives at each output element, or its
share q) times a part of it. The ledger only adds up, so what no claim covers stays visible: it is the error. Claims
are worked out even where nothing seems to be missing, since a wrong adjoint may hand on just what a bias had taken.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from onnxdtd.linear import ROUNDING, Claim
from onnxdtd.model.node import INSIDE
from onnxdtd.node_report import NodeReport, Samples
from onnxdtd.plan.batch import batch_axis
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.types import Arrays
from onnxdtd.walk.apart import axes_of_samples, by_sample
from onnxdtd.walk.joined import report
from onnxdtd.walk.totals import row_sizes, row_sums, sum_of_products

# More of the target than this must not be missing without a cause.
LIMIT = 0.01
# Of the largest amount that arrived at a node: what sums in float32 may be off by.
FLOAT_ERROR = 1e-5


class Amount(NamedTuple):
    """Over the whole batch, and of each sample: NaN where a value is not told apart by sample."""

    total: float
    samples: Any

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(self.total + other.total, self.samples + other.samples)


class Ledger:
    """Observer of the NumPy walk; `reports` is what it has seen, in the walk's order.

    feeds: the inputs, by which the batch axis of the first value that it sees, where relevance starts, is told.
    """

    def __init__(self, plan: Plan, feeds: Arrays, progress: Callable[[int, int], None] | None = None) -> None:
        self._plan, self._feeds, self._progress = plan, feeds, progress
        self._count = 0
        self._axes: dict[str, tuple[int, ...]] = {}
        self._depths = {plan.target: 0}
        self._value, self._lost = "", dict[str, Amount]()
        self._latest: tuple[weakref.ref[Any], Amount, Amount] | None = None
        self.reports: list[NodeReport] = []

    def listen(self, step: Step, value: str) -> Claim:
        """Who is told of one node's losses of what arrived at one of its outputs."""
        if not value.startswith(f"{step.node.name}{INSIDE}"):
            self._lost, self._value = {}, value

        def claim(cause: str, flow: Any, share: Callable[[], Any], factor: float) -> None:
            self._begin(flow)
            part = share()
            if np.any(part):
                amount = self._product(value, flow, part, factor)
                self._lost[cause] = self._lost[cause].plus(amount) if cause in self._lost else amount

        return claim

    def observe(self, step: Step, r: Any, shares: tuple[Any, ...]) -> None:
        """Add one node."""
        self._begin(r)
        node = step.node
        # What left the node before is often what arrives here, the very same array.
        latest = self._latest
        arrived, size = latest[1:] if latest and latest[0]() is r else self._sums(self._value, r)
        if len(shares) == 1 and shares[0] is r:
            left, left_size = arrived, size
            handed = {node.inputs[step.slots[0]]: left.total}
        else:
            parts = [self._sums(node.inputs[slot], s) for slot, s in zip(step.slots, shares, strict=False)]
            handed = dict.fromkeys((node.inputs[slot] for slot in step.slots), 0.0)
            for slot, (part, _) in zip(step.slots, parts, strict=False):
                handed[node.inputs[slot]] += part.total
            nothing = Amount(0.0, np.zeros(self._count))
            left, left_size = (reduce(Amount.plus, (part[i] for part in parts), nothing) for i in range(2))
        single = len(shares) == 1 and isinstance(shares[0], np.ndarray)
        self._latest = (weakref.ref(shares[0]), left, left_size) if single else None
        # All that uses an output has been walked before.
        depth = max(self._depths.get(output, 0) for output in node.outputs)
        for slot in step.slots:
            self._depths[node.inputs[slot]] = max(self._depths.get(node.inputs[slot], 0), depth + 1)
        rounding = self._lost.pop(ROUNDING, None)
        own = NodeReport(
            name=node.name,
            op=node.op,
            kind=step.op.kind,
            rule=str(step.rule),
            arrived=arrived.total,
            left=left.total,
            lost={cause: amount.total for cause, amount in self._lost.items()},
            depth=depth,
            samples=Samples(
                tuple(arrived.samples.tolist()),
                tuple(left.samples.tolist()),
                {cause: tuple(amount.samples.tolist()) for cause, amount in self._lost.items()},
                tuple(size.samples.tolist()),
                tuple(left_size.samples.tolist()),
                () if rounding is None else tuple(rounding.samples.tolist()),
            ),
            arrived_size=size.total,
            left_size=left_size.total,
            rounding=None if rounding is None else rounding.total,
            handed=handed,
            outputs=tuple(filter(None, node.outputs)),
            constant=step.constant,
        )
        if self.reports and self.reports[-1].name == own.name:  # another output of the same node
            own = self.reports.pop().with_more(own)
        self.reports.append(own)
        if self._progress is not None:
            self._progress(len(self.reports), len(self._plan.steps))

    def _begin(self, first: Any) -> None:
        if not self._count:
            axis = batch_axis(self._plan.graph, self._value, first.shape, self._feeds)
            self._count = 1 if axis is None else first.shape[axis]
            self._axes = axes_of_samples(self._plan, self._value, axis) if self._count > 1 else {}

    def part(self, feeds: Arrays) -> Ledger:
        """Books of some of the samples."""
        return Ledger(self._plan, feeds)

    def join(self, parts: Sequence[Any]) -> None:
        """The books of all samples from those of each part of them, in their order."""
        nodes = zip(*(part.reports for part in parts), strict=True)
        self.reports = [report(parts) for parts in nodes]
        if self._progress is not None:
            self._progress(len(self._plan.steps), len(self._plan.steps))

    def alarm(self, started: Any) -> list[str]:
        """A warning, if more than 1 % of what started in a sample, or in the batch, is lost and nobody claims it.

        By rules that do not conserve, such as the gradient, that means nothing.
        """
        steps = {step.node.name: step for step in self._plan.steps}
        books = [(node, steps[node.name]) for node in self.reports if steps[node.name].rule.accounts]
        if not books:
            return []
        samples = [node.samples for node, _ in books if node.samples]
        errors = np.array([(node.error, *s.error) for (node, _), s in zip(books, samples, strict=True)])
        passed = np.array([(node.arrived, *s.arrived) for (node, _), s in zip(books, samples, strict=True)])
        whole = np.array([started.sum(), *started])
        if len(whole) != errors.shape[1]:  # a start inside the model may not tell the samples apart
            errors, passed, whole = errors[:, :1], passed[:, :1], whole[:1]
        # Where large amounts cancel in the target, they are off by more than it by rounding.
        least = np.maximum(LIMIT * np.abs(whole), FLOAT_ERROR * np.abs(passed).max(axis=0))
        least = np.maximum(least, np.finfo(np.float32).tiny)
        (fires,) = np.nonzero(np.abs(errors.sum(axis=0)) > least)
        if not fires.size:
            return []
        column = fires[np.argmax(np.abs(errors[:, fires].sum(axis=0)) / least[fires])]
        worst, step = books[int(np.argmax(np.abs(errors[:, column])))]
        of = f" of sample {column - 1}" if column and len(started) > 1 else ""
        return [
            f"{errors[:, column].sum():.3g} of the {whole[column]:.4g} that started{of} neither "
            f"arrived nor was lost to a cause, most of it at {step.node}, by rule {worst.rule}: relevance is wrong "
            "there, by a fault of onnxdtd, or since float32 is too coarse for these values"
        ]

    def _product(self, value: str, flow: Any, share: Any, factor: float) -> Amount:
        """The sum of flow * share * factor; share broadcasts to flow."""
        if np.ndim(share) == 0:
            whole, factor = self._sum(value, flow), factor * float(share)
        elif self._count > 1:
            whole = self._sum(value, flow * share)
        else:
            total = sum_of_products(flow, share)
            whole = Amount(total, np.array([total]))
        return Amount(whole.total * factor, whole.samples * factor)

    def _sum(self, value: str, r: Any) -> Amount:
        rows = by_sample(r, self._count, self._axes.get(value, (0,)))
        return self._amount(row_sums, r, rows)

    def _sums(self, value: str, r: Any) -> tuple[Amount, Amount]:
        """Of the relevance, and of |relevance|."""
        rows = by_sample(r, self._count, self._axes.get(value, (0,)))
        return self._amount(row_sums, r, rows), self._amount(row_sizes, r, rows)

    def _amount(self, add: Callable[[Any], Any], r: Any, rows: Any) -> Amount:
        if rows is None:
            return Amount(float(add(r.reshape(1, -1))[0]), np.full(self._count, np.nan))
        sums = add(rows)
        return Amount(float(sums.sum()), sums)
