"""Parameter randomisation: what of the model is the heatmap about?

Weights are drawn anew from a normal distribution with each tensor's own mean and standard deviation, on a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.audit.finding import Finding, likeness, middle, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import compare
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.registry import audit
from onnxdtd.types import Array

LIMIT = 0.9
UPPER = 0.25
"""The share of layers, from the output, that an explanation must not survive being drawn anew."""
HALF = 0.5
LEVELS = 20
"""Of more layers, so many depths are tried, evenly spread."""
NAME = 256
"""Bytes of a layer's name, the last ones, by which it is drawn."""
SOURCE = "Adebayo et al. 2018; the limits are onnxdtd's"
MEASURES = ("cosine", "spearman", "ssim")


@audit("cascading_randomisation", cost="full", source=SOURCE)
def cascading(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Similarity with the heatmaps of copies whose layers are random from the output down to some depth."""
    layers = probe.weighted
    if why := _nothing(probe):
        return Finding("cascading_randomisation", None, LIMIT, "above", why)
    upper = max(1, math.ceil(UPPER * len(layers)))
    counts = sorted({upper, *(i + 1 for i in _levels(len(layers)))})
    details = _measure(probe, [range(count) for count in counts])
    stages = {"depths": [i - 1 for i in counts], "layers": [layers[i - 1].node.name for i in counts]}
    details = {**stages, "of": len(layers), **details}
    value = details["cosine"][counts.index(upper)]
    if value > LIMIT:
        survived = max(n for n, c in zip(counts, details["cosine"], strict=True) if c > LIMIT)
        sentence = (
            f"With the upper {upper} of {len(layers)} layers random the heatmap is still {likeness(value)} similar"
            + (f", with {survived} random still above {LIMIT}" if survived > upper else "")
            + ": it does not show what those layers have learnt."
        )
    else:
        sentence = (
            f"With the upper {upper} of {len(layers)} layers random the heatmap changes (cosine {likeness(value)}): "
            "it depends on what they have learnt."
        )
    return Finding("cascading_randomisation", value, LIMIT, "above", sentence, details)


@audit("independent_randomisation", cost="full", source=SOURCE)
def independent(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """The share of layers that can be random, one at a time, while the heatmap stays above 0.9 similar."""
    layers = probe.weighted
    if why := _nothing(probe):
        return Finding("independent_randomisation", None, HALF, "above", why)
    levels = _levels(len(layers))
    details = _measure(probe, [[i] for i in levels])
    details = {
        "depths": levels,
        "layers": [layers[i].node.name for i in levels],
        "of": len(layers),
        **details,
    }
    deaf = sum(c > LIMIT for c in details["cosine"])
    value = deaf / len(levels)
    if value > HALF:
        sentence = (
            f"{deaf} of {len(levels)} layers can each be made random and the heatmap stays above {LIMIT} similar: it "
            f"does not depend on what {percent(value)} of the layers have learnt."
        )
    else:
        sentence = (
            f"Making one layer random changes the heatmap for {len(levels) - deaf} of {len(levels)} layers: it "
            "depends on what they have learnt."
        )
    return Finding("independent_randomisation", value, HALF, "above", sentence, details)


def redrawn(probe: Probe, step: Step, draw: int) -> dict[str, Array]:
    """The layer's constants, drawn anew; the same for the same draw."""
    graph = probe.plan.graph
    rng = np.random.default_rng((draw, *step.node.name.encode()[-NAME:]))
    weights = {name: graph.constants[name] for name in step.node.inputs if name in graph.constants}
    return {
        name: rng.normal(w.mean(), w.std(), w.shape).astype(w.dtype)
        for name, w in weights.items()
        if w.dtype.kind == "f"
    }


def _measure(probe: Probe, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Medians over samples and draws for each group of layers; a heatmap of zeros has nothing in common."""
    draws = max(1, min(3, LEVELS // len(groups)))
    medians: dict[str, list[float | None]] = {name: [] for name in MEASURES}
    for i, group in enumerate(groups):
        seen: dict[str, list[Array]] = {name: [] for name in MEASURES}
        for draw in range(draws):
            probe.tick(i * draws + draw, draws * len(groups))
            constants: dict[str, Array] = {}
            for k in group:
                constants |= redrawn(probe, probe.weighted[k], draw)
            alike = compare(probe.original, probe.on(constants).original, probe.samples)
            for name, values in alike.items():
                if values is not None:
                    seen[name].append(np.nan_to_num(values))
        for name in MEASURES:
            medians[name].append(middle(seen[name]))
    return {"draws": draws, **medians}


def _levels(count: int) -> list[int]:
    spread = np.linspace(0, count - 1, min(count, LEVELS)).round().astype(int)
    return [int(i) for i in np.unique(spread)]


def _nothing(probe: Probe) -> str:
    """Why there is nothing to compare, if so."""
    if not probe.weighted:
        return "The model has no layer whose weights could be drawn anew."
    return (
        ""
        if any(r.any() for r in probe.original.values())
        else "The heatmap is all zero, so its likeness to others is not defined."
    )
