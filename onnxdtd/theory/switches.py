"""Units that switch: functions that are affine piece by piece, and when a line leaves its piece.

A switch has a state (which piece each unit is on). Within a state it is linear in a direction: `push` carries a
direction forward, `pull` a gradient back. On the line u + s du, `wait` says for which s >= 0 each unit leaves its
piece (inf: never), and `turn` where it is then. A unit exactly on a boundary is on the piece that the gradient
takes there, and leaves it at s = 0 if its direction does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.model.point import Point
from onnxdtd.ops.window import spatial_of, window
from onnxdtd.primitives.windows import Windows

Array = npt.NDArray[Any]

# Parts of an op's largest magnitude: values closer than NEAR count as equal, directions below NOISE as rounding.
NEAR, NOISE = 1e-12, 1e-13


class Switch(Protocol):
    """See the module's text. u, du (lines, *input), results (lines, *output); one line serves all."""

    def start(self, u: Array) -> Array:
        """The state at a point."""

    def value(self, state: Array, u: Array) -> Array:
        """The output."""

    def push(self, state: Array, du: Array) -> Array:
        """The direction of the output."""

    def pull(self, state: Array, g: Array) -> Array:
        """The gradient at the input, from that at the output."""

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """How far each unit can go, shaped like the output."""

    def turn(self, state: Array, u: Array, du: Array, hits: npt.NDArray[np.bool_]) -> Array:
        """The state after the units in `hits` have left their pieces."""


