"""The compiled walk, made ready for one plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from onnxdtd.compiled.sessions import Ready, ready
from onnxdtd.compiled.start import COEFFICIENTS
from onnxdtd.model.node import Dimension
from onnxdtd.plan.batch import batch_axis
from onnxdtd.plan.coefficients import seed_mask
from onnxdtd.plan.default import ranks_positions
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import ask, start_of
from onnxdtd.plan.target import Target
from onnxdtd.walk.backward import Observer, Tell, tell_nobody, watch_nothing
from onnxdtd.walk.forward import Arrays, Forward, run_session
from onnxdtd.walk.run import Outcome, Snapshot

TOP = np.full(1, -1, np.int64)


class OnnxRun:
    """The walk traced into one ONNX model, run by onnxruntime; only outputs and relevance leave its device.

    An index or the arg-max is found by the compiled model itself; any other question takes a forward pass first,
    whose values say which coefficients it stands for. Walks that are compiled already are shared, see `sessions`.
    """

    engine = "onnx"

    def __init__(
        self, plan: Plan, providers: Sequence[str], cache_dir: str | os.PathLike[str] | None = None
    ) -> None:
        self.plan = plan
        self._providers, self._cache_dir = providers, cache_dir
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
        place = self._place(target, feeds)
        if place is not None:
            outcome = self._run(self._ready, feeds, target, place)
            # Where the samples lie, only a run shows for certain.
            if outcome.seed.axis == 0 and (place.size or outcome.seed.coefficients.all()):
                return outcome
        graph = self.plan.graph
        values = self._forward(feeds)
        logits = values[self.plan.target]
        seed = ask(target, graph, self.plan.output, values, feeds)
        start_of(self.plan.seed, seed, logits)  # refuses what the method cannot start from
        return self._run(self._by_coefficients, feeds, target, seed.coefficients.astype(logits.dtype))

    def _run(self, compiled: Ready, feeds: Arrays, target: Target, asked: npt.NDArray[np.generic]) -> Outcome:
        walk, graph = compiled.compiled, self.plan.graph
        given = {**feeds, walk.given: asked} if walk.given else feeds
        values = run_session(compiled.session_for(given), compiled.names, given)
        outputs = {name: values[name] for name in graph.outputs}
        relevance = {name: values[output] for name, output in walk.relevance.items()}
        seed = ask(target, graph, self.plan.output, values, feeds)
        return Outcome(outputs, values[walk.logits], seed, relevance)

    @cached_property
    def _by_coefficients(self) -> Ready:
        return ready(self.plan, self._providers, self._cache_dir, COEFFICIENTS)

    @cached_property
    def _forward(self) -> Forward:
        names = dict.fromkeys((*self.plan.graph.outputs, self.plan.target))
        return Forward(self.plan.graph, [*names], self._providers)

    def _place(self, target: Target, feeds: Arrays) -> npt.NDArray[np.int64] | None:
        """The compiled model's target: a flat index behind the batch axis, of each sample or one for all, -1 for the
        arg-max; empty for an output of one number a sample. None where that cannot say it."""
        sizes = self._sizes(feeds)
        if target.form is not None or (len(sizes) < 2 and not target.is_top):
            return None
        if len(sizes) < 2:
            return np.zeros(0, np.int64)
        if target.index is None:
            return TOP if ranks_positions(self.plan.graph, self.plan.output, len(sizes), feeds) else None
        shape = tuple(size for size in sizes if size is not None)
        if len(shape) < len(sizes) or batch_axis(self.plan.graph, self.plan.target, shape, feeds) != 0:
            return None
        if target.per_sample and shape[0] != len(target.index):
            return None
        count = len(target.index) if target.per_sample else 1
        mask = seed_mask(target, np.zeros((count, *shape[1:]), np.float32))
        return np.asarray(np.argmax(mask.reshape(count, -1), axis=1), np.int64)

    def _sizes(self, feeds: Arrays) -> list[int | None]:
        """The explained value's shape: sizes that are fixed or named as an input's; None for others."""
        named: dict[Dimension, int] = {}
        for name, x in feeds.items():
            named |= dict(zip(self.plan.graph.value(name).shape or (), x.shape, strict=False))
        sizes = self._ready.compiled.shape
        return [size if isinstance(size, int) else named.get(size) if size else None for size in sizes]
