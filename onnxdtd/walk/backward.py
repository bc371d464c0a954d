"""The walk: relevance from the output to the inputs, in topological order backwards, on either engine.

load -> graph -> canonise -> assign (method) -> plan -> forward -> **backward** -> explanation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from onnxdtd.deadline import check
from onnxdtd.entries import Finish
from onnxdtd.linear import Claim, Site, ignore
from onnxdtd.model.graph import Graph
from onnxdtd.model.loops import inside
from onnxdtd.model.point import Point
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step, Trail
from onnxdtd.primitives import cast_like, equal, where
from onnxdtd.walk.flow import Flow, begin, divided, shares
from onnxdtd.walk.through import through

NOTHING: Mapping[str, Any] = MappingProxyType({})
Observer = Callable[[Step, Any, tuple[Any, ...]], None]
Listener = Callable[[Step, str], Claim]


def watch_nothing(step: Step, r: Any, shares: tuple[Any, ...]) -> None:
    """The observer that observes nothing."""


def tell_nobody(step: Step, output: str) -> Claim:
    """Losses are told to nobody."""
    return ignore


class Rows(Protocol):
    """Who adds up losses in a graph that is being written: those of a loop's body leave it as rows."""

    def inside(self, iteration: Callable[[], None]) -> list[Any]:
        """What one iteration tells, in arrays that its body hands out."""

    def outside(self, rows: Sequence[Any]) -> None:
        """Told the same of all iterations, along the first axis of each array."""


@dataclass(frozen=True, eq=False)
class Strand:
    """One of the seeds of a walk, and what comes of it.

    seed: relevance of the target, shaped like it; of a plan that starts inside, by the value where it starts.
    observe(step, r, shares): told of each output of a node that relevance reached, after the rule. ledger(step,
    output): who is told of its losses; rows: as an array for each loss of a loop's body. inner: filled with what
    arrives, from all consumers and before a mask, at each value that the plan keeps. flows: what flows, by value.
    """

    seed: Any
    observe: Observer = watch_nothing
    ledger: Listener = tell_nobody
    rows: Rows | None = None
    inner: MutableMapping[str, Any] = field(default_factory=dict)
    flows: MutableMapping[str, Flow] = field(default_factory=dict)


def walk(
    plan: Plan,
    values: MutableMapping[str, Any],
    seed: Any,
    *,
    observe: Observer = watch_nothing,
    ledger: Listener = tell_nobody,
    rows: Rows | None = None,
    inner: MutableMapping[str, Any] | None = None,
    **ways: Any,
) -> dict[str, Any]:
    """The relevance of each input for one seed; see `walk_all` and `Strand`."""
    strand = Strand(seed, observe, ledger, rows, {} if inner is None else inner)
    return walk_all(plan, values, [strand], **ways)[0]


def walk_all(
    plan: Plan,
    values: MutableMapping[str, Any],
    strands: Sequence[Strand],
    *,
    kept: MutableMapping[Any, Any] | None = None,
    free: bool = True,
    sums: MutableMapping[Any, Any] | None = None,
    masks: Mapping[str, Any] = NOTHING,
) -> list[dict[str, Any]]:
    """Carry the relevance of several seeds from the plan's target to its inputs, all of them through one node before
    the next: what a rule makes of the values there alone, such as its denominators, is made once. A node's rule is
    asked once for each seed and each output that relevance reached, and the shares add up.

    values: every activation that the plan needs, by name; with `free`, one is dropped once the walk has passed the
    node that makes it. kept: derived weights, kept between calls. sums: what rules make of these very values, kept
    for further walks from them. masks: by restricted value, True where relevance goes on. Returns for each seed the
    relevance of each input, shaped like it; zeros never stand in for a missing path.
    """
    for strand in strands:
        strand.flows.update(_started(plan, values, strand.seed))
    course = Course(
        plan.graph, plan.steps, plan.finish, {} if kept is None else kept, free, sums, masks, plan.inside.keep
    )
    course.back(strands, values)
    return [_arrived(plan, strand, values) for strand in strands]


