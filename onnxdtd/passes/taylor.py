"""Taylor decomposition: the first-order expansion of f at its nearest root."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.passes.passes import Passes
from onnxdtd.passes.search import budget, nearest_root
from onnxdtd.plan.target import Target
from onnxdtd.registry import many_passes
from onnxdtd.theory.regions import regions
from onnxdtd.theory.scene import Scene
from onnxdtd.types import Array, OnProgress

REGION = {"inside": True, "leaves": False}
TINY = np.finfo(np.float64).tiny
NUMBERS = 2**23  # in one of the search's arrays: samples are searched together as far as they fit


@many_passes("taylor", adds_up=True)
def taylor(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: OnProgress = None,
    steps: int = 25,
    restarts: int = 4,
    tolerance: float = 1e-3,
    seed: int = 0,
    batch: int | None = None,
) -> Explanation:
    """R_i = df/dx_i(root) (x_i - root_i), root = the nearest x~ found with f(x~) = 0. Source: Montavon et al. 2017.

    f is the explained logit, the root lies inside the stated input range, and the slope is that just before the root,
    on x's side. For each sample: `root_found` (|f(root)| <= tolerance f(x)), `residual` f(root), `distance`
    |x - root|, `remainder` f(x) - f(root) - sum R, `region` (whether x and root lie in one linear region, exactly, by
    the break points of the segment; None where that does not apply), `region_verdict` in words, and `gradient_change`
    from x to the root, relative. `gradients` and `forwards` count the points evaluated: for each sample at most
    steps x restarts + 12 gradients and (2 steps + 48) x restarts + 400 forward passes.

    Without a root, relevance is expanded where f is least, and a warning says so: R then sums to f(x) less the
    residual, which stays unexplained, and the remainder. Where f(x) <= 0 there is nothing to explain and R = 0.
    """
    if steps < 1 or restarts < 1 or not tolerance > 0 or seed < 0:
        options = ", ".join(map(str, (steps, restarts, tolerance, seed)))
        raise UsageError(f"taylor takes steps >= 1, restarts >= 1, tolerance > 0, seed >= 0, not {options}")
    passes = Passes(explainer, x, target, progress, batch)
    passes.expect(sum(budget(passes.count, steps, restarts)) + 2 * passes.count)
    some = np.flatnonzero(passes.value > 0)
    relevance, change = np.zeros_like(passes.x), np.zeros(passes.count)
    point, residual, there = passes.x.copy(), np.zeros(passes.count), np.ones(passes.count, bool)
    verdicts = ["inside"] * passes.count
    together = max(1, NUMBERS // (restarts * passes.x.shape[1]))
    for first in range(0, len(some), together):
        group = some[first : first + together]
        nearest = nearest_root(passes, group, steps=steps, restarts=restarts, seed=seed, tolerance=tolerance)
        point[group], residual[group], there[group] = nearest.point, nearest.value, nearest.is_root
        _, here = passes.gradients(passes.x[group], group)
        _, slope = passes.gradients(nearest.before, group)
        relevance[group] = slope * (passes.x[group] - nearest.point)
        change[group] = np.linalg.norm(slope - here, axis=1) / np.maximum(np.linalg.norm(here, axis=1), TINY)
        for n in group.tolist():
            verdicts[n] = _verdict(explainer, passes, n, point[n])
    value = np.maximum(passes.value, 0)
    remainder = value - residual - relevance.sum(axis=1)
    extras = {
        "root_found": there.tolist(),
        "residual": residual.tolist(),
        "distance": np.linalg.norm(passes.x - point, axis=1).tolist(),
        "remainder": remainder.tolist(),
        "region": [REGION.get(verdict.split()[0]) for verdict in verdicts],
        "region_verdict": verdicts,
        "gradient_change": change.tolist(),
        "gradients": passes.gradient_points,
        "forwards": passes.forward_points,
    }
    warnings = _warnings(passes.value, there, residual, remainder, verdicts)
    return passes.explanation("taylor", relevance, value, extras, *warnings)


def _verdict(explainer: Explainer, passes: Passes, sample: int, root: Array) -> str:
    """Whether the segment from x to the root stays in one linear region, in words."""
    if not passes.plan.steps:  # the output is the input
        return "inside"
    if passes.fixed and passes.count > 1:
        return "unknown: the model's batch is fixed, and the walk of the segment takes one sample"
    target = Target(passes.plan.output, passes.base.target[sample][0])
    scene = Scene.of(explainer, passes.base.inputs, target, sample)
    way = passes.split((root - passes.x[sample])[None], precise=True)
    names, first = passes.plan.floats, passes.plan.steps[0].node.name
    try:
        (verdict,) = regions(scene, names, first, 1, lambda lines: [way[name] for name in names])
    except UnsupportedError as error:
        return f"unknown: {error}"
    return str(verdict)


def _warnings(
    values: Array, is_root: npt.NDArray[np.bool_], residual: Array, remainder: Array, verdicts: list[str]
) -> list[str]:
    messages = []
    for n, value in enumerate(values):
        if value <= 0:
            messages.append(f"sample {n}: f(x) = {value:.4g} is not positive, so there is nothing to explain")
        elif not is_root[n]:
            messages.append(
                f"sample {n}: no root found in the input's range; where f comes closest to zero it is "
                f"{residual[n]:.4g} of {value:.4g}. Relevance is expanded there and leaves that much unexplained"
            )
        elif verdicts[n] != "inside":
            messages.append(
                f"sample {n}: x and its root do not share a linear region ({verdicts[n]}): the Taylor remainder is "
                f"{remainder[n]:.3g} of f(x) = {value:.4g}"
            )
    return messages
