"""An engine that is ready for one plan, and the reference: the forward pass by onnxruntime, the walk in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.target import Target, seed_mask, seed_relevance
from onnxdtd.walk.backward import Observer, Tell, tell_nobody, walk, watch_nothing
from onnxdtd.walk.forward import Arrays, Forward


@dataclass(frozen=True)
class Outcome:
    """outputs: of the model. logits: the explained value, and mask: its elements that are explained.
    relevance: of each float input."""

    outputs: dict[str, npt.NDArray[Any]]
    logits: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_]
    relevance: dict[str, npt.NDArray[Any]]


class Run(Protocol):
    """An engine that is ready: call it with the model's inputs and a target. engine: its name."""

    engine: str
    plan: Plan

    def __call__(
        self, feeds: Arrays, target: Target, observe: Observer = watch_nothing, ledger: Tell = tell_nobody
    ) -> Outcome:
        """Explain one batch; only the NumPy engine tells its observers of every node."""


class NumpyRun:
    """The reference: onnxruntime forward, the walk on arrays; derived weights are kept between calls.

    forward, kept: both parts, for who walks from the same model otherwise.
    """

    engine = "numpy"

    def __init__(self, plan: Plan, providers: list[str]) -> None:
        self.plan = plan
        names = [*dict.fromkeys((*needed(plan), *plan.graph.outputs))]
        self.forward = Forward(plan.graph, names, providers)
        self.kept: dict[Any, Any] = {}

    def __call__(
        self, feeds: Arrays, target: Target, observe: Observer = watch_nothing, ledger: Tell = tell_nobody
    ) -> Outcome:
        """Explain one batch."""
        plan = self.plan
        values = self.forward(feeds)
        outputs = {name: values[name] for name in plan.graph.outputs}
        logits = values[plan.target]
        mask = seed_mask(target, logits)
        seed = seed_relevance(plan.seed, mask, logits)
        relevance = walk(plan, values, seed, kept=self.kept, observe=observe, ledger=ledger)
        return Outcome(outputs, logits, mask, relevance)


def samples(feeds: Arrays) -> int:
    """The length of the first input's batch axis; 1 for a single number."""
    first = next(iter(feeds.values()))
    return len(first) if np.ndim(first) else 1
