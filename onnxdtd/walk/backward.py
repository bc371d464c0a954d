"""The walk: relevance from the output to the inputs, in topological order backwards, on either engine.

load -> graph -> canonise -> assign (method) -> plan -> forward -> **backward** -> explanation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from onnxdtd.deadline import check
from onnxdtd.entries import Finish
from onnxdtd.linear import Claim, ignore
from onnxdtd.model.graph import Graph
from onnxdtd.model.loops import inside
from onnxdtd.model.point import Point
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step, Trail
from onnxdtd.primitives import cast_like, equal, where
from onnxdtd.walk.flow import Flow, begin, shares
from onnxdtd.walk.through import through

NOTHING: Mapping[str, Any] = MappingProxyType({})
Observer = Callable[[Step, Any, tuple[Any, ...]], None]
Listener = Callable[[Step, str], Claim]


def watch_nothing(step: Step, r: Any, shares: tuple[Any, ...]) -> None:
    """The observer that observes nothing."""


def tell_nobody(step: Step, output: str) -> Claim:
    """Losses are told to nobody."""
    return ignore


def walk(
    plan: Plan,
    values: MutableMapping[str, Any],
    seed: Any,
    *,
    kept: MutableMapping[Any, Any] | None = None,
    observe: Observer = watch_nothing,
    ledger: Listener = tell_nobody,
    free: bool = True,
    sums: MutableMapping[Any, Any] | None = None,
    masks: Mapping[str, Any] = NOTHING,
    inner: MutableMapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry relevance from the plan's target to its inputs. A node's rule is asked once for each output that
    relevance reached, and the shares add up.

    values: every activation that the plan needs, by name; with `free`, one is dropped once the walk has passed the
    node that makes it. seed: relevance of the target, shaped like it; of a plan that starts inside, by the value
    where it starts. kept: derived weights, kept between calls. observe(step, r, shares): told of each such output
    after the rule. ledger(step, output): who is told of its losses. sums: what rules make of these very values, kept
    for further walks from them. masks: by restricted value, True where relevance goes on. inner: filled with what
    arrives, from all consumers and before a mask, at each value that the plan keeps. Returns the relevance of each
    input, shaped like it; zeros never stand in for a missing path.
    """
    flows = _started(plan, values, seed)
    inner = {} if inner is None else inner
    course = Course(
        plan.graph, plan.steps, plan.finish, {} if kept is None else kept, ledger, free,
        sums, observe, masks, plan.inside.keep, inner,
    )  # fmt: skip
    course.back(flows, values)
    arrived = {name: _at_input(plan, flows[name], values[name], name) for name in plan.inputs}
    inner.update({name: arrived[name] for name in plan.inside.keep if name in arrived})
    return arrived


@dataclass(frozen=True)
class Course:
    """The way back through the steps of a graph, or of a loop's body; see `walk`. inner: filled with what arrives at
    the values `keep`."""

    graph: Graph
    steps: Sequence[Step]
    finish: Finish
    kept: MutableMapping[Any, Any]
    ledger: Listener
    free: bool
    sums: MutableMapping[Any, Any] | None = None
    observe: Observer = watch_nothing
    masks: Mapping[str, Any] = field(default_factory=dict)
    keep: Sequence[str] = ()
    inner: MutableMapping[str, Any] = field(default_factory=dict)

    def back(self, flows: MutableMapping[str, Flow], values: MutableMapping[str, Any]) -> None:
        """Carry what flows, by value, through all steps, in place."""
        for step in reversed(self.steps):
            check()
            arriving = {
                v: self._arrived(step, v, flows.pop(v), values) for v in step.node.outputs if v in flows
            }
            if step.trail is None:
                for name, flow in arriving.items():
                    self._hand_on(step, self._at(step, name, flow, values), flows)
            elif arriving:
                self._hand_on(step, self._inside(step, arriving, values), flows)
            if self.free:
                for value in (*step.node.outputs, *(step.trail.recorded if step.trail else ())):
                    values.pop(value, None)

    def _arrived(self, step: Step, name: str, flow: Flow, values: Mapping[str, Any]) -> Flow:
        if name in self.keep:
            r = flow.whole
            self.inner[name] = cast_like(r, values[name]) if self.graph.value(name).is_float else r
        if step.op.family == "embedding":
            return Flow(flow.value, _finish(self.finish, flow.whole, values[name]))
        return flow

    def _at(self, step: Step, name: str, flow: Flow, values: Mapping[str, Any]) -> tuple[Flow, ...]:
        """The shares of what arrived at one output."""
        claim, which = self.ledger(step, name), step.node.outputs.index(name)
        point = Point(step.node, self.graph, step.slots, values, self.kept, claim, self.sums, which)
        handed = shares(step, step.build(point), flow.masked(self.masks.get(name), claim))
        self._tell(step, flow, handed)
        return handed

    def _tell(self, step: Step, flow: Flow, handed: tuple[Flow, ...]) -> None:
        if self.observe is not watch_nothing:
            self.observe(step, flow.whole, tuple(share.whole for share in handed))

    def _inside(
        self, step: Step, arriving: Mapping[str, Flow], values: Mapping[str, Any]
    ) -> tuple[Flow, ...]:
        """The shares of what arrived at all outputs of a loop, which its body shares at once."""
        masked: dict[str, Flow] = {}
        for name, flow in arriving.items():
            masked[name] = flow.masked(self.masks.get(name), self.ledger(step, name))
            if len(masked) < len(arriving):
                self._tell(step, flow, ())

        def listen(_: Step, value: str) -> Claim:
            return self.ledger(step, inside(step.node, value))

        def back(trail: Trail, flows: MutableMapping[str, Flow], own: MutableMapping[str, Any]) -> None:
            Course(trail.graph, trail.steps, self.finish, self.kept, listen, False).back(flows, own)

        def keep(begin: str, kept: Any) -> None:
            listen(step, begin)("bias", kept, lambda: np.ones((), kept.dtype), 1.0)

        handed = through(step, masked, values, self.graph.constants, back, keep)
        self._tell(step, flow, handed)
        return handed

    def _hand_on(self, step: Step, handed: tuple[Flow, ...], flows: MutableMapping[str, Flow]) -> None:
        for slot, share in zip(step.slots, handed, strict=True):
            value = step.node.inputs[slot]
            flows[value] = flows[value] + share if value in flows else share


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
