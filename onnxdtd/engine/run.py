"""The two engines, made ready for one plan: the walk in NumPy, or the walk compiled into an ONNX model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.engine.backward import Observer, Tell, needed, tell_nobody, walk, watch_nothing
from onnxdtd.engine.forward import Arrays, Forward, run_session
from onnxdtd.engine.plan import Plan
from onnxdtd.engine.sessions import ready
from onnxdtd.engine.target import Target, seed_mask, seed_relevance
from onnxdtd.errors import UnsupportedError


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


class OnnxRun:
    """The walk traced into one ONNX model, run by onnxruntime; only outputs and relevance leave its device.

    Walks that are compiled already are shared, see `sessions`.
    """

    engine = "onnx"

    def __init__(
        self, plan: Plan, providers: list[str], cache_dir: str | os.PathLike[str] | None = None
    ) -> None:
        self.plan = plan
        self._ready = ready(plan, providers, cache_dir)

    def __call__(
        self, feeds: Arrays, target: Target, observe: Observer = watch_nothing, ledger: Tell = tell_nobody
    ) -> Outcome:
        """Explain one batch."""
        given, compiled = dict(feeds), self._ready.compiled
        if compiled.given:
            batch = samples(feeds)
            given[compiled.given] = _flat(target, self.plan.graph.value(self.plan.target).shape, batch)
        values = run_session(self._ready.session_for(given), self._ready.names, given)
        logits = values[compiled.logits]
        outputs = {name: values[name] for name in self.plan.graph.outputs}
        relevance = {name: values[output] for name, output in compiled.relevance.items()}
        return Outcome(outputs, logits, seed_mask(target, logits), relevance)


def samples(feeds: Arrays) -> int:
    """The length of the first input's batch axis; 1 for a single number."""
    first = next(iter(feeds.values()))
    return len(first) if np.ndim(first) else 1


def _flat(target: Target, shape: Any, batch: int) -> npt.NDArray[np.int64]:
    """The compiled model's target: a flat index behind the batch axis per sample, -1 for the arg-max."""
    if target.index is None:
        return np.full(1, -1, np.int64)
    if not all(isinstance(size, int) for size in shape[1:]):
        raise UnsupportedError(
            f"an index of the explained value, whose shape {shape} is not fixed, cannot be counted before it is "
            "known; use engine='numpy', or the target top"
        )
    mask = seed_mask(target, np.zeros((batch, *shape[1:]), np.float32))
    return np.asarray(np.argmax(mask.reshape(batch, -1), axis=1), np.int64)
