"""Taylor decomposition: the first-order expansion of f at its nearest root."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.composed.passes import Array, Passes
from onnxdtd.composed.search import Nearest, budget, nearest_root
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer, Tell
from onnxdtd.explanation import Explanation
from onnxdtd.registry import composed

LOOKS = 16  # points on the way from input to root at which gradients are compared
SAME = 1e-4  # relative difference of gradients that rounding explains


@composed("taylor")
def taylor(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: Tell = None,
    steps: int = 24,
    restarts: int = 4,
    tolerance: float = 1e-3,
    seed: int = 0,
    batch: int | None = None,
) -> Explanation:
    """R_i = df/dx_i(root) (x_i - root_i), root = the nearest x~ found with f(x~) = 0. Source: Montavon et al. 2017.

    f is the explained logit, the root lies inside the stated input range. For each sample: `root_found` (|f(root)|
    <= tolerance f(x)), `residual` f(root), `distance` |x - root|, `remainder` f(x) - f(root) - sum R, and
    `gradient_change`, the largest relative difference of the gradient on the way to the root (16 points and both
    ends); `same_region` says that there was none: false is certain, true is sampled. `gradients` and `forwards` count
    the passes; the search takes at most steps x restarts gradients and four forward passes for each, and 35.

    Without a root, relevance is expanded where |f| is least, and a warning says so: R then sums to f(x) less the
    residual, which stays unexplained. Where f(x) <= 0 there is nothing to explain and R = 0.
    """
    if steps < 1 or restarts < 1 or not tolerance > 0:
        raise UsageError(
            f"taylor takes steps >= 1, restarts >= 1, tolerance > 0, not {steps}, {restarts}, {tolerance}"
        )
    passes = Passes(explainer, x, target, progress, batch)
    passes.expect(sum(budget(passes.count, steps, restarts)) + passes.count * (LOOKS + 2))
    some = np.flatnonzero(passes.value > 0)
    relevance, change = np.zeros_like(passes.x), np.zeros(passes.count)
    root = Nearest(passes.x.copy(), np.zeros(passes.count), np.ones(passes.count, bool))
    if len(some):
        found = nearest_root(passes, some, steps=steps, restarts=restarts, seed=seed, tolerance=tolerance)
        root.point[some], root.value[some], root.found[some] = found.point, found.value, found.found
        slope, change[some] = _slopes(passes, root.point, some)
        relevance[some] = slope * (passes.x - root.point)[some]
    value = np.maximum(passes.value, 0)
    remainder = value - root.value - relevance.sum(axis=1)
    extras = {
        "root_found": root.found.tolist(),
        "residual": root.value.tolist(),
        "distance": np.linalg.norm(passes.x - root.point, axis=1).tolist(),
        "remainder": remainder.tolist(),
        "same_region": (change <= SAME).tolist(),
        "gradient_change": change.tolist(),
        "gradients": passes.gradient_points,
        "forwards": passes.forward_points,
    }
    warnings = _warnings(passes, root, remainder, change)
    return passes.explanation("taylor", relevance, value, extras, *warnings)


def _slopes(passes: Passes, points: Array, samples: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """The gradient at each sample's point, and its largest relative change on the way there from x."""
    slopes, changes = [], []
    for n in samples:
        t = np.linspace(0, 1, LOOKS + 2)[:, None]
        way = passes.x[n] + t * (points[n] - passes.x[n])
        _, found = passes.gradients(way, np.repeat(n, len(way)))
        differences = np.linalg.norm(found - found[0], axis=1)
        slopes.append(found[-1])
        changes.append(differences.max() / max(np.linalg.norm(found[0]), np.finfo(float).tiny))
    return np.stack(slopes), np.array(changes)


def _warnings(passes: Passes, root: Nearest, remainder: Array, change: Array) -> list[str]:
    told = []
    for n, value in enumerate(passes.value):
        if value <= 0:
            told.append(f"sample {n}: f(x) = {value:.4g} is not positive, so there is nothing to explain")
        elif not root.found[n]:
            told.append(
                f"sample {n}: no root found in the input's range; where f comes closest to zero it is "
                f"{root.value[n]:.4g} of {value:.4g}. Relevance is expanded there and leaves that much unexplained"
            )
        elif change[n] > SAME:
            told.append(
                f"sample {n}: the root lies outside the linear region of x (the gradient changes by {change[n]:.2g} "
                f"on the way): the Taylor remainder is {remainder[n]:.3g} of f(x) = {value:.4g}"
            )
    return told
