"""Recurrent cells: with its gates held fixed, a cell is a linear map of x and its initial states.

    LSTM   c = f c' + i s_g (x Wg + h' Rg + b)                 h = o s_c c
    GRU    h = z h' + (1 - z) s_g (x Wg + (r h') Rg + b)
    RNN    h = s (x W + h' R + b)

s is the secant of an activation, so that relevance stays with what is squashed; the gates are numbers at the point,
which get none (signal takes all). The derivative is the same recurrence with tangents and free gates. Nothing of the
kernel's inside is needed: Y holds every h', so the sums of all gates and steps are one matrix product.

Source: Arras et al. 2017 (WASSA), section 3; Arras et al. 2019 (Explainable AI, chapter 11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

from onnxdtd.domains.interval import ANY, SIGNED_UNIT, At, Domain
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.cells import gru as gru_cell
from onnxdtd.ops.cells import lstm as lstm_cell
from onnxdtd.ops.cells import rnn as rnn_cell
from onnxdtd.ops.lanes import C0, H0, Lane, Recurrence, X, lanes, product
from onnxdtd.primitives import concat, pick, unsqueeze
from onnxdtd.registry import op

Y = 0


def _of_state(at: At) -> Domain:
    """The hidden state is gate * tanh or tanh; the cell state of an LSTM has no bound."""
    return ANY if at.index > 1 or "activations" in at.node.attributes else SIGNED_UNIT


def _of_mixed_state(at: At) -> Domain:
    """The hidden state of a GRU lies between tanh and the state before."""
    return _of_state(at) | at.domain(H0) if at.has(H0) else _of_state(at)


def _work(at: At) -> int:
    return prod(at.lengths(0)[:1]) * (prod(at.lengths(1)) + prod(at.lengths(2)))


@op("LSTM", kind="recurrent", data=(X, H0, C0), outputs=(0, 1, 2), since=7, range=_of_state, work=_work)
def lstm(point: Point) -> Site:
    """c = f c' + i s_g (x Wg + h' Rg + b), h = o s_c c, the gates i, o, f held fixed."""
    coupled = bool(point.attribute("input_forget", 0))
    made = lanes(point, 4, ("sigmoid", "tanh", "tanh"), (H0, C0))
    return _site(point, made, (H0, C0), lambda lane, free: lstm_cell(lane, coupled, free))


@op("GRU", kind="recurrent", data=(X, H0), outputs=(0, 1), since=7, range=_of_mixed_state, work=_work)
def gru(point: Point) -> Site:
    """h = z h' + (1 - z) s_g (x Wg + (r h') Rg + b), the gates z, r held fixed."""
    late = bool(point.attribute("linear_before_reset", 0))
    made = lanes(point, 3, ("sigmoid", "tanh"), (H0,))
    return _site(point, made, (H0,), lambda lane, free: gru_cell(lane, late, free))


@op("RNN", kind="recurrent", data=(X, H0), outputs=(0, 1), since=7, range=_of_state, work=_work)
def rnn(point: Point) -> Site:
    """h = s (x W + h' R + b), s the secant of the activation."""
    return _site(point, lanes(point, 1, ("tanh",), (H0,)), (H0,), rnn_cell)


@dataclass
class Sweeps:
    """All lanes at the point, seen from one output: 0 is Y, 1 and 2 are the last states.

    slots: of the initial states. One sweep back serves all data inputs, whose maps ask for it one after the other
    with the same relevance; it is kept for that.
    """

    lanes: Sequence[Lane]
    slots: tuple[int, ...]
    which: int
    free: bool
    cell: Callable[[Lane, bool], Recurrence]
    _made: list[Recurrence] = field(default_factory=list)
    _last: tuple[Any, Any] = (None, None)

    @property
    def recurrences(self) -> list[Recurrence]:
        """Made when a rule asks for them first: most rules need one kind only."""
        if not self._made:
            self._made = [self.cell(lane, self.free) for lane in self.lanes]
        return self._made

    def adjoint(self, slot: int, _: Any, r: Any) -> Any:
        """Relevance per x_i or initial state, from r at the output."""
        if self._last[0] is not r:
            self._last = r, [self._back(d, one, r) for d, one in enumerate(self.recurrences)]
        parts = self._last[1]
        if slot == X:
            return sum((x for x, _ in parts[1:]), parts[0][0])
        return _stacked([states[self.slots.index(slot)] for _, states in parts], 0)

    def _back(self, d: int, one: Recurrence, r: Any) -> Any:
        nothing = [0.0 * state for state in one.lane.states]
        if self.which == Y:
            return one.adjoint(pick(r, d, axis=1), tuple(nothing))
        nothing[self.which - 1] = pick(r, d, axis=0)
        return one.adjoint(None, tuple(nothing))

    def apply(self, slot: int, _: Any, v: Any) -> Any:
        """What x, or an initial state, alone makes of the output."""
        return self._forth(lambda one, d: self._alone(one, d, slot, v))

    def constant(self, slots: Sequence[int]) -> Any:
        """What biases make of the output, and initial states outside of `slots`, which the model fixes."""

        def begin(one: Recurrence, d: int) -> Any:
            states = zip(self.slots, one.lane.states, strict=True)
            return one.constant, tuple(0.0 * s if slot in slots else s for slot, s in states)

        return self._forth(begin)

    def _alone(self, one: Recurrence, d: int, slot: int, v: Any) -> Any:
        states = [0.0 * state for state in one.lane.states]
        if slot == X:
            return one.drive(product(v, one.w)), tuple(states)
        states[self.slots.index(slot)] = pick(v, d, axis=0)
        return one.drive(product(0.0 * one.lane.x, one.w)), tuple(states)

    def _forth(self, begin: Callable[[Recurrence, int], Any]) -> Any:
        ends = [one.forth(*begin(one, d)) for d, one in enumerate(self.recurrences)]
        if self.which == Y:
            return _stacked([y for y, _ in ends], 1)
        return _stacked([last[self.which - 1] for _, last in ends], 0)


def _stacked(parts: Sequence[Any], axis: int) -> Any:
    return concat(*(unsqueeze(part, axes=(axis,)) for part in parts), axis=axis)


def _site(
    point: Point, made: Sequence[Lane], slots: tuple[int, ...], cell: Callable[[Lane, bool], Recurrence]
) -> Site:
    held, free = (Sweeps(made, slots, point.which, free, cell) for free in (False, True))
    maps, jacobian = (
        tuple(LinearMap(None, partial(s.apply, slot), partial(s.adjoint, slot)) for slot in point.slots)
        for s in (held, free)
    )
    return point.site(*maps, bias=lambda: held.constant(point.slots), jacobian=jacobian)
