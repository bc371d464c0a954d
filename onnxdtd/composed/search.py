"""The search for the nearest root: min |xi - x|^2 subject to f(xi) = 0, low <= xi <= high.

Each step replaces f by its tangent and finds, exactly, the point of the box on the tangent's zero plane that is
nearest to where the search stands, and the one that is nearest to x; it goes a little beyond a mixture of both, and
back towards x once f <= 0 (Croce and Hein 2020, "FAB"). All samples and restarts move together, in batched passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdtd.composed.passes import Array, Passes

BEYOND = 1.05  # how far a step goes beyond the plane
PULL = 0.1  # the largest share of x's own projection in a step
BACK = 0.9  # of the way from x that is kept once f <= 0
ROUNDS = 3  # of tangent steps from the best root
SECANTS = 20
EXACT = 1e-6  # of f(x): what float32 can tell apart from zero

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Nearest:
    """point (N, D): each sample's nearest root, or where f is least if none was found. value: f there, (N,).
    found: whether |f| there is within the tolerance of f(x)."""

    point: Array
    value: Array
    found: npt.NDArray[np.bool_]


def budget(samples: int, steps: int, restarts: int) -> tuple[int, int]:
    """The most (gradients, forward passes) that `nearest_root` takes."""
    return samples * (restarts * steps + ROUNDS), samples * (2 * restarts * steps + ROUNDS + (1 + ROUNDS) * SECANTS)


class Search:
    """The search for the nearest roots of some samples with f(x) > 0. The first start is x; others are half-way to
    zero, and noise around x."""

    def __init__(self, passes: Passes, samples: Rows, restarts: int, seed: int) -> None:
        self.passes, self.restarts = passes, restarts
        origin = passes.x[samples]
        low, high = np.minimum(passes.low[samples], origin), np.maximum(passes.high[samples], origin)
        starts = [_start(k, origin, low, high, seed) for k in range(restarts)]
        self.start = np.stack(starts, axis=1).reshape(-1, origin.shape[1])
        self.who = np.repeat(samples, restarts)
        self.origin, self.low, self.high = (np.repeat(a, restarts, axis=0) for a in (origin, low, high))
        self.zero = EXACT * passes.value[self.who]

    def descend(self, steps: int) -> tuple[Array, Array]:
        """The nearest point with f <= 0 that each start comes to, or the one of least f; and f there."""
        here = self.start.copy()
        best, value = here.copy(), np.full(len(here), np.inf)
        for _ in range(steps):
            values, slopes = self.passes.gradients(here, self.who)
            self._keep(best, value, here, values)
            goals, far = np.empty_like(here), np.empty_like(here)
            for i in range(len(here)):
                goals[i], far[i] = self._step(i, here[i], float(values[i]), slopes[i])
            tried = self.passes.values(np.concatenate([goals, far]), np.tile(self.who, 2)).reshape(2, -1)
            self._keep(best, value, goals, tried[0])
            self._keep(best, value, far, tried[1])
            crossed = (tried[1] <= 0)[:, None]
            here = np.where(crossed, self.origin + BACK * (far - self.origin), far)
        return best, value

    def _step(self, i: int, here: Array, value: float, slope: Array) -> tuple[Array, Array]:
        """The point of the plane nearest to x, and where the search goes."""
        origin, low, high = self.origin[i], self.low[i], self.high[i]
        near = nearest_on_plane(here, slope, value, low, high)
        goal = nearest_on_plane(origin, slope, value + float(slope @ (origin - here)), low, high)
        one, other = np.linalg.norm(near - here), np.linalg.norm(goal - origin)
        pull = min(one / (one + other), PULL) if one + other else 0.0
        mixed = (1 - pull) * (here + BEYOND * (near - here)) + pull * (origin + BEYOND * (goal - origin))
        return goal, np.clip(mixed, low, high)
