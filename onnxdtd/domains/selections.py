"""Switches whose outputs are values of their inputs, or truth about them: by which of several candidates is ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.pieces import DRIFT, NEAR, NOISE, Mask, largest
from onnxdtd.model.point import Point
from onnxdtd.types import Array

Reads = npt.NDArray[np.intp]
NOTHING = np.full(1, -np.inf)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Of each output, the candidates (K, outputs) that it is chosen from: positions in the flat data inputs, one
    behind the other, and behind those in `fixed`. shape: of the output, without the lines."""

    reads: Reads
    shape: tuple[int, ...]
    fixed: Array = field(default_factory=lambda: NOTHING)

    curved = False
    discrete = False
    jumps = False

    def seen(self, u: Array, moves: bool = False) -> Array:
        """(lines, K, outputs) of u, or, if it is a direction that moves, of that: what is fixed has none."""
        fixed = np.broadcast_to(np.zeros_like(self.fixed) if moves else self.fixed, (len(u), len(self.fixed)))
        flat: Array = np.concatenate([u.reshape(len(u), -1), fixed], axis=1)[:, self.reads]
        return flat

    def shaped(self, y: Array) -> Array:
        """(lines, outputs) -> (lines, *output)."""
        return y.reshape(len(y), *self.shape)


def among_inputs(point: Point) -> tuple[Reads, tuple[int, ...], Array]:
    """The candidates of an op that chooses among its inputs elementwise: reads, shape and fixed values."""
    slots = [slot for slot in range(len(point.node.inputs)) if point.has(slot)]
    values = {slot: np.asarray(point.value(slot)) for slot in slots}
    rows, moving = {}, 0
    for slot in point.slots:
        rows[slot] = np.arange(values[slot].size).reshape(values[slot].shape) + moving
        moving += values[slot].size
    fixed = [NOTHING[:0]]
    for slot in slots:
        if slot not in rows:
            begin = moving + sum(part.size for part in fixed)
            rows[slot] = np.arange(values[slot].size).reshape(values[slot].shape) + begin
            fixed.append(values[slot].reshape(-1).astype(np.float64))
    out = np.broadcast_shapes(*(value.shape for value in values.values()))
    reads = np.stack([np.broadcast_to(rows[slot], out).reshape(-1) for slot in slots])
    return reads, out[1:], np.concatenate(fixed)


@dataclass(frozen=True, eq=False)
class Selection(Candidates):
    """y = the largest candidate; of sign -1, the smallest. The state tells the winners (lines, K, outputs), who share
    the gradient equally."""

    sign: int = 1

    def start(self, u: Array) -> Array:
        """The winners of each output, all that tie."""
        return self._winners(u, NEAR)

    def value(self, state: Array, u: Array) -> Array:
        """The largest value."""
        return self.shaped((self.sign * self.seen(u)).max(axis=1)) * self.sign

    def push(self, state: Array, du: Array) -> Array:
        """The mean direction of the winners."""
        return self.shaped(np.where(state, self.seen(du, True), 0).sum(axis=1) / state.sum(axis=1))

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until another candidate takes the lead; at once where winners part."""
        return self.shaped(self._race(state, u, du)[0].min(axis=1))

    def turn(self, state: Array, u: Array, du: Array, hits: Mask) -> Array:
        """The new winners: of those that arrive together the fastest, of winners that part the fastest."""
        waits, rates = self._race(state, u, du)
        arriving = waits <= waits.min(axis=1, keepdims=True)
        fastest = np.where(arriving, rates, -np.inf).max(axis=1, keepdims=True)
        after = arriving & (rates >= fastest - _noise(du))
        return np.where(hits.reshape(len(hits), 1, -1), after, state)

    def settle(self, state: Array, u: Array) -> tuple[Array, Mask]:
        """The old winners where they still lead."""
        moved: Mask = np.asarray((state & ~self._winners(u, DRIFT)).any(axis=1))
        return np.where(moved[:, None], self.start(u), state), self.shaped(moved)

    def _winners(self, u: Array, near: float) -> Array:
        seen = self.sign * self.seen(u)
        winners: Array = seen >= seen.max(axis=1, keepdims=True) - near * _size(u)
        return winners

    def _race(self, state: Array, u: Array, du: Array) -> tuple[Array, Array]:
        """When each candidate takes the lead, and its lead in speed over the fastest winner."""
        seen, rates = self.sign * self.seen(u), self.sign * self.seen(du, True)
        top = np.where(state, seen, -np.inf).max(axis=1, keepdims=True)
        rates = rates - np.where(state, rates, -np.inf).max(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.maximum(top - seen, 0) / rates
        waits = np.where(~state & (rates > _noise(du)), waits, np.inf)
        # Winners of different speed part at once: the fastest are those that arrive, now.
        parting = (state & (rates < -_noise(du))).any(axis=1, keepdims=True)
        return np.where(parting, np.where(state & (rates >= -_noise(du)), 0.0, np.inf), waits), rates


@dataclass(frozen=True, eq=False)
class Comparison(Candidates):
    """y = whether the first candidate is above the second; equal: also where they are the same. The state is y."""

    equal: bool = False

    discrete = True
    jumps = True

    def start(self, u: Array) -> Array:
        """The truth at a point."""
        ahead, near = self._ahead(u), NEAR * largest(u.reshape(len(u), -1))
        return self.shaped(np.asarray(ahead >= -near if self.equal else ahead > near))

    def value(self, state: Array, u: Array) -> Array:
        """The state."""
        return state

    def push(self, state: Array, du: Array) -> Array:
        """The state: a truth value has no direction."""
        return state

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until both are the same, where they draw near; at once where they have come to rest there."""
        rates, flat = self._ahead(du, True), du.reshape(len(du), -1)
        moving = abs(rates) > NOISE * largest(flat)
        leaving = moving & np.where(state.reshape(len(state), -1), rates < 0, rates > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.maximum(-self._ahead(u) / rates, 0)
        waits = self.shaped(np.where(leaving, waits, np.inf))
        return np.where(~self.shaped(moving) & (state != self.start(u)), 0.0, waits)

    def turn(self, state: Array, u: Array, du: Array, hits: Mask) -> Array:
        """The other truth."""
        return np.asarray(state ^ hits)

    def settle(self, state: Array, u: Array) -> tuple[Array, Mask]:
        """The old truth as long as it is true."""
        ahead, drift = self.shaped(self._ahead(u)), DRIFT * largest(u).max()
        moved: Mask = np.asarray(np.where(state, ahead < -drift, ahead > drift))
        return np.asarray(state ^ moved), moved

    def _ahead(self, u: Array, moves: bool = False) -> Array:
        first, second = self.seen(u, moves).transpose(1, 0, 2)
        lead: Array = first - second
        return lead


def comparison(sign: int, equal: bool) -> Callable[[Point], Comparison]:
    """The declaration of a comparison of two inputs: sign 1 for "is above", -1 for "is below"."""

    def declared(point: Point) -> Comparison:
        reads, shape, fixed = among_inputs(point)
        return Comparison(reads[::sign], shape, fixed, equal)

    return declared


def extreme(sign: int) -> Callable[[Point], Selection]:
    """The declaration of the largest (sign 1) or smallest (-1) of all inputs, elementwise."""
    return lambda point: Selection(*among_inputs(point), sign)


def _size(u: Array) -> Array:
    return largest(u).reshape(-1, 1, 1)


def _noise(du: Array) -> Array:
    return NOISE * _size(du)
