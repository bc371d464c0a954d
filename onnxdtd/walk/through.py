"""Relevance goes back through a loop: one iteration after the other, from the last one to the first.

    R_s(t-1), R_slice(t) = the walk back through the body from (R_s(t), R_row(t)), with the values of iteration t

The values of all iterations are rows that the forward pass made, so the loop back has as many iterations as the loop
ahead had, an early end included: one `scan` in reverse, on either engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np

from onnxdtd.plan.step import Step, Trail
from onnxdtd.primitives import at_hand, expand_like, repeat, scan

Back = Callable[[Trail, MutableMapping[str, Any], MutableMapping[str, Any]], None]
"""Carries relevance (by value, in place) through the steps of a body, with the body's values."""


def through(
    step: Step,
    arriving: Mapping[str, Any],
    values: Mapping[str, Any],
    constants: Mapping[str, Any],
    back: Back,
) -> tuple[Any, ...]:
    """The share of each slot of a loop. arriving: relevance, by output of the loop."""
    trail = step.trail
    assert trail is not None
    call, node, dtype = trail.call, trail.call.node, next(iter(arriving.values())).dtype
    names = {begin: node.inputs[slot] for slot, begin in call.entries}
    given = {begin: constants[v] if v in constants else values[v] for begin, v in names.items()}
    fixed = {v: given[s.begin] for s in call.states if s.begin in call.fixed for v in (s.begin, s.end)}
    rows = [(end, arriving[out]) for end, out in call.rows if out in arriving]
    read = [*trail.reads, *(begin for _, begin in call.slices)]
    records = [values[name] for name in trail.recorded] + [given[begin] for _, begin in call.slices]
    asked = [begin for slot, begin in call.slices if slot in step.slots]

    def iteration(after: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        relevance: dict[str, Any] = {}
        count = len(read)
        seeds = [*zip((s.end for s in trail.states), after, strict=True)]
        seeds += zip((end for end, _ in rows), now[count:], strict=True)
        for name, r in seeds:
            relevance[name] = relevance[name] + r if name in relevance else r
        own = {**fixed, **dict(zip(read, now[:count], strict=True))}
        back(trail, relevance, own)

        def come(begin: str) -> Any:
            return relevance[begin] if begin in relevance else _nothing(own[begin], dtype)

        return [come(s.begin) for s in trail.states], [come(begin) for begin in asked]

    last = tuple(
        arriving[s.output] if s.output in arriving else _nothing(values[s.output], dtype)
        for s in trail.states
    )
    if at_hand(records) and not len(records[0]):
        first, slices = last, tuple(_nothing(given[begin], dtype) for begin in asked)
    else:
        turn = scan if trail.steady else repeat
        first, slices = turn(iteration, last, (*records, *(r for _, r in rows)), reverse=True)
    shares = dict(zip((s.slot for s in trail.states), first, strict=True))
    shares.update(zip((slot for slot, begin in call.slices if begin in asked), slices, strict=True))
    return tuple(shares[slot] for slot in step.slots)


def _nothing(like: Any, dtype: Any) -> Any:
    return expand_like(np.zeros((1,) * like.ndim, dtype), like)
