"""What audits are given to ask again with: other seeds, other rules, other inputs, other weights.

A `Probe` stands at one point of one model. `relevance(seed)` walks from there; `by(method)`, `at(feeds)` and
`on(constants)` return a probe that differs in that one thing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.audit.similarity import cosines, side_by_side
from onnxdtd.audit.sketch import fold
from onnxdtd.audit.steps import free_of_seed, spread
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.model.graph import Graph
from onnxdtd.plan.batch import rows, samples, samples_first
from onnxdtd.plan.boxes import class_rows
from onnxdtd.plan.plan import Plan, make_plan, needed
from onnxdtd.plan.reach import LAYERS
from onnxdtd.plan.step import Step, everywhere
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.runs.masks import mask_of
from onnxdtd.types import Array, Arrays
from onnxdtd.walk.backward import Observer, Strand, walk, walk_all, watch_nothing
from onnxdtd.walk.forward import Forward
from onnxdtd.walk.outcome import Snapshot
from onnxdtd.walk.run import reads
from onnxdtd.walk.stepping import Reading

Tick = Callable[[int, int], None]

SAMPLES = 4
"""Of a larger batch, so many are walked again."""


def tell_nobody(done: int, total: int) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True, eq=False)
class Probe:
    """One batch at one point. values: every activation. mask: the explained elements of the target.

    remake(graph, method): the plan of another graph or method. kept: derived weights of this graph. sums: what rules
    made of the values. explained: the relevance of each input for one unit at the explained elements, where it is
    known. class_axis: of the explained value, None where it has one element a sample; first_class: on it, behind the
    numbers of a detector's box. rival: the class to compare with, if one is asked for. tick(done, total): progress of
    the audit that is running. asked: answers at this point that several audits share.
    """

    plan: Plan
    feeds: Arrays
    values: Arrays
    mask: npt.NDArray[np.bool_]
    forward: Reading
    remake: Callable[[Graph, str], Plan]
    providers: Sequence[str]
    explainer: Explainer
    kept: dict[Any, Any] = dataclasses.field(default_factory=dict)
    sums: dict[Any, Any] | None = None
    explained: Arrays | None = None
    class_axis: int | None = -1
    first_class: int = 0
    rival: int | None = None
    tick: Tick = tell_nobody
    asked: dict[str, Any] = dataclasses.field(default_factory=dict, init=False)

    @classmethod
    def of(cls, explainer: Explainer, explanation: Explanation, snapshot: Snapshot | None = None) -> Probe:
        """At the explanation's inputs and target, by its method. snapshot: of the pass that made it, if there is one;
        else the model runs again."""
        output, method = explanation.output, explanation.method

        def remake(graph: Graph, wanted: str) -> Plan:
            overrides = [o for o in explainer.overrides if wanted == method or o.rule is None]
            own = callable(explainer.method) and wanted == method
            name = explainer.method if own else wanted
            if len(overrides) == len(explainer.overrides) and not explainer.strict_rules:
                return free_of_seed(explainer.plan_for(graph, name, output))
            return free_of_seed(
                make_plan(
                    graph, name, output,
                    input_range=explainer.input_range, bias=explainer.bias, overrides=overrides,
                )
            )  # fmt: skip

        plan = explainer.plan(output)
        plan = free_of_seed(plan) if plan.seed == "positive" else plan
        kept = explainer.loaded.derived(plan)
        forward = Reading(explainer.forward(reads(plan)), plan.graph, plan.steps, explainer.providers)
        feeds, count = _first_samples(explainer.graph, explanation)
        inside = Snapshot() if snapshot is None else snapshot
        if not inside.values:
            inside.fill(forward(feeds))
        values = inside.values
        mask = mask_of(explanation.target[:count], values[plan.target].shape, explanation.batch_axis)
        axis, first = _classes(explainer.graph, explanation, mask.ndim)
        lone = _for_one_unit(plan, explanation, count)
        return cls(
            plan, feeds, values, mask, forward, remake, explainer.providers, explainer, kept, inside.sums, lone,
            axis, first,
        )  # fmt: skip

    def by(self, method: str) -> Probe:
        """The same point, another method's rules."""
        return dataclasses.replace(self, plan=self.remake(self.plan.graph, method), explained=None)

    def asking(self, other: Probe) -> Probe:
        """The same point, the elements that another probe explains."""
        return dataclasses.replace(self, mask=other.mask, explained=None)

    def at(self, feeds: Arrays) -> Probe:
        """Other inputs of the same shapes."""
        return dataclasses.replace(self, feeds=feeds, values=self.forward(feeds), sums=None, explained=None)

    def on(self, constants: Arrays) -> Probe:
        """A copy of the model with some of its constants replaced; the same inputs and target."""
        graph = self.plan.graph.replace(constants={**self.plan.graph.constants, **constants})
        plan = self.remake(graph, self.plan.method)
        made = Forward(graph, needed(plan), self.providers)
        forward = Reading(made, graph, plan.steps, self.providers)
        values = forward(self.feeds)
        return dataclasses.replace(
            self, plan=plan, values=values, forward=forward, kept={}, sums=None, explained=None
        )

    def answer(self, feeds: Arrays) -> Array:
        """The explained value at other inputs of the same shapes, without what is inside."""
        return np.asarray(self.forward.only([self.plan.target], feeds)[self.plan.target])

    def relevances(self, seeds: Sequence[Array]) -> list[dict[str, Array]]:
        """Relevance of each input for several seeds at the plan's target, by one walk."""
        dtype = self.values[self.plan.target].dtype
        strands = [Strand(seed.astype(dtype)) for seed in seeds]
        return walk_all(self.plan, dict(self.values), strands, kept=self.kept, free=False, sums=self.sums)

    def relevance(
        self, seed: Array, observe: Observer = watch_nothing, plan: Plan | None = None
    ) -> dict[str, Array]:
        """Relevance of each input for relevance `seed` at the plan's target."""
        plan = plan or self.plan
        seed = seed.astype(self.values[plan.target].dtype)
        return walk(
            plan, dict(self.values), seed, kept=self.kept, observe=observe, free=False, sums=self.sums
        )

    @cached_property
    def original(self) -> dict[str, Array]:
        """Relevance of each input for one unit at every explained element."""
        return self.relevance(self.mask) if self.explained is None else dict(self.explained)

    @property
    def logits(self) -> Array:
        """The explained value, (N, ...)."""
        return self.values[self.plan.target]

    @property
    def samples(self) -> int:
        """The number of samples that are walked again."""
        return samples(self.mask)

    @cached_property
    def layers(self) -> tuple[Step, ...]:
        """Convolutions and dense ops from the output to the input, at most `steps.DEEPEST`, evenly spread."""
        return spread([step for step in reversed(self.plan.steps) if step.op.family in LAYERS])

    @cached_property
    def weighted(self) -> tuple[Step, ...]:
        """Whatever has weights that can be drawn anew, cells and what stands in loops included, as `layers`."""
        steps = [s for s in everywhere(self.plan.steps) if s.op.family in (*LAYERS, "recurrent")][::-1]
        return spread(steps)

    def trace(self, seed: Array, plan: Plan | None = None) -> dict[str, Array]:
        """Relevance at the output of every layer and, last, at the "input": (N, D) each, by node name.

        Of more than `SKETCH` numbers a random-sign fold is kept, whose cosines err by less than 0.02 (two standard
        deviations). Source: Charikar et al. 2002; Weinberger et al. 2009.
        """
        names = {step.node.name for step in self.layers}
        seen: dict[str, Array] = {}

        def observe(step: Step, r: Any, shares: tuple[Any, ...]) -> None:
            if step.node.name in names:
                seen[step.node.name] = fold(rows(r, self.samples))

        relevance = self.relevance(seed, observe, plan)
        return {**seen, "input": fold(side_by_side(relevance, self.samples))}

    def cosines(self, seeds: Sequence[Array], plan: Plan | None = None) -> dict[str, Array]:
        """(N, K, K) by layer: all cosines among the relevances that K seeds leave there."""
        traces = []
        for i, seed in enumerate(seeds):
            self.tick(i, len(seeds))
            traces.append(self.trace(seed, plan))
        return {name: cosines(np.stack([t[name] for t in traces], axis=1)) for name in traces[0]}


