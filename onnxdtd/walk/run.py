"""An engine that is ready for one plan, and the reference: the forward pass by onnxruntime, the walk in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.seed import Seed, ask, start_of
from onnxdtd.plan.target import Target
from onnxdtd.walk.backward import Observer, Tell, tell_nobody, walk, watch_nothing
from onnxdtd.walk.forward import Arrays, Forward

SUMS_BYTES = 1 << 28
"""Of activations, up to which the sums made of them are kept beside."""


@dataclass(frozen=True)
class Outcome:
    """outputs: of the model. logits: the explained value. seed: what of it is explained. relevance: of each float
    input."""

    outputs: dict[str, npt.NDArray[Any]]
    logits: npt.NDArray[Any]
    seed: Seed
    relevance: dict[str, npt.NDArray[Any]]


@dataclass
class Snapshot:
    """The inside of a model at one input, filled by the NumPy engine for further walks from there.

    values: every activation that the walk reads. sums: what rules made of them, None where that takes much memory.
    """

    values: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    sums: dict[Any, Any] | None = None

    def fill(self, values: dict[str, npt.NDArray[Any]]) -> None:
        """Take the values, and room for sums, which are about as large."""
        self.values = values
        self.sums = {} if sum(array.nbytes for array in values.values()) <= SUMS_BYTES else None


class Run(Protocol):
    """An engine that is ready: call it with the model's inputs and a target. engine: its name."""

    engine: str
    plan: Plan

    def __call__(
        self,
        feeds: Arrays,
        target: Target,
        observe: Observer = watch_nothing,
        ledger: Tell = tell_nobody,
        snapshot: Snapshot | None = None,
    ) -> Outcome:
        """Explain one batch; only the NumPy engine tells its observers of every node, and fills a snapshot."""


class NumpyRun:
    """The reference: onnxruntime forward, the walk on arrays; derived weights are kept between calls.

    forward, kept: the session that gives what `reads` says, and where derived weights are kept; its own, unless it
    shares those of other runs on the same model.
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
        self.kept: dict[Any, Any] = {} if kept is None else kept

    def __call__(
        self,
        feeds: Arrays,
        target: Target,
        observe: Observer = watch_nothing,
        ledger: Tell = tell_nobody,
        snapshot: Snapshot | None = None,
    ) -> Outcome:
        """Explain one batch."""
        plan, sums = self.plan, None
        values = self.forward(feeds)
        if snapshot is not None:
            snapshot.fill(values)
            sums = snapshot.sums
        outputs = {name: values[name] for name in plan.graph.outputs}
        logits = values[plan.target]
        seed = ask(target, plan.graph, plan.output, values, feeds)
        start = start_of(plan.seed, seed, logits)
        free = snapshot is None
        relevance = walk(
            plan, values, start, kept=self.kept, observe=observe, ledger=ledger, free=free, sums=sums
        )
        return Outcome(outputs, logits, seed, relevance)


def reads(plan: Plan) -> list[str]:
    """What a run reads of a forward pass: every value that the walk needs, and the model's outputs."""
    return [*dict.fromkeys((*needed(plan), *plan.graph.outputs))]


def samples(feeds: Arrays) -> int:
    """The length of the first input's batch axis; 1 for a single number."""
    first = next(iter(feeds.values()))
    return len(first) if np.ndim(first) else 1
