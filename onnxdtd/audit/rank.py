"""The rank of the propagation: in how many independent directions can relevance arrive at a layer?"""

from __future__ import annotations

import math

import numpy as np

from onnxdtd.audit import seeds
from onnxdtd.audit.finding import Finding, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array

ALIKE = 0.9
"""The threshold is the ratio of seeds whose relevances all have this cosine with one another."""


@audit(
    "rank", cost="full",
    source="Sixt, Granz and Landgraf 2020: products of non-negative matrices tend to rank 1; the "
    "threshold, all pairs at a cosine of 0.9, is onnxdtd's",
)  # fmt: skip
def rank(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """sigma_1 / sum sigma of the propagation matrix, rows scaled to length 1, from single seeds to every layer."""
    start = seeds.wide_start(probe)
    if start is None:
        sentence = "There is no layer wide enough to start from, so the rank of the propagation says nothing."
        return Finding("rank", None, ratio_of(ALIKE, seeds.CLASSES), "above", sentence)
    if start.target == plan.target:
        cosines = seeds.class_cosines(probe)
    else:
        chosen = seeds.units(probe, start, seeds.CLASSES, np.random.default_rng(0))
        cosines = probe.cosines(chosen, start)
    ratios = {layer: middle([_ratio(gram) for gram in grams]) for layer, grams in cosines.items()}
    count = max(_alive(gram) for gram in cosines["input"])
    value, limit = ratios["input"], ratio_of(ALIKE, max(count, 2))
    details = {"from": start.target, "seeds": count, "layers": list(ratios), "ratio": list(ratios.values())}
    if value is None:
        sentence = "Fewer than two seeds reach the input, so the rank of the propagation says nothing."
    elif value > limit:
        sentence = (
            f"What {count} seeds leave at the input lies along one direction, more so than heatmaps {ALIKE} similar "
            f"would (sigma_1 / sum sigma {value:.2f}, not {limit:.2f}): the propagation is close to rank 1."
        )
    else:
        sentence = f"{count} seeds leave several directions at the input (sigma_1 / sum sigma = {value:.2f})."
    return Finding("rank", value, limit, "above", sentence + seeds.not_inside(plan), details)


def ratio_of(cosine: float, count: int) -> float:
    """sigma_1 / sum sigma of `count` unit vectors, each pair at this cosine."""
    first, rest = math.sqrt(1 + (count - 1) * cosine), math.sqrt(1 - cosine)
    return first / (first + (count - 1) * rest)


def _alive(gram: Array) -> int:
    return int((~np.isnan(gram.diagonal())).sum())


def _ratio(gram: Array) -> float:
    """From the cosines among the rows that are not zero; NaN for fewer than two."""
    there = ~np.isnan(gram.diagonal())
    if there.sum() < 2:
        return math.nan
    sigma = np.sqrt(np.maximum(np.linalg.eigvalsh(gram[np.ix_(there, there)]), 0))
    return float(sigma[-1] / sigma.sum())
