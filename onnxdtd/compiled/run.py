"""The compiled walk, made ready for one plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.compiled.sessions import ready
from onnxdtd.errors import UnsupportedError
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.target import Target, seed_mask
from onnxdtd.walk.backward import Observer, Tell, tell_nobody, watch_nothing
from onnxdtd.walk.forward import Arrays, run_session
from onnxdtd.walk.run import Outcome, Snapshot, samples


class OnnxRun:
    """The walk traced into one ONNX model, run by onnxruntime; only outputs and relevance leave its device.

    Walks that are compiled already are shared, see `sessions`.
    """

    engine = "onnx"

    def __init__(
        self, plan: Plan, providers: Sequence[str], cache_dir: str | os.PathLike[str] | None = None
    ) -> None:
        self.plan = plan
        self._ready = ready(plan, providers, cache_dir)

    def __call__(
        self,
        feeds: Arrays,
        target: Target,
        observe: Observer = watch_nothing,
        ledger: Tell = tell_nobody,
        snapshot: Snapshot | None = None,
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