@dataclass(frozen=True)
class Course:
    """The way back through the steps of a graph, or of a loop's body; see `walk_all`. keep: the values at which it is
    told what arrives."""

    graph: Graph
    steps: Sequence[Step]
    finish: Finish
    kept: MutableMapping[Any, Any]
    free: bool
    sums: MutableMapping[Any, Any] | None = None
    masks: Mapping[str, Any] = field(default_factory=dict)
    keep: Sequence[str] = ()

    @cached_property
    def divided(self) -> frozenset[str]:
        """The values whose relevance is divided by them further down."""
        return divided(self.steps)

    def back(self, strands: Sequence[Strand], values: MutableMapping[str, Any]) -> None:
        """Carry what flows through all steps, in place."""
        for step in reversed(self.steps):
            check()
            sums: MutableMapping[Any, Any] | None = {} if len(strands) > 1 else None
            sums = sums if self.sums is None else self.sums
            sites: dict[str, Site] = {}
            for strand in strands:
                self._through(step, strand, values, sites, sums)
            if self.free:
                for value in (*step.node.outputs, *(step.trail.recorded if step.trail else ())):
                    values.pop(value, None)

    def _through(
        self, step: Step, strand: Strand, values: Mapping[str, Any], sites: dict[str, Site], sums: Any
    ) -> None:
        """Carry one seed's relevance through a node. sites: of the node, by output, for those that follow."""
        flows = strand.flows
        arriving = {
            v: self._arrived(step, v, flows.pop(v), values, strand) for v in step.node.outputs if v in flows
        }
        if step.trail is not None:
            if arriving:
                _hand_on(step, self._inside(step, arriving, values, strand), flows)
            return
        for name, flow in arriving.items():
            claim = strand.ledger(step, name)
            if name not in sites:
                which = step.node.outputs.index(name)
                point = Point(step.node, self.graph, step.slots, values, self.kept, claim, sums, which)
                sites[name] = step.build(point)
            site = sites[name] if sites[name].lost is claim else replace(sites[name], lost=claim)
            handed = shares(step, site, flow.masked(self.masks.get(name), claim), self.divided)
            _tell(step, strand, flow, handed)
            _hand_on(step, handed, flows)

    def _arrived(self, step: Step, name: str, flow: Flow, values: Mapping[str, Any], strand: Strand) -> Flow:
        if name in self.keep:
            r = flow.whole
            strand.inner[name] = cast_like(r, values[name]) if self.graph.value(name).is_float else r
        if step.op.family == "embedding":
            return Flow(flow.value, _finish(self.finish, flow.whole, values[name]))
        return flow

    def _inside(
        self, step: Step, arriving: Mapping[str, Flow], values: Mapping[str, Any], strand: Strand
    ) -> tuple[Flow, ...]:
        """The shares of what arrived at all outputs of a loop, which its body shares at once."""
        masked: dict[str, Flow] = {}
        for name, flow in arriving.items():
            masked[name] = flow.masked(self.masks.get(name), strand.ledger(step, name))
            if len(masked) < len(arriving):
                _tell(step, strand, flow, ())

        def listen(_: Step, value: str) -> Claim:
            return strand.ledger(step, inside(step.node, value))

        def back(trail: Trail, flows: MutableMapping[str, Flow], own: MutableMapping[str, Any]) -> list[Any]:
            body = Course(trail.graph, trail.steps, self.finish, self.kept, False)
            inner = Strand(None, ledger=listen, rows=strand.rows, flows=flows)
            if strand.rows is not None:
                return strand.rows.inside(lambda: body.back([inner], own))
            body.back([inner], own)
            return []

        def keep(begin: str, kept: Any) -> None:
            listen(step, begin)("bias", kept, lambda: np.ones((), kept.dtype), 1.0)

        handed, rows = through(step, masked, values, self.graph.constants, back, keep)
        if strand.rows is not None:
            strand.rows.outside(rows)
        _tell(step, strand, flow, handed)
        return handed


def _tell(step: Step, strand: Strand, flow: Flow, handed: tuple[Flow, ...]) -> None:
    if strand.observe is not watch_nothing:
        strand.observe(step, flow.whole, tuple(share.whole for share in handed))


def _hand_on(step: Step, handed: tuple[Flow, ...], flows: MutableMapping[str, Flow]) -> None:
    for slot, share in zip(step.slots, handed, strict=True):
        value = step.node.inputs[slot]
        flows[value] = flows[value] + share if value in flows else share


def _arrived(plan: Plan, strand: Strand, values: Mapping[str, Any]) -> dict[str, Any]:
    arrived = {name: _at_input(plan, strand.flows[name], values[name], name) for name in plan.inputs}
    strand.inner.update({name: arrived[name] for name in plan.inside.keep if name in arrived})
    return arrived


def _started(plan: Plan, values: Mapping[str, Any], seed: Any) -> dict[str, Flow]:
    if plan.inside.starts:
        return {name: Flow(values[name], r) for name, r in seed.items()}
    last = next((step for step in reversed(plan.steps) if plan.target in step.node.outputs), None)
    value = values[plan.target]
    return {plan.target: Flow(value, seed) if plan.seed == "one" else begin(last, value, seed)}


def _at_input(plan: Plan, flow: Flow, x: Any, name: str) -> Any:
    """Integers have none of their own: what their embedding got is finished there, and summed."""
    if plan.graph.value(name).missing:
        x = where(equal(x, x), x, np.zeros((), x.dtype))
        flow = replace(flow, value=x)
    r = flow.whole
    return _finish(plan.finish, cast_like(r, x), x) if plan.graph.value(name).is_float else r


def _finish(finish: Finish, r: Any, x: Any) -> Any:
    match finish:
        case "times_input":
            return r * x
        case "square":
            return r * r
    return r
