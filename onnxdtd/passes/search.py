"""The search for the nearest root: min |xi - x|^2 subject to f(xi) = 0, low <= xi <= high.

Each step replaces f by its tangent and finds, exactly, the point of the tangent's zero plane that is nearest to
where the search stands, and the one that is nearest to x; it goes a little beyond a mixture of both, and back towards
x once f <= 0 (Croce and Hein 2020, FAB). All samples and restarts move together, in batched passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdtd.passes.passes import Passes
from onnxdtd.passes.plane import nearest_on_plane
from onnxdtd.types import Array, Rows

BEYOND = 1.05  # how far a step goes, in units of the way to the plane
PULL = 0.1  # the largest share of x's own nearest point in a step
BACK = 0.9  # of the way from x that is kept once f <= 0
ROUNDS = 10  # of steps along f = 0 from the best root
PARTS = (1.0, 0.5, 0.25, 0.1)
SCOUTS = 16
SECANTS = 20
HALVINGS = 12
NEAR = 0.9995  # of the way from x to a root
POLISH = SECANTS + HALVINGS
EXACT = 1e-6  # of f(x): what float32 can tell apart from zero


@dataclass(frozen=True)
class Nearest:
    """point (N, D): each sample's nearest root, or where f is least if none was found; before: just before it, on x's
    side. value: f at the point, (N,). is_root: whether |f| there is within the tolerance of f(x)."""

    point: Array
    before: Array
    value: Array
    is_root: npt.NDArray[np.bool_]


@dataclass
class Best:
    """Row by row, the point nearest to x with f <= zero that was seen, else the one of least f."""

    origin: Array
    zero: Array
    point: Array
    value: Array

    def see(self, point: Array, value: Array) -> None:
        """Keep what is better."""
        nearer = _distance(point, self.origin) < _distance(self.point, self.origin)
        crossed, had = value <= self.zero, self.value <= self.zero
        better = np.where(crossed, ~had | nearer, ~had & (value < self.value))
        self.point = np.where(better[:, None], point, self.point)
        self.value = np.where(better, value, self.value)


def budget(samples: int, steps: int, restarts: int) -> tuple[int, int]:
    """The most (gradients, forward passes) that `nearest_root` takes."""
    rows, rounds = samples * restarts, samples * ROUNDS
    return rows * steps + rounds, (2 * steps + SCOUTS + POLISH) * rows + (2 * len(PARTS) + POLISH) * rounds


def nearest_root(
    passes: Passes, samples: Rows, *, steps: int, restarts: int, seed: int, tolerance: float
) -> Nearest:
    """Roots of samples with f(x) > 0; `Search.start` tells where each restart starts."""
    search = Search(passes, samples)
    starts = [search.start(k, seed) for k in range(restarts)]
    many = Search(passes, np.tile(samples, restarts))
    tries = many.exact(many.descend(np.concatenate(starts), steps))
    best = search.best()
    for k in range(restarts):
        rows = slice(k * len(samples), (k + 1) * len(samples))
        best.see(tries.point[rows], tries.value[rows])
    best = search.refine(best)
    return Nearest(
        best.point, search.near(best), best.value, np.abs(best.value) <= tolerance * passes.value[samples]
    )


class Search:
    """The search from some samples, a row each; a sample may stand in several rows."""

    def __init__(self, passes: Passes, samples: Rows) -> None:
        self.passes, self.samples = passes, samples
        self.origin = passes.x[samples]
        self.low = np.minimum(passes.low[samples], self.origin)
        self.high = np.maximum(passes.high[samples], self.origin)
        self.zero = EXACT * passes.value[samples]

    def best(self) -> Best:
        """x itself, before anything was seen."""
        return Best(self.origin, self.zero, self.origin, self.passes.value[self.samples])

    def start(self, k: int, seed: int) -> Array:
        """Where the k-th restart starts: at x, half-way to the origin, or at the best of some random points."""
        if k < 2:
            return np.asarray(np.clip(self.origin / (1 + k), self.low, self.high))
        spread = np.ptp(self.origin, axis=1, keepdims=True)
        stated = self.high - self.low
        reach = np.where(np.isfinite(stated), stated, np.where(spread > 0, spread, 1.0))
        scouts = self.best()
        for noise in np.random.default_rng([seed, k]).standard_normal((SCOUTS, self.origin.shape[1])):
            points = np.clip(self.origin + min(0.1 * 3 ** (k - 2), 1) * reach * noise, self.low, self.high)
            scouts.see(points, self.passes.values(points, self.samples))
        return scouts.point

    def descend(self, here: Array, steps: int) -> Best:
        """The best point on the way."""
        best = self.best()
        for _ in range(steps):
            values, slopes = self.passes.gradients(here, self.samples)
            best.see(here, values)
            goals = self._goals(here, values, slopes)
            near = self._project(here, slopes, values)
            one, other = _distance(near, here), _distance(goals, self.origin)
            pull = np.minimum(one / np.maximum(one + other, np.finfo(float).tiny), PULL)[:, None]
            far = (1 - pull) * (here + BEYOND * (near - here)) + pull * (
                self.origin + BEYOND * (goals - self.origin)
            )
            here = np.clip(far, self.low, self.high)
            reached = self._see(best, goals, here)
            here = np.where((reached <= 0)[:, None], self.origin + BACK * (here - self.origin), here)
        return best

    def exact(self, best: Best) -> Best:
        """Points with f <= 0 moved towards x to where f becomes 0."""
        return self._edge(self._secant(best))

    def near(self, best: Best) -> Array:
        """Points just before the roots, on x's side: where f ends in a flat zero, the root itself has no slope."""
        return self._between(best, np.full(len(best.point), NEAR), np.arange(len(best.point)))

    def _secant(self, best: Best) -> Best:
        """Where f < 0: the change of sign between x and the point, by the Illinois rule."""
        left, right = np.zeros(len(best.point)), np.ones(len(best.point))
        above, below = self.passes.value[self.samples].copy(), best.value.copy()
        point, value = best.point.copy(), best.value.copy()
        open_ = np.flatnonzero(value < -self.zero)
        for _ in range(SECANTS):
            if not len(open_):
                break
            t = left[open_] + (right - left)[open_] * (above / (above - below))[open_]
            point[open_] = self._between(best, t, open_)
            f = value[open_] = self.passes.values(point[open_], self.samples[open_])
            up = f > 0
            # The end that stays counts half, so that it cannot stay for ever.
            left[open_], above[open_] = np.where(up, (t, f), (left[open_], above[open_] / 2))
            right[open_], below[open_] = np.where(up, (right[open_], below[open_] / 2), (t, f))
            open_ = open_[np.abs(f) > self.zero[open_]]
        return Best(self.origin, self.zero, point, value)

    def _edge(self, best: Best) -> Best:
        """Where f is flat at 0: the edge of the flat part, by halving."""
        point, value = best.point.copy(), best.value.copy()
        rows = np.flatnonzero(np.abs(value) <= self.zero)
        left, right = np.zeros(len(rows)), np.full(len(rows), 1.0)
        middle = np.full(len(rows), NEAR)
        for _ in range(HALVINGS):
            if not len(rows):
                break
            tried = self._between(best, middle, rows)
            f = self.passes.values(tried, self.samples[rows])
            flat = f <= self.zero[rows]
            point[rows[flat]], value[rows[flat]] = tried[flat], f[flat]
            left, right = np.where(flat, left, middle), np.where(flat, middle, right)
            going = right - left > 1 - NEAR
            rows, left, right = rows[going], left[going], right[going]
            middle = (left + right) / 2
        return Best(self.origin, self.zero, point, value)

    def _between(self, best: Best, t: Array, rows: Rows) -> Array:
        return np.asarray(self.origin[rows] + t[:, None] * (best.point - self.origin)[rows])

    def refine(self, best: Best) -> Best:
        """Slide along f = 0: parts of the way to the tangent plane's point nearest to x, put back onto f = 0."""
        for _ in range(ROUNDS):
            root = best.point
            near = self.near(best)
            values, slopes = self.passes.gradients(near, self.samples)
            goals = self._goals(near, values, slopes)
            tried = self.best()
            for part in PARTS:
                way = root + part * (goals - root)
                off = self.passes.values(way, self.samples)
                tried.see(way, off)
                back = self._project(way, slopes, BEYOND * off)
                tried.see(back, self.passes.values(back, self.samples))
            tried = self.exact(tried)
            best.see(tried.point, tried.value)
            if np.array_equal(root, best.point):
                break
        return best

    def _see(self, best: Best, goals: Array, far: Array) -> Array:
        """Show both to `best`; f at `far`."""
        values = self.passes.values(np.concatenate([goals, far]), np.tile(self.samples, 2)).reshape(2, -1)
        best.see(goals, values[0])
        best.see(far, values[1])
        return np.asarray(values[1])

    def _goals(self, here: Array, values: Array, slopes: Array) -> Array:
        """The points of the tangents' zero planes nearest to x."""
        return self._project(self.origin, slopes, values + (slopes * (self.origin - here)).sum(axis=1))

    def _project(self, points: Array, slopes: Array, drops: Array) -> Array:
        rows = zip(points, slopes, drops, self.low, self.high, strict=True)
        return np.stack([nearest_on_plane(x, g, float(drop), low, high) for x, g, drop, low, high in rows])


def _distance(points: Array, origin: Array) -> Array:
    return np.asarray(np.linalg.norm(points - origin, axis=1))
