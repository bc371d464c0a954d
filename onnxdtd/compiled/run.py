"""The compiled walk, made ready for one plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.compiled.sessions import ready
from onnxdtd.model.node import Dimension
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.target import Target, seed_mask
from onnxdtd.walk.backward import Observer, Tell, tell_nobody, watch_nothing
from onnxdtd.walk.forward import Arrays, run_session
from onnxdtd.walk.run import Outcome, Snapshot

TOP = np.full(1, -1, np.int64)


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
        compiled = self._ready.compiled
        asked = {compiled.given: self._flat(target, feeds)} if compiled.given else {}
        values = self._run({**feeds, **asked})
        logits = values[compiled.logits]
        outputs = {name: values[name] for name in self.plan.graph.outputs}
        relevance = {name: values[output] for name, output in compiled.relevance.items()}
        return Outcome(outputs, logits, seed_mask(target, logits), relevance)

    def _run(self, feeds: Arrays) -> dict[str, Any]:
        return run_session(self._ready.session_for(feeds), self._ready.names, feeds)

    def _flat(self, target: Target, feeds: Arrays) -> npt.NDArray[np.int64]:
        """The compiled model's target: a flat index behind the batch axis, of each sample or one for all; -1 for
        the arg-max."""
        if target.index is None:
            return TOP
        count, *sizes = self._sizes(feeds)
        rows = count if target.per_sample else 1
        mask = seed_mask(target, np.zeros((rows, *sizes), np.float32))
        return np.asarray(np.argmax(mask.reshape(rows, -1), axis=1), np.int64)

    def _sizes(self, feeds: Arrays) -> tuple[int, ...]:
        """The explained value's shape: sizes that are fixed or named as an input's; for others, a run tells."""
        compiled = self._ready.compiled
        named: dict[Dimension, int] = {}
        for name, x in feeds.items():
            named |= dict(zip(self.plan.graph.value(name).shape or (), x.shape, strict=False))
        sizes = [
            size if isinstance(size, int) else named.get(size) if size else None for size in compiled.shape
        ]
        fixed = tuple(size for size in sizes if size is not None)
        if len(fixed) == len(sizes):
            return fixed
        shape: tuple[int, ...] = self._run({**feeds, compiled.given: TOP})[compiled.logits].shape
        return shape