@dataclass(frozen=True)
class Pieces:
    """y = slope_k u + offset_k between knots k - 1 and k, elementwise. upper: whether a knot itself belongs to
    the piece above it."""

    knots: tuple[float, ...]
    slopes: tuple[float, ...]
    offsets: tuple[float, ...]
    upper: tuple[bool, ...]

    def start(self, u: Array) -> Array:
        """The piece of each unit: the gradient's own where it is on a boundary."""
        near = NEAR * _largest(u)
        state = np.zeros(u.shape, np.int8)
        for knot, upper in zip(self.knots, self.upper, strict=True):
            state += (u > knot + near) | (upper & (abs(u - knot) <= near))
        return state

    def value(self, state: Array, u: Array) -> Array:
        """The function itself."""
        y: Array = np.asarray(self.slopes)[state] * u + np.asarray(self.offsets)[state]
        return y

    def push(self, state: Array, du: Array) -> Array:
        """Slope times direction."""
        dy: Array = np.asarray(self.slopes)[state] * du
        return dy

    pull = push

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until the next boundary that the direction leads to."""
        ends = np.array([-np.inf, *self.knots, np.inf])
        goal = np.where(du > 0, ends[1:][state], ends[:-1][state])
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = (goal - u) / du
        return np.where(abs(du) > NOISE * _largest(du), np.maximum(steps, 0), np.inf)

    def turn(self, state: Array, u: Array, du: Array, hits: npt.NDArray[np.bool_]) -> Array:
        """One piece on, the way the direction goes."""
        return (state + hits * np.sign(du)).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Selection:
    """y = the largest value of each window: (N, C, *spatial) -> (N, C, *out). reads (K, windows): the flat
    positions that each window reads, the number of positions for padding. The state tells the winners
    (N, C, K, windows), who share the gradient equally."""

    reads: npt.NDArray[np.intp]
    spatial: tuple[int, ...]
    out: tuple[int, ...]

    def start(self, u: Array) -> Array:
        """The winners of each window, all that tie."""
        seen = self._seen(u, -np.inf)
        near = NEAR * _largest(u).reshape(-1, 1, 1, 1)
        winners: Array = seen >= seen.max(axis=2, keepdims=True) - near
        return winners

    def value(self, state: Array, u: Array) -> Array:
        """The largest value."""
        return self._shaped(self._seen(u, -np.inf).max(axis=2))

    def push(self, state: Array, du: Array) -> Array:
        """The mean direction of the winners."""
        return self._shaped(np.where(state, self._seen(du, 0.0), 0).sum(axis=2) / state.sum(axis=2))

    def pull(self, state: Array, g: Array) -> Array:
        """Equal parts to the winners."""
        n, c = g.shape[:2]
        back = np.zeros((n, c, int(np.prod(self.spatial)) + 1))
        share = g.reshape(n, c, -1) / state.sum(axis=2)
        for k, positions in enumerate(self.reads):
            # Through one offset no two windows read the same position, padding aside.
            back[..., positions] += np.where(state[:, :, k], share, 0)
        return back[..., :-1].reshape(n, c, *self.spatial)

    def wait(self, state: Array, u: Array, du: Array) -> Array:
        """Until another candidate takes the lead; at once where winners part."""
        return self._shaped(self._race(state, u, du)[0].min(axis=2))

    def turn(self, state: Array, u: Array, du: Array, hits: npt.NDArray[np.bool_]) -> Array:
        """The new winners: of those that arrive together the fastest, of winners that part the fastest."""
        waits, rates = self._race(state, u, du)
        arriving = waits <= waits.min(axis=2, keepdims=True)
        fastest = np.where(arriving, rates, -np.inf).max(axis=2, keepdims=True)
        after = arriving & (rates >= fastest - _noise(du))
        return np.where(hits.reshape(*hits.shape[:2], 1, -1), after, state)

    def _race(self, state: Array, u: Array, du: Array) -> tuple[Array, Array]:
        """When each candidate takes the lead, and its lead in speed over the fastest winner."""
        seen, rates = self._seen(u, -np.inf), self._seen(du, 0.0)
        top = np.where(state, seen, -np.inf).max(axis=2, keepdims=True)
        rates = rates - np.where(state, rates, -np.inf).max(axis=2, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.maximum(top - seen, 0) / rates
        waits = np.where(~state & (rates > _noise(du)), waits, np.inf)
        # Winners of different speed part at once: the fastest are those that arrive, now.
        parting = (state & (rates < -_noise(du))).any(axis=2, keepdims=True)
        return np.where(parting, np.where(state & (rates >= -_noise(du)), 0.0, np.inf), waits), rates

    def _seen(self, a: Array, padding: float) -> Array:
        flat = a.reshape(*a.shape[:2], -1)
        border = np.full((*flat.shape[:2], 1), padding)
        found: Array = np.concatenate([flat, border], axis=2)[..., self.reads]
        return found

    def _shaped(self, y: Array) -> Array:
        return y.reshape(*y.shape[:2], *self.out)


def _largest(a: Array) -> Array:
    """The largest magnitude of each line, kept as axes of length 1."""
    largest: Array = abs(a).max(axis=tuple(range(1, a.ndim)), keepdims=True, initial=0.0)
    return largest


def _noise(du: Array) -> Array:
    return NOISE * _largest(du).reshape(-1, 1, 1, 1)


def _relu(point: Point) -> Pieces:
    return Pieces((0.0,), (0.0, 1.0), (0.0, 0.0), (False,))


def _leaky_relu(point: Point) -> Pieces:
    return Pieces((0.0,), (point.attribute("alpha", 0.01), 1.0), (0.0, 0.0), (False,))


def _abs(point: Point) -> Pieces:
    return Pieces((0.0,), (-1.0, 1.0), (0.0, 0.0), (False,))


def _clip(point: Point) -> Pieces:
    """The gradient is 1 on the bounds too."""
    low, high = (
        float(point.constant(slot)) if point.has(slot) else float(point.attribute(name, default))
        for slot, name, default in ((1, "min", -np.inf), (2, "max", np.inf))
    )
    knots, slopes, offsets, upper = [], [1.0], [0.0], []
    if np.isfinite(low):
        knots, slopes, offsets, upper = [low], [0.0, *slopes], [low, *offsets], [True]
    if np.isfinite(high):
        knots, slopes, offsets, upper = [*knots, high], [*slopes, 0.0], [*offsets, high], [*upper, False]
    return Pieces(tuple(knots), tuple(slopes), tuple(offsets), tuple(upper))


def _max_pool(point: Point) -> Selection:
    spatial, out = spatial_of(point.x), spatial_of(point.output)
    stated = window(point, point.attribute("kernel_shape"), point.x)
    begins = stated.pads[: len(spatial)]
    windows = Windows(spatial, out, stated.kernel, stated.strides, begins, stated.dilations)
    count = int(np.prod(spatial))
    positions = np.arange(count).reshape(spatial)
    reads = np.full((len(windows.taps()), *out), count)
    for row, tap in zip(reads, windows.taps(), strict=True):
        row[tap.windows] = positions[tap.reads]
    return Selection(reads.reshape(len(reads), -1), spatial, out)


def _global_max_pool(point: Point) -> Selection:
    spatial = spatial_of(point.x)
    return Selection(np.arange(int(np.prod(spatial)))[:, None], spatial, (1,) * len(spatial))


SWITCHES: dict[str, Callable[[Point], Switch]] = {
    "Abs": _abs,
    "Clip": _clip,
    "GlobalMaxPool": _global_max_pool,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Relu": _relu,
}
