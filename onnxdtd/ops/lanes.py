"""One direction of a recurrent node, and the sweep over its steps, ahead and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxdtd.model.point import Point
from onnxdtd.ops.cell_activations import Activation, activations
from onnxdtd.primitives import (
    along,
    concat,
    greater,
    pick,
    scan,
    slice_axes,
    swap_last,
    unsqueeze,
    where,
    within,
)

X, W, R, B, LENGTHS, H0, C0, PEEPHOLES = range(8)
END = 1 << 62
States = tuple[Any, ...]


def block(v: Any, first: int, size: int, count: int = 1) -> Any:
    """`count` blocks of that size on the last axis, from the one numbered `first` on."""
    return slice_axes(v, starts=[first * size], ends=[(first + count) * size], axes=[v.ndim - 1], steps=[1])


def product(v: Any, w: Any) -> Any:
    """v (T, N, K) by w (K, M): all steps in one product."""
    return along(v, w, axis=v.ndim - 1)


@dataclass(frozen=True)
class Lane:
    """One direction of a node with hidden size H.

    w (I, gates H), r (H, gates H); bw, br: the two halves of the bias, (gates H) each. x (T, N, I). y (T, N, H): h
    after each step. states: h, and c of an LSTM, before the first one. mask (T, N, 1): 1 where a step is within its
    sample's length; None where all are.
    """

    reverse: bool
    size: int
    w: Any
    r: Any
    bw: Any
    br: Any
    x: Any
    y: Any
    states: States
    peepholes: Any
    mask: Any
    activations: tuple[Activation, ...]

    @property
    def masks(self) -> States:
        """The mask as sequences of a scan: one, or none."""
        return () if self.mask is None else (self.mask,)

    @cached_property
    def before(self) -> Any:
        """h before each step."""
        begin = unsqueeze(self.states[0], axes=(0,))
        # Behind its length a sample's y is 0; there a lane in reverse has not begun.
        y = self.y if self.mask is None else where(greater(self.mask, 0.0), self.y, begin)
        ends = (y, begin) if self.reverse else (begin, y)
        first, last = (1, END) if self.reverse else (0, -1)
        return slice_axes(concat(*ends, axis=0), starts=[first], ends=[last], axes=[0], steps=[1])


def lanes(point: Point, gates: int, usual: tuple[str, ...], slots: Sequence[int]) -> list[Lane]:
    """The directions of a node: one, or two in a bidirectional one. slots: of the initial states."""
    size, direction = int(point.attribute("hidden_size")), point.attribute("direction", "forward")
    count = 2 if direction == "bidirectional" else 1
    y = point.values[point.node.outputs[0]]
    made = []
    for d, curves in enumerate(activations(point, usual, count)):
        one = _of_direction(point, d)
        w, r, bias, own = one(W), one(R), one(B), pick(y, d, axis=1)
        bias = np.zeros(2 * gates * size, y.dtype) if bias is None else bias
        zero = pick(own, 0, axis=0) * 0.0
        states = tuple(zero if (s := one(slot)) is None else s for slot in slots)
        mask = within(point.value(LENGTHS), own) if point.has(LENGTHS) else None
        made.append(
            Lane(
                direction == "reverse" or d == 1,
                size,
                swap_last(w),
                swap_last(r),
                block(bias, 0, gates * size),
                block(bias, 1, gates * size),
                point.value(X),
                own,
                states,
                one(PEEPHOLES),
                mask,
                curves,
            )
        )
    return made


def _of_direction(point: Point, direction: int) -> Callable[[int], Any]:
    return lambda slot: pick(point.value(slot), direction, axis=0) if point.has(slot) else None


@dataclass(frozen=True)
class Recurrence:
    """A lane as a linear map of x and its initial states.

    coefficients: (T, N, ...) each, what the steps multiply by. w: the columns of the lane's that x goes through.
    drive(u): what u = x w adds at each step. constant: what the biases add. ahead(states, drive, coefficients) ->
    states is one step; back(states, coefficients) -> (states, d) its adjoint, with d that of the sums that u enters.
    """

    lane: Lane
    coefficients: States
    w: Any
    drive: Callable[[Any], States]
    ahead: Callable[[States, States, States], States]
    back: Callable[[States, States], tuple[States, Any]]
    constant: States = ()

    def forth(self, drive: States, states: States) -> tuple[Any, States]:
        """(h after each step, the last states)."""
        count, behind = len(drive), len(drive) + len(self.coefficients)

        def step(before: States, now: States) -> tuple[States, States]:
            after = self.ahead(before, now[:count], now[count:behind])
            h = after[0]
            for mask in now[behind:]:
                h = mask * h
                after = tuple(mask * a + (1.0 - mask) * b for a, b in zip(after, before, strict=True))
            return after, (h,)

        last, (y,) = scan(
            step, states, (*drive, *self.coefficients, *self.lane.masks), reverse=self.lane.reverse
        )
        return y, last

    def adjoint(self, r: Any, last: States) -> tuple[Any, States]:
        """(of x, of the initial states). r: of h after each step, None for nothing; last: of the last states."""
        arriving = () if r is None else (r,)
        count = len(arriving)
        behind = count + len(self.coefficients)

        def step(after: States, now: States) -> tuple[States, States]:
            own = after if r is None else (after[0] + now[0], *after[1:])
            for mask in now[behind:]:
                own = tuple(mask * s for s in own)
            before, d = self.back(own, now[count:behind])
            for mask in now[behind:]:
                before = tuple(b + (1.0 - mask) * a for b, a in zip(before, after, strict=True))
            return before, (d,)

        sequences = (*arriving, *self.coefficients, *self.lane.masks)
        first, (d,) = scan(step, last, sequences, reverse=not self.lane.reverse)
        return product(d, swap_last(self.w)), first
