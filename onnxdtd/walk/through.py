"""Relevance goes back through a loop: one iteration after the other, from the last one to the first.

    R_s(t-1), R_slice(t) = the walk back through the body from (R_s(t), R_row(t)), with the values of iteration t

The values of all iterations are rows that the forward pass made, so the loop back has as many iterations as the loop
ahead had, an early end included: one `scan` in reverse, on either engine. Where a rule of the body hands on ratios,
a state has room for both, relevance and ratio, since both may reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from onnxdtd.plan.step import Step, Trail, everywhere
from onnxdtd.primitives import at_hand, expand_like, repeat, scan
from onnxdtd.walk.flow import Flow

Back = Callable[[Trail, MutableMapping[str, Flow], MutableMapping[str, Any]], list[Any]]
"""Carries what flows (by value, in place) through the steps of a body, with the body's values; returns what else the
body is to hand out, such as sums of losses."""


def through(
    step: Step,
    arriving: Mapping[str, Flow],
    values: Mapping[str, Any],
    constants: Mapping[str, Any],
    back: Back,
    keep: Callable[[str, Any], None],
) -> tuple[tuple[Flow, ...], Sequence[Any]]:
    """What flows on at each slot of a loop, and what else `back` returns, of all iterations. arriving: by output of
    the loop. keep(begin, r): told of what comes to a state that begins with a constant."""
    trail = step.trail
    assert trail is not None
    call, node = trail.call, trail.call.node
    dtype = next(part.dtype for flow in arriving.values() for part in flow.parts.values())
    names = {begin: node.inputs[slot] for slot, begin in call.entries}
    outer = {begin: constants[v] if v in constants else values[v] for begin, v in names.items()}
    fixed = {v: outer[s.begin] for s in call.states if s.begin in call.fixed for v in (s.begin, s.end)}
    rows = [
        (end, kind, r) for end, out in call.rows if out in arriving for kind, r in arriving[out].parts.items()
    ]
    read = [*trail.reads, *(begin for _, begin in call.slices)]
    records = [values[name] for name in trail.recorded] + [outer[begin] for _, begin in call.slices]
    asked = [begin for slot, begin in call.slices if slot in step.slots]
    ratios = any(inner.rule.divides for inner in everywhere(trail.steps)) or any(
        "ratio" in f.parts for f in arriving.values()
    )
    kinds = ("relevance", "ratio") if ratios else ("relevance",)

    def iteration(after: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        flows: dict[str, Flow] = {}
        own = {**fixed, **dict(zip(read, now, strict=False))}
        seeds = [*zip(((s.end, kind) for s in trail.states for kind in kinds), after, strict=True)]
        seeds += zip(((end, kind) for end, kind, _ in rows), now[len(read) :], strict=True)
        for (name, kind), part in seeds:
            flow = Flow(own.get(name), **{kind: part})
            flows[name] = flows[name] + flow if name in flows else flow
        more = back(trail, flows, own)

        def come(begins: Sequence[str]) -> list[Any]:
            empty = Flow(None)
            coming = ((begin, flows.get(begin, empty).parts) for begin in begins)
            return [
                p[kind] if kind in p else _nothing(own[begin], dtype) for begin, p in coming for kind in kinds
            ]

        return come([s.begin for s in trail.states]), [*come(asked), *more]

    none = Flow(None)
    last = tuple(
        parts[kind] if kind in parts else _nothing(values[s.output], dtype)
        for s in trail.states
        for parts in (arriving.get(s.output, none).parts,)
        for kind in kinds
    )
    if at_hand(records) and not len(records[0]):
        first, slices = last, tuple(_nothing(outer[begin], dtype) for begin in asked for _ in kinds)
    else:
        turn = scan if trail.steady else repeat
        first, slices = turn(iteration, last, (*records, *(r for _, _, r in rows)), reverse=True)
    begins = [(s.slot, s.begin) for s in trail.states]
    begins += [(slot, begin) for slot, begin in call.slices if begin in asked]
    ends = len(asked) * len(kinds)
    parts = iter((*first, *slices[:ends]))
    flows = {
        slot: Flow(outer[begin], **dict(zip(kinds, islice(parts, len(kinds)), strict=True)))
        for slot, begin in begins
    }
    for slot, begin in begins:
        if slot not in step.slots:
            keep(begin, flows[slot].whole)
    return tuple(flows[slot] for slot in step.slots), slices[ends:]


def _nothing(like: Any, dtype: Any) -> Any:
    return expand_like(np.zeros((1,) * like.ndim, dtype), like)
