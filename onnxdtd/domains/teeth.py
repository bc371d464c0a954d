"""The switch of a remainder: a slope of 1 that falls back to zero at every multiple."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdtd.domains.pieces import DRIFT, NOISE, Mask, largest
from onnxdtd.types import Array


@dataclass(frozen=True, eq=False)
class Teeth:
    """y = u - n period on the n-th tooth, counted from zero to both sides: the one around zero is twice as long. The
    state is n."""

    period: Array

    curved = False
    discrete = False
    jumps = True

    def start(self, u: Array) -> Array:
        """The tooth of each unit."""
        return np.trunc(u / self.period)

    def value(self, state: Array, u: Array) -> Array:
        """What is left over."""
        return np.asarray(u - state * self.period)

    def push(self, state: Array, du: Array) -> Array:
        """The direction itself."""
        return du

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until the end of the tooth."""
        low, high = self._ends(state)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = (np.where(du > 0, high, low) - u) / du
        return np.where(abs(du) > NOISE * largest(du), np.maximum(steps, 0), np.inf)

    def turn(self, state: Array, u: Array, du: Array, hits: Mask) -> Array:
        """The next tooth."""
        return np.asarray(state + hits * np.sign(du))

    def settle(self, state: Array, u: Array) -> tuple[Array, Mask]:
        """The old tooth where u lies on it or on its ends."""
        low, high = self._ends(state)
        drift = DRIFT * largest(u)
        moved = (u < low - drift) | (u > high + drift)
        return np.where(moved, self.start(u), state), moved

    def _ends(self, state: Array) -> tuple[Array, Array]:
        begin = state * self.period
        return np.where(state > 0, begin, begin - self.period), np.where(
            state < 0, begin, begin + self.period
        )
