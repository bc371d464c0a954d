"""Which engine walks a plan, and the engines of one explainer, each started when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnxdtd.compiled.run import OnnxWalker
from onnxdtd.compiled.sessions import CacheDir, is_ready
from onnxdtd.errors import OpsetError, UnsupportedError
from onnxdtd.loaded import Loaded
from onnxdtd.model.graph import Graph
from onnxdtd.plan.choice import MANY, choose
from onnxdtd.plan.plan import Inside, Plan
from onnxdtd.walk.run import NumpyWalker, Walker, reads

MOST_INSIDE = 8
"""Engines of plans that do something inside the model, which are kept for further calls."""


class Engines:
    """engine: `numpy`, `onnx`, or `auto`, which takes what is faster. many: whether the method takes many passes.

    notes: by output, what `auto` took and why. A copy, or what is unpickled, starts its engines anew.
    """

    def __init__(
        self,
        loaded: Loaded,
        engine: str,
        providers: Sequence[str],
        cache_dir: CacheDir,
        many: bool,
    ) -> None:
        self._loaded, self._engine, self._providers = loaded, engine, list(providers)
        self._cache_dir, self._many = cache_dir, many
        self.notes: dict[str, str] = {}
        self._runs: dict[tuple[str, Inside, str], Walker] = {}
        self._asked: dict[str, int] = {}
        self._uncompilable: dict[str, str] = {}
        self._ready: dict[tuple[str, Inside], bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_runs": {}, "_ready": {}}

    def run(self, plan: Plan, samples: int, remake: Callable[[Graph], Plan]) -> Walker:
        """An engine ready for the plan. samples: how many more it is to explain, for `auto`. remake: the same plan of
        the model in a newer opset, where only that can be compiled."""
        self._asked[plan.output] = self._asked.get(plan.output, 0) + samples
        if self._engine == "auto":
            return self._chosen(plan, remake)
        return self._start(plan, self._engine, remake)

    def _chosen(self, plan: Plan, remake: Callable[[Graph], Plan]) -> Walker:
        """What `auto` takes: numpy where it must, which it says, since not every walk can be compiled."""
        name = plan.output
        engine, why = choose(plan, MANY if self._many else self._asked[name])
        if engine == "numpy" and self.is_ready(plan):
            engine, why = "onnx", "this walk is compiled already"
        if name in self._uncompilable:
            engine, why = "numpy", self._uncompilable[name]
        try:
            run = self._start(plan, engine, remake)
        except UnsupportedError as error:
            self._uncompilable[name] = f"this walk cannot be compiled: {error.faults[0]}"
            return self._chosen(plan, remake)
        self.notes[name] = f"engine {engine} taken by auto: {why}"
        return run

    def is_ready(self, plan: Plan) -> bool:
        """Whether the compiled walk of a plan is at hand, so that it costs nothing but its start."""
        key = (plan.output, plan.inside)
        if key not in self._ready:
            self._ready[key] = is_ready(plan, self._providers, self._cache_dir)
        return self._ready[key]

    def _start(self, plan: Plan, engine: str, remake: Callable[[Graph], Plan]) -> Walker:
        key = (plan.output, plan.inside, engine)
        if plan.inside != Inside():
            older = [k for k in self._runs if k[1] != Inside() and k != key]
            for k in older[: 1 - MOST_INSIDE]:
                del self._runs[k]
        if key not in self._runs and engine == "onnx":
            self._runs[key] = self._compiled(plan, remake)
        elif key not in self._runs:
            forward = self._loaded.forward(reads(plan), self._providers)
            self._runs[key] = NumpyWalker(plan, self._providers, forward, self._loaded.derived(plan))
        return self._runs[key]

    def _compiled(self, plan: Plan, remake: Callable[[Graph], Plan]) -> OnnxWalker:
        """The compiled walk, of the model in as new an opset as that needs."""

        def walker(newer: Graph) -> OnnxWalker:
            remade = plan if newer is plan.graph else remake(newer)
            return OnnxWalker(remade, self._providers, self._cache_dir)

        try:
            return walker(self._loaded.newer())
        except OpsetError as error:
            return walker(self._loaded.newer(error.opset))
