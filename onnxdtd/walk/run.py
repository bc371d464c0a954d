"""An engine that is ready for one plan, and the reference: the forward pass by onnxruntime, the walk in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.plan.batch import batch_axis, samples_first
from onnxdtd.plan.focus import NOWHERE, Focus
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.seed import Seed, ask, start_of
from onnxdtd.types import Arrays
from onnxdtd.walk.backward import Strand, walk_all
from onnxdtd.walk.forward import Forward
from onnxdtd.walk.outcome import Asked, Outcome, Snapshot
from onnxdtd.walk.parted import apart
from onnxdtd.walk.stepping import Reading


class Walker(Protocol):
    """An engine that is ready: call it with the model's inputs and targets. engine: its name."""

    engine: str
    plan: Plan

    def __call__(
        self,
        feeds: Arrays,
        asked: Sequence[Asked],
        snapshot: Snapshot | None = None,
        focus: Focus = NOWHERE,
    ) -> list[Outcome]:
        """Explain several targets of one batch, by one forward pass; only the NumPy engine fills a snapshot. focus:
        what the plan's `inside` was made of."""


class NumpyWalker:
    """The reference: onnxruntime forward, the walk on arrays; derived weights are kept between calls.

    values: what the walk reads, at an input. forward, kept: the session that gives what `reads` says, and where
    derived weights are kept; its own, unless it shares those of other runs on the same model.
    """

    engine = "numpy"

    def __init__(
        self,
        plan: Plan,
        providers: Sequence[str],
        forward: Forward | None = None,
        kept: dict[Any, Any] | None = None,
    ) -> None:
        self.plan = plan
        self.forward = forward or Forward(plan.graph, reads(plan), providers)
        self.values = Reading(self.forward, plan.graph, plan.steps, providers)
        self.kept: dict[Any, Any] = {} if kept is None else kept
        self._apart = apart(plan)

    def __call__(
        self,
        feeds: Arrays,
        asked: Sequence[Asked],
        snapshot: Snapshot | None = None,
        focus: Focus = NOWHERE,
    ) -> list[Outcome]:
        """Explain several targets of one batch, by one forward pass and one walk; many samples in chunks, where they
        stand apart."""
        plain = snapshot is None and not focus.only and not focus.start
        if self._apart and plain and all(one.target.by_sample for one in asked):
            made = self._apart(feeds, asked, partial(self._whole, focus=focus))
            if made is not None:
                return made
        return self._whole(feeds, asked, snapshot, focus)

    def _whole(
        self,
        feeds: Arrays,
        asked: Sequence[Asked],
        snapshot: Snapshot | None = None,
        focus: Focus = NOWHERE,
        threads: int = 0,
    ) -> list[Outcome]:
        plan, sums = self.plan, None
        values = self.values(feeds, threads)
        if snapshot is not None:
            snapshot.fill(values)
            sums = snapshot.sums
        outputs = {name: values[name] for name in plan.graph.outputs}
        logits, begun = values[plan.target], None
        seeds, strands = list[Seed](), list[Strand]()
        for one in asked:
            begin: Any
            if plan.inside.starts:
                begin = focus.begin(values)
                seed, begun = seed_inside(begin, plan, logits, feeds)
            else:
                seed = ask(one.target, plan.graph, plan.output, values, feeds)
                begin = start_of(plan.seed, seed, logits)
            seeds.append(seed)
            strands.append(Strand(begin, one.books.observe, one.books.listen))
        masks = focus.masks({name: values[name].shape for name in focus.only})
        arrived = walk_all(
            plan, values, strands, kept=self.kept, free=snapshot is None, sums=sums, masks=masks
        )
        return [
            Outcome(outputs, logits, seed, relevance, dict(strand.inner), begun)
            for seed, strand, relevance in zip(seeds, strands, arrived, strict=True)
        ]


def seed_inside(
    begin: Mapping[str, npt.NDArray[Any]], plan: Plan, logits: npt.NDArray[Any], feeds: Arrays
) -> tuple[Seed, npt.NDArray[np.float64]]:
    """The seed of a walk that starts inside, which explains no element of the output; and how much relevance starts
    in each sample. Where a value does not tell the samples apart, each has the same part of it."""
    axis = batch_axis(plan.graph, plan.target, logits.shape, feeds)
    said = f"the relevance given at {', '.join(repr(name) for name in begin)}"
    seed = Seed(np.zeros_like(logits), axis, said=said)
    count = len(seed.elements)
    total = np.zeros(count)
    for name, r in begin.items():
        rows = samples_first(r, batch_axis(plan.graph, name, r.shape, feeds))
        if len(rows) % count:
            total += r.sum(dtype=np.float64) / count
        else:
            total += rows.reshape(count, -1).sum(axis=1, dtype=np.float64)
    return seed, total


def reads(plan: Plan) -> list[str]:
    """What a run reads of a forward pass: every value that the walk needs, and the model's outputs."""
    return [*dict.fromkeys((*needed(plan), *plan.graph.outputs))]


def samples(feeds: Arrays) -> int:
    """The length of the first input's batch axis; 1 for a single number."""
    first = next(iter(feeds.values()))
    return len(first) if np.ndim(first) else 1
