"""Where an op bends: functions that are affine piece by piece, and when a line leaves its piece.

A switch has a state (which piece each unit is on). Within a state it is linear in a direction, which `push` carries
forward. On the line u + s du, `wait` says for which s >= 0 each unit leaves its piece (inf: never), and `turn` where
it is then. A unit exactly on a boundary is on the piece that the gradient takes there, and leaves it at s = 0 if its
direction does. An op declares its switch as a function of the point, `@op(..., pieces=...)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.model.point import Point
from onnxdtd.types import Array

Mask = npt.NDArray[np.bool_]

# Parts of an op's largest magnitude: values closer than NEAR count as equal, directions below NOISE as rounding, and
# what a step has brought to a boundary is no farther from it than DRIFT.
NEAR, NOISE, DRIFT = 1e-12, 1e-13, 1e-9


class Switch(Protocol):
    """See the module's text. u, du: lines of the op's data inputs, of several inputs each flat and one behind the
    other. Results are (lines, *output). curved: it bends everywhere on some piece; discrete: its outputs are numbers
    or truth values that others choose by, and have no direction; jumps: its pieces do not always meet."""

    @property
    def curved(self) -> bool:
        """See above."""

    @property
    def discrete(self) -> bool:
        """See above."""

    @property
    def jumps(self) -> bool:
        """See above."""

    def start(self, u: Array) -> Array:
        """The state at a point."""

    def value(self, state: Array, u: Array) -> Array:
        """The output."""

    def push(self, state: Array, du: Array) -> Array:
        """The direction of the output."""

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """How far each unit can go."""

    def turn(self, state: Array, u: Array, du: Array, hits: Mask) -> Array:
        """The state after the units in `hits` have left their pieces."""

    def settle(self, state: Array, u: Array) -> tuple[Array, Mask]:
        """The state where u has jumped, and which units are on another piece than before."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """y = slope_k u + offset_k between knots k - 1 and k, elementwise; a slope of NaN is a curve.

    Slopes, offsets and knots are numbers, or arrays that broadcast to u. upper: whether a knot itself belongs to the
    piece above it.
    """

    knots: tuple[Any, ...]
    slopes: tuple[Any, ...]
    offsets: tuple[Any, ...]
    upper: tuple[bool, ...]

    discrete = False

    @property
    def curved(self) -> bool:
        """Whether some piece is a curve."""
        return any(bool(np.isnan(slope).any()) for slope in self.slopes)

    @property
    def jumps(self) -> bool:
        """Whether two pieces do not meet at their knot."""
        below, above = ([np.multiply(s, k) + o for k, s, o in zip(self.knots, self.slopes[side:], self.offsets[side:],
                        strict=False)] for side in (0, 1))  # fmt: skip
        return any(not np.allclose(a, b, atol=DRIFT) for a, b in zip(below, above, strict=True))

    def start(self, u: Array) -> Array:
        """The piece of each unit: the gradient's own where it is on a boundary."""
        near = NEAR * largest(u)
        state = np.zeros(u.shape, np.int8)
        for knot, upper in zip(self.knots, self.upper, strict=True):
            state += (u > knot + near) | (upper & (abs(u - knot) <= near))
        return state

    def value(self, state: Array, u: Array) -> Array:
        """The function itself."""
        return np.asarray(np.choose(state, self.slopes) * u + np.choose(state, self.offsets))

    def push(self, state: Array, du: Array) -> Array:
        """Slope times direction."""
        return np.asarray(np.choose(state, self.slopes) * du)

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until the next boundary that the direction leads to."""
        low, high = self._ends(state)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = (np.where(du > 0, high, low) - u) / du
        return np.where(abs(du) > NOISE * largest(du), np.maximum(steps, 0), np.inf)

    def turn(self, state: Array, u: Array, du: Array, hits: Mask) -> Array:
        """One piece on, the way the direction goes."""
        return (state + hits * np.sign(du)).astype(np.int8)

    def settle(self, state: Array, u: Array) -> tuple[Array, Mask]:
        """The old piece where u lies on it or on its ends, else the one where it lies."""
        low, high = self._ends(state)
        drift = DRIFT * largest(u)
        moved = (u < low - drift) | (u > high + drift)
        return np.where(moved, self.start(u), state), moved

    def _ends(self, state: Array) -> tuple[Any, Any]:
        ends = (-np.inf, *self.knots, np.inf)
        return np.choose(state, ends[:-1]), np.choose(state, ends[1:])


def corner(below: Any, above: Any, knot: float = 0.0) -> Pieces:
    """y = below u up to the knot, above u beyond it."""
    return Pieces((knot,), (below, above), (0.0, 0.0), (False,))


def smooth(point: Point) -> Pieces:
    """A curve without a kink."""
    return kinked()


def still(point: Point) -> Pieces:
    """What depends on shapes only: no value moves it."""
    return Pieces((), (0.0,), (0.0,), ())


def kinked(*knots: float, above: float = np.nan, below: float = np.nan) -> Pieces:
    """A curve between and beside the knots; above, below: its slopes beyond the outer ones where it is straight."""
    slopes = [np.nan] * (len(knots) + 1)
    if knots:
        slopes[0], slopes[-1] = below, above
    return Pieces(knots, tuple(slopes), (0.0,) * len(slopes), (False,) * len(knots))


def largest(a: Array) -> Array:
    """The largest magnitude of each line, kept as axes of length 1."""
    size: Array = abs(a).max(axis=tuple(range(1, a.ndim)), keepdims=True, initial=0.0)
    return size
