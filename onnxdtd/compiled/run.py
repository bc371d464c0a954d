"""The compiled walk, made ready for one plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from onnxdtd.compiled.constants import CONSTANTS, by_kind
from onnxdtd.compiled.ready import Ready
from onnxdtd.compiled.sessions import CacheDir, ready
from onnxdtd.compiled.start import COEFFICIENTS
from onnxdtd.plan.batch import batch_axis
from onnxdtd.plan.coefficients import seed_mask
from onnxdtd.plan.default import ranks_positions
from onnxdtd.plan.focus import NOWHERE, Focus
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import Seed, ask, start_of
from onnxdtd.plan.target import Target
from onnxdtd.types import Arrays, Dimension
from onnxdtd.walk.forward import Forward
from onnxdtd.walk.outcome import Asked, Outcome, Snapshot
from onnxdtd.walk.run import seed_inside

TOP = np.full(1, -1, np.int64)


class OnnxWalker:
    """The walk traced into one ONNX model, run by onnxruntime; only outputs and relevance leave its device.

    An index or the arg-max is found by the compiled model itself; any other question takes a forward pass first,
    whose values say which coefficients it stands for. Walks that are compiled already are shared, see `sessions`.
    """

    engine = "onnx"

    def __init__(self, plan: Plan, providers: Sequence[str], cache_dir: CacheDir = None) -> None:
        self.plan = plan
        self._providers, self._cache_dir = providers, cache_dir
        self._ready = ready(plan, providers, cache_dir)

    def __call__(
        self,
        feeds: Arrays,
        asked: Sequence[Asked],
        snapshot: Snapshot | None = None,
        focus: Focus = NOWHERE,
    ) -> list[Outcome]:
        """Explain several targets of one batch; those of one sample share what does not depend on them."""
        inside = self._inside(focus, feeds)
        if focus.start:
            values = self._ready.run({**feeds, **inside})
            begin = {name: inside[asks] for name, asks in self._ready.compiled.starts.items()}
            seed, begun = seed_inside(begin, self.plan, values[self.plan.target], feeds)
            return [replace(self._outcome(self._ready, values, seed), begun=begun)] * len(asked)
        targets = [one.target for one in asked]
        return self._by_place(feeds, targets, inside) or self._by_coefficients(feeds, targets, inside)

    def _by_place(self, feeds: Arrays, targets: Sequence[Target], inside: Arrays) -> list[Outcome]:
        """Those whose every target is an index or the arg-max; none else."""
        places = [self._place(target, feeds) for target in targets]
        if any(place is None for place in places):
            return []
        ran = self._ran(self._ready, feeds, inside, [place for place in places if place is not None])
        outcomes = []
        for target, place, values in zip(targets, places, ran, strict=True):
            seed = ask(target, self.plan.graph, self.plan.output, values, feeds)
            # Where the samples lie, only a run shows for certain.
            if place is None or seed.axis != 0 or not (place.size or seed.coefficients.all()):
                return []
            outcomes.append(self._outcome(self._ready, values, seed))
        return outcomes

    def _by_coefficients(self, feeds: Arrays, targets: Sequence[Target], inside: Arrays) -> list[Outcome]:
        """By a forward pass first, whose values say which coefficients each question stands for."""
        plan, values = self.plan, self._forward(feeds)
        logits = values[plan.target]
        seeds = [ask(target, plan.graph, plan.output, values, feeds) for target in targets]
        for seed in seeds:
            start_of(plan.seed, seed, logits)  # refuses what the method cannot start from
        ready = self._ready_for_any
        ran = self._ran(ready, feeds, inside, [seed.coefficients.astype(logits.dtype) for seed in seeds])
        return [
            self._outcome(ready, values, ask(target, plan.graph, plan.output, values, feeds))
            for target, values in zip(targets, ran, strict=True)
        ]

    def _ran(
        self, ready: Ready, feeds: Arrays, inside: Arrays, asked: Sequence[npt.NDArray[Any]]
    ) -> list[dict[str, Any]]:
        name = ready.compiled.target_input
        fed = {**feeds, **inside}
        return ready.run_each(fed, name, asked) if name else [ready.run(fed)] * len(asked)

    def _outcome(self, ready: Ready, values: Arrays, seed: Seed) -> Outcome:
        walk = ready.compiled
        outputs = {name: values[name] for name in self.plan.graph.outputs}
        arrived = {name: values[output] for name, output in walk.relevance.items()}
        relevance = {name: arrived[name] for name in self.plan.inputs}
        kept = {name: arrived[name] for name in self.plan.inside.keep}
        made = by_kind(walk.kinds, values[CONSTANTS], len(seed.elements)) if walk.kinds else {}
        return Outcome(outputs, values[walk.logits], seed, relevance, kept, constants=made)

    def _inside(self, focus: Focus, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """What is fed for values inside the model: the relevance that starts there, and where it goes on."""
        walk = self._ready.compiled
        names = {**walk.masks, **walk.starts}
        if not names:
            return {}
        types = {v.name: v.type.tensor_type for v in walk.model.graph.input}
        shaped: dict[str, Any] = {}
        for name, asks in names.items():
            dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in types[asks].shape.dim]
            sizes = self._lengths(dims, feeds)
            if None in sizes:
                values = self._forward_inside(feeds)
                shaped = {name: values[name] for name in names}
                break
            shaped[name] = np.broadcast_to(
                np.zeros((), helper.tensor_dtype_to_np_dtype(types[asks].elem_type)), [s or 0 for s in sizes]
            )
        begins = focus.begin(shaped)
        masks = focus.masks({name: shaped[name].shape for name in focus.only})
        return {
            **{asks: begins[name] for name, asks in walk.starts.items()},
            **{asks: masks[name] for name, asks in walk.masks.items()},
        }

    @cached_property
    def _ready_for_any(self) -> Ready:
        return ready(self.plan, self._providers, self._cache_dir, COEFFICIENTS)

    @cached_property
    def _forward(self) -> Forward:
        names = dict.fromkeys((*self.plan.graph.outputs, self.plan.target))
        return Forward(self.plan.graph, [*names], self._providers)

    @cached_property
    def _forward_inside(self) -> Forward:
        walk = self._ready.compiled
        return Forward(self.plan.graph, [*{**walk.masks, **walk.starts}], self._providers)

    def _place(self, target: Target, feeds: Arrays) -> npt.NDArray[np.int64] | None:
        """The compiled model's target: a flat index behind the batch axis, of each sample or one for all, -1 for the
        arg-max; empty for an output of one number a sample. None where that cannot say it."""
        sizes = self._sizes(feeds)
        if target.form is not None or (len(sizes) < 2 and not target.is_top):
            return None
        if len(sizes) < 2:
            return np.zeros(0, np.int64)
        if target.index is None:
            return TOP if ranks_positions(self.plan.graph, self.plan.output, sizes, feeds) else None
        shape = tuple(size for size in sizes if size is not None)
        if len(shape) < len(sizes) or batch_axis(self.plan.graph, self.plan.target, shape, feeds) != 0:
            return None
        if target.per_sample and shape[0] != len(target.index):
            return None
        count = len(target.index) if target.per_sample else 1
        mask = seed_mask(target, np.zeros((count, *shape[1:]), np.float32))
        return np.asarray(np.argmax(mask.reshape(count, -1), axis=1), np.int64)

    def _sizes(self, feeds: Arrays) -> list[int | None]:
        """The explained value's shape, as far as it is known."""
        return self._lengths(self._ready.compiled.shape, feeds)

    def _lengths(self, sizes: Sequence[Dimension], feeds: Arrays) -> list[int | None]:
        """Sizes that are fixed or named as an input's; None for others."""
        named: dict[Dimension, int] = {}
        for name, x in feeds.items():
            named |= dict(zip(self.plan.graph.value(name).shape or (), x.shape, strict=False))
        return [size if isinstance(size, int) else named.get(size) if size else None for size in sizes]
