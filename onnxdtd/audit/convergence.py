"""Cosine similarity convergence: does relevance forget, layer by layer, where it came from?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit import seeds
from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array

LIMIT = 0.9
RANDOM = 8
"""Random seeds, which make 28 pairs."""


@audit(
    "convergence", cost="full",
    source="Sixt, Granz and Landgraf 2020 (cosine similarity convergence); the limit 0.9 is onnxdtd's",
)  # fmt: skip
def convergence(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Median |cos| at every layer, of random seeds and of the classes, two by two."""
    start = seeds.wide_start(probe)
    if start is None:
        sentence = "There is no layer wide enough to start from, so nothing can be forgotten on the way."
        return Finding("convergence", None, LIMIT, "above", sentence)
    cosines = probe.cosines(seeds.mixtures(probe, start, RANDOM, np.random.default_rng(0)), start)
    random = {layer: middle(_pairs(array)) for layer, array in cosines.items()}
    classes = seeds.class_cosines(probe) if start.target == plan.target else {}
    details = {
        "from": start.target,
        "seeds": RANDOM,
        "layers": list(random),
        "random": list(random.values()),
        "classes": [middle(_pairs(array)) for array in classes.values()],
    }
    value = random["input"]
    if value is None:
        sentence = "No relevance of the random seeds reaches the input, so their likeness is not defined."
    elif value > LIMIT:
        sentence = (
            f"Whatever is explained, the heatmap is the same (median |cos| {likeness(value)} for random seeds): on "
            "its way down, relevance forgets what it explains."
        )
    else:
        sentence = (
            f"Different seeds still make different heatmaps at the input (median |cos| {likeness(value)})."
        )
    return Finding("convergence", value, LIMIT, "above", sentence + seeds.not_inside(plan), details)


def _pairs(cosines: Array) -> Array:
    """|cos| of every pair, each once."""
    first, second = np.triu_indices(cosines.shape[-1], 1)
    return np.abs(cosines[..., first, second])
