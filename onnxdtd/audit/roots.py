"""Do the roots that the rules rest on exist: in the domain of each layer's input, and in the linear region?"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.audit.finding import Finding, interval, middle, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.seeds import not_inside
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.plan.target import Target
from onnxdtd.registry import audit
from onnxdtd.theory.root import Roots
from onnxdtd.theory.roots import find_roots
from onnxdtd.theory.scene import Scene

# One neuron in twenty.
LIMIT = 0.95
LAYERS = 12
"""Of more layers, so many are looked at, evenly spread."""
FEWEST, MOST, WORK = 8, 64, 2e8
"""Neurons drawn of a layer: so many that neurons x activations of the model is about WORK."""


@audit(
    "roots", cost="full", findings=("roots_domain", "roots_region"),
    source="Montavon et al. 2017, section 4 (domain); Sixt and Landgraf 2022 (linear region); the limit "
    "of 95 % is onnxdtd's",
)  # fmt: skip
def roots(plan: Plan, explanation: Explanation, probe: Probe) -> list[Finding]:
    """The share of sampled neurons whose root lies in its domain and in the linear region, layer by layer."""
    try:
        scene = _scene(explanation, probe)
    except UsageError as error:
        return _none(f"No single sample can be looked at: {error}")
    chosen = probe.layers
    picked = np.unique(np.linspace(0, len(chosen) - 1, min(LAYERS, len(chosen))).round().astype(int))
    neurons = int(np.clip(WORK / sum(a.size for a in scene.values.values()), FEWEST, MOST))
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    for done, i in enumerate(picked):
        probe.tick(done, len(picked))
        step = chosen[i]
        try:
            roots = find_roots(scene, step.node.name, neurons)
        except (UsageError, UnsupportedError) as error:
            skipped[step.node.name] = str(error)
            continue
        if roots.asked:
            rows.append(_row(step, roots))
    if not rows:
        if chosen:
            why = next(iter(skipped.values()), "no neuron has relevance")
        elif not_inside(plan):
            why = "roots do not apply inside of cells and loops, and no other layer is on the way"
        else:
            why = "the model has no convolution or dense layer, whose neurons could have one"
        return _none(f"There are no roots to look at: {why}.")
    shared = {"layers": rows, "skipped": skipped, "of": len(chosen), "closed": not_inside(plan)}
    return [_domain(rows, shared), _region(rows, shared)]


def _scene(explanation: Explanation, probe: Probe) -> Scene:
    """The first sample."""
    indices = explanation.target[0]
    one = indices[0] if len(indices) == 1 and indices[0] else None
    return Scene.of(probe.explainer, explanation.inputs, Target(explanation.output, one))


def _row(step: Step, roots: Roots) -> dict[str, Any]:
    inside = sum(root.in_domain for root in roots)
    region = None if roots.in_region is None else round(roots.in_region * roots.asked)
    leaves = [r.region.leaves.t for r in roots if r.region is not None and r.region.leaves is not None]
    remainders = [
        r.region.remainder for r in roots if r.region is not None and r.region.remainder is not None
    ]
    return {
        "node": step.node.name,
        "rule": roots.rule,
        "active": roots.active,
        "sampled": roots.asked,
        "without_root": len(roots.without),
        "bias_of_sign_of_z": roots.opposed,
        "in_domain": inside,
        "in_domain_interval": interval(inside, roots.asked, roots.active),
        "in_region": region,
        "in_region_interval": None if region is None else interval(region, roots.asked, roots.active),
        "median_t_of_leaving": middle(leaves),
        "median_taylor_remainder": middle(remainders),
    }


def _domain(rows: list[dict[str, Any]], details: dict[str, Any]) -> Finding:
    count, of = _sum(rows, "in_domain"), _sum(rows, "sampled")
    value, (low, high) = count / of, interval(count, of)
    counted = f"{percent(value)} of {of} sampled neurons (95 % interval {percent(low)} to {percent(high)})"
    if value < LIMIT:
        sentence = f"Only {counted} have a root inside the domain of their input"
        sentence += ": for the others the rule has no ground."
    else:
        sentence = f"The roots of {counted} lie in the domain of their input."
    return Finding("roots_domain", value, LIMIT, "below", sentence + _left_out(details), details)


def _region(rows: list[dict[str, Any]], details: dict[str, Any]) -> Finding:
    if any(row["in_region"] is None for row in rows):
        left = middle([row["median_taylor_remainder"] or np.nan for row in rows])
        sentence = "The model is smooth, at least in part, so it has no linear regions"
        sentence += (
            f"; the Taylor remainder at the roots is {left:.2g} of f (median)." if left is not None else "."
        )
        return Finding("roots_region", None, LIMIT, "below", sentence + _left_out(details), details)
    count, of = _sum(rows, "in_region"), _sum(rows, "sampled")
    value, (low, high) = count / of, interval(count, of)
    counted = f"{percent(value)} of {of} sampled neurons (95 % interval {percent(low)} to {percent(high)})"
    if value < LIMIT:
        sentence = (
            f"Only {counted} have a root in the linear region of the network around this input: as a Taylor "
            "decomposition this heatmap does not hold."
        )
    else:
        praise = "" if _left_out(details) else ", as the theory asks"
        sentence = f"The roots of {counted} lie in the linear region around the input{praise}."
    return Finding("roots_region", value, LIMIT, "below", sentence + _left_out(details), details)


def _left_out(details: dict[str, Any]) -> str:
    """What the numbers say nothing about: cells and loops, and layers that could not be looked at, with a reason."""
    skipped: dict[str, str] = details["skipped"]
    closed: str = details["closed"]
    if not skipped:
        return closed
    name, why = next(iter(skipped.items()))
    count = f"{len(skipped)} of {len(skipped) + len(details['layers'])} layers"
    return f" Nothing is known of {count}, such as '{name}': {why.splitlines()[0].rstrip('.')}.{closed}"


def _sum(rows: list[dict[str, Any]], key: str) -> int:
    return sum(row[key] for row in rows)


def _none(sentence: str) -> list[Finding]:
    return [Finding(name, None, LIMIT, "below", sentence) for name in ("roots_domain", "roots_region")]