def at_once(probes: Sequence[Probe]) -> list[Probe]:
    """Probes that differ in what they explain, their `original` known by one walk."""
    asked = [probe.mask for probe in probes if probe.explained is None]
    walked = iter(probes[0].relevances(asked) if asked else ())
    return [
        dataclasses.replace(probe, explained=next(walked)) if probe.explained is None else probe
        for probe in probes
    ]


def few(graph: Graph, count: int) -> bool:
    """Whether audits look at all of so many samples: at the first ones of more, where the batch is not fixed."""
    whole = any(not graph.value(name).shape for name in graph.inputs)  # no batch axis to cut
    return count <= SAMPLES or whole or fixed_batch(graph) is not None


def _first_samples(graph: Graph, explanation: Explanation) -> tuple[Arrays, int]:
    feeds, count = explanation.inputs, len(explanation.target)
    if few(graph, count) or explanation.batch_axis != 0:
        return feeds, count
    return {name: array[:SAMPLES] for name, array in feeds.items()}, SAMPLES


def _classes(graph: Graph, explanation: Explanation, rank: int) -> tuple[int | None, int]:
    """The axis of the explained value along which the classes lie, and the first of them."""
    behind = [axis for axis in range(rank) if axis != explanation.batch_axis]
    if not behind:
        return None, 0
    y = samples_first(explanation.outputs[explanation.output], explanation.batch_axis)
    rows = class_rows(graph, explanation.output, y, explanation.inputs)
    return behind[explanation.class_axis], rows[1] if rows else 0


def _for_one_unit(plan: Plan, explanation: Explanation, count: int) -> Arrays | None:
    """The explanation's relevance over what it started with, where each sample started at one element with a positive
    number: rules give twice as much for twice as much. None elsewhere, and where it is squared at the end."""
    start = explanation.seed[:count]
    single = all(len(indices) == 1 for indices in explanation.target[:count])
    single &= all(r.shape[:1] == explanation.seed.shape for r in explanation.relevance.values())
    if not single or not (start > 0).all() or (plan.finish == "square" and (start != 1).any()):
        return None
    return {
        name: r[:count] / start.reshape(-1, *[1] * (r.ndim - 1)).astype(r.dtype)
        for name, r in explanation.relevance.items()
    }
