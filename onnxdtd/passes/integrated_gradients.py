"""Integrated gradients: the gradient gathered on the straight path from a baseline to the input."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.passes.embedded import Embedded, tokens
from onnxdtd.passes.passes import Passes
from onnxdtd.registry import many_passes
from onnxdtd.types import Array, OnProgress

TOLERANCE = 0.01


@many_passes("integrated_gradients", adds_up=True)
def integrated_gradients(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: OnProgress = None,
    baseline: Any = 0.0,
    baseline_token: int | str | None = None,
    steps: int = 64,
    rule: Literal["midpoint", "trapezoid"] = "midpoint",
    batch: int | None = None,
) -> Explanation:
    """R_i = (x_i - b_i) times the mean of df/dx_i from a baseline b to x. Source: Sundararajan et al. 2017.

    sum_i R_i = f(x) - f(b) up to the quadrature's error, which is reported for each sample as
    `completeness_error` (sum minus difference) beside `baseline_value`, f(b); `seed` is the difference. baseline: a
    number, an array that broadcasts to the input, or a dict by input name. Tokens are moved where they are vectors,
    from zero, or from the vector of `baseline_token` at every place (a number, or with a tokenizer mask, pad or unk);
    each gets the sum over its vector. steps: pieces of the path; rule: `midpoint` (steps gradients) or `trapezoid`
    (steps + 1). batch: points of one pass, by default what fits.
    """
    if steps < 1 or rule not in ("midpoint", "trapezoid"):
        raise UsageError(
            f"integrated_gradients takes steps >= 1 and rule midpoint or trapezoid, not {steps}, {rule}"
        )
    if tokens(explainer.plan(explainer.loaded.question(target).output)):
        inside = Embedded(explainer, x, target)
        from_here = inside.baseline(baseline, baseline_token)
        return inside.back(
            integrated_gradients(
                inside.explainer, inside.feeds, inside.target,
                progress=progress, baseline=from_here, steps=steps, rule=rule, batch=batch,
            )
        )  # fmt: skip
    if baseline_token is not None:
        raise UsageError(
            "baseline_token is for inputs of tokens, and this model is explained by floats alone"
        )
    passes = Passes(explainer, x, target, progress, batch)
    start = passes.baseline(baseline)
    way = passes.x - start
    places, weights = _quadrature(rule, steps)
    points = passes.count * len(places)
    passes.expect(points + passes.count)
    mean = np.zeros_like(way)
    for rows in passes.chunks(points):
        samples, k = np.divmod(rows, len(places))
        _, slopes = passes.gradients(start[samples] + places[k, None] * way[samples], samples)
        np.add.at(mean, samples, weights[k, None] * slopes)
    relevance = way * mean
    at_baseline = passes.values(start, passes.all)
    change = passes.value - at_baseline
    error = relevance.sum(axis=1) - change
    warnings = [
        f"sample {n}: relevance misses f(x) - f(baseline) = {change[n]:.4g} by {error[n]:.3g}; take more steps"
        for n in np.flatnonzero(np.abs(error) > TOLERANCE * np.abs(change))
    ]
    extras = {
        "steps": steps,
        "rule": rule,
        "baseline_value": at_baseline.tolist(),
        "completeness_error": error.tolist(),
    }
    return passes.explanation("integrated_gradients", relevance, change, extras, *warnings)


def _quadrature(rule: str, steps: int) -> tuple[Array, Array]:
    """Places in 0..1 and weights that sum to 1."""
    if rule == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    weights = np.full(steps + 1, 1 / steps)
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps + 1), weights
