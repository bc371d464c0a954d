"""The switch whose outputs are values of its input by rank: the k largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdtd.domains.pieces import DRIFT, NOISE, Mask, largest
from onnxdtd.domains.selections import Candidates
from onnxdtd.types import Array


@dataclass(frozen=True, eq=False)
class Ranking(Candidates):
    """y = the largest `count` candidates, in order along `axis` of (lines, *output); of sign -1, the smallest. The
    state is the order of all, (lines, K, columns)."""

    count: int = 1
    axis: int = 1
    sign: int = 1

    def start(self, u: Array) -> Array:
        """The order, of equals the first."""
        return np.argsort(-self.sign * self.seen(u), axis=1, kind="stable")

    def value(self, state: Array, u: Array) -> Array:
        """The values of the first `count`."""
        return self._first(np.take_along_axis(self.seen(u), state, 1))

    def push(self, state: Array, du: Array) -> Array:
        """Their directions."""
        return self._first(np.take_along_axis(self.seen(du, True), state, 1))

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until a neighbour in the order draws level."""
        meetings = self._meetings(state, u, du)
        never = np.full_like(meetings[:, :1], np.inf)
        around = np.minimum(
            np.concatenate([never, meetings], axis=1), np.concatenate([meetings, never], axis=1)
        )
        return self._first(around)

    def turn(self, state: Array, u: Array, du: Array, hits: Mask) -> Array:
        """Neighbours that meet change places."""
        meetings = self._meetings(state, u, du)
        hit = np.moveaxis(hits, self.axis, 1).reshape(len(hits), self.count, -1)
        after = np.broadcast_to(state, (len(hits), *state.shape[1:])).copy()
        for j in range(min(self.count, meetings.shape[1])):
            now = meetings[:, j] <= np.where(hit[:, j], meetings.min(axis=1) + DRIFT, -1.0)
            after[:, [j, j + 1]] = np.where(now[:, None], after[:, [j + 1, j]], after[:, [j, j + 1]])
        return after

    def settle(self, state: Array, u: Array) -> tuple[Array, Mask]:
        """The old order as long as it is one."""
        ranked = self.sign * np.take_along_axis(self.seen(u), state, 1)
        drift = DRIFT * largest(u).reshape(-1, 1, 1)
        wrong = (np.diff(ranked, axis=1) > drift).any(axis=1, keepdims=True)
        after = np.where(wrong, self.start(u), state)
        return after, self._first(after != state)

    def _meetings(self, state: Array, u: Array, du: Array) -> Array:
        """When each draws level with the one behind it, (lines, K - 1, columns)."""
        values, rates = (
            self.sign * np.take_along_axis(part, state, 1) for part in (self.seen(u), self.seen(du, True))
        )
        closing, noise = np.diff(rates, axis=1), NOISE * largest(du).reshape(-1, 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.maximum(-np.diff(values, axis=1), 0) / closing
        return np.where(closing > noise, waits, np.inf)

    def _first(self, ranked: Array) -> Array:
        shape = list(self.shape)
        del shape[self.axis - 1]
        return np.moveaxis(ranked[:, : self.count].reshape(len(ranked), self.count, *shape), 1, self.axis)
