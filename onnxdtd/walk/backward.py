"""The walk: relevance from the output to the inputs, in topological order backwards, on either engine.

load -> graph -> canonise -> assign (method) -> plan -> forward -> **backward** -> explanation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import numpy as np

from onnxdtd.linear import Claim, ignore
from onnxdtd.model.point import Point
from onnxdtd.plan.plan import Plan, Step
from onnxdtd.primitives import cast_like, equal, where

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
    relevance: dict[str, Any] = dict(seed) if plan.inside.starts else {plan.target: seed}
    inner = {} if inner is None else inner
    kept = {} if kept is None else kept
    for step in reversed(plan.steps):
        for which, name in enumerate(step.node.outputs):
            if name not in relevance:
                continue
            r = relevance.pop(name)
            if name in plan.inside.keep:
                inner[name] = cast_like(r, values[name]) if plan.graph.value(name).is_float else r
            if step.op.family == "embedding":
                r = _finish(plan, r, values[name])
            claim = ledger(step, name)
            point = Point(step.node, plan.graph, step.slots, values, kept, claim, sums, which)
            shares = step.pruned(step.build(point), _through(masks.get(name), r, claim))
            observe(step, r, shares)
            for slot, share in zip(step.slots, shares, strict=True):
                value = step.node.inputs[slot]
                relevance[value] = relevance[value] + share if value in relevance else share
        if free:
            for value in step.node.outputs:
                values.pop(value, None)
    arrived = {name: _at_input(plan, relevance[name], values[name], name) for name in plan.inputs}
    inner.update({name: arrived[name] for name in plan.inside.keep if name in arrived})
    return arrived


def _through(mask: Any, r: Any, claim: Claim) -> Any:
    """The relevance that a mask lets on; the rest is claimed as lost to it."""
    if mask is None:
        return r
    claim("masked", r, lambda: 1.0 - cast_like(mask, r), 1.0)
    return where(mask, r, np.zeros((), r.dtype))


def _at_input(plan: Plan, r: Any, x: Any, name: str) -> Any:
    """Integers have none of their own: what their embedding got is finished there, and summed."""
    if plan.graph.value(name).missing:
        x = where(equal(x, x), x, np.zeros((), x.dtype))
    return _finish(plan, cast_like(r, x), x) if plan.graph.value(name).is_float else r


def _finish(plan: Plan, r: Any, x: Any) -> Any:
    match plan.finish:
        case "times_input":
            return r * x
        case "square":
            return r * r
    return r
