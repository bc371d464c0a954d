"""Does the heatmap of another class look the same?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxdtd.audit import seeds
from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.rerun import Rerun
from onnxdtd.audit.similarity import compare
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array

# An angle of 26 degrees: four fifths of one heatmap's squared length lie along the other.
LIMIT = 0.9


@audit(
    "class_similarity", cost="quick",
    source="Sixt, Granz and Landgraf 2020; Nie et al. 2018; the limit 0.9 is onnxdtd's",
)  # fmt: skip
def class_similarity(plan: Plan, explanation: Explanation, rerun: Rerun) -> Finding:
    """Similarity of the target's heatmap with those of the runner-up and of a random other class."""
    return _against(explanation, rerun, others=seeds.classes(rerun) > 2)


def against_runner_up(explanation: Explanation, rerun: Rerun) -> Finding:
    """The same with the runner-up alone: one walk less."""
    return _against(explanation, rerun, others=False)


def _against(explanation: Explanation, rerun: Rerun, others: bool) -> Finding:
    if seeds.classes(rerun) < 2:
        sentence = "The output has one element: there is no other class whose heatmap could be the same."
        return Finding("class_similarity", None, LIMIT, "above", sentence)
    picked = {"runner-up": seeds.runner_up(rerun)}
    if others:
        picked["random other"] = seeds.other_class(rerun, np.random.default_rng(0))
    details = {}
    for name, which in picked.items():
        found = compare(rerun.original, rerun.relevance(seeds.class_seed(rerun, which)), rerun.samples)
        details[name] = {**_medians(found), "class": _named(explanation, which, rerun)}
    value = details["runner-up"]["cosine"]
    rival = details["runner-up"]["class"]
    if value is None:
        sentence = "One of the heatmaps to compare is all zero, so their likeness is not defined."
    elif value > LIMIT:
        every = len(details) > 1 and min(d["cosine"] or 0.0 for d in details.values()) > LIMIT
        whom = "for every class asked" if every else f"for the runner-up, {rival}"
        sentence = (
            f"This heatmap is {likeness(value)} similar {whom}: it shows what the lower layers see, not why *this* "
            "class."
        )
    else:
        differs = f"The heatmap of the runner-up, {rival}, differs (cosine {likeness(value)})"
        sentence = f"{differs}: this one is about *this* class."
    return Finding("class_similarity", value, LIMIT, "above", sentence, details)


def _medians(found: Mapping[str, Array | None]) -> dict[str, Any]:
    return {name: None if array is None else middle(array) for name, array in found.items()}


def _named(explanation: Explanation, which: Array, rerun: Rerun) -> str:
    """The class of the first explained position, as people call it."""
    index = int(which[tuple(np.argwhere(rerun.mask.any(axis=-1))[0])])
    labels = explanation.labels
    return f"class {index}" + (f" '{labels[index]}'" if labels and index < len(labels) else "")
