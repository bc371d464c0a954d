"""Does the heatmap of another class look the same?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxdtd.audit import seeds
from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import compare
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array

# An angle of 26 degrees: four fifths of one heatmap's squared length lie along the other.
LIMIT = 0.9
ALONE = "The output has one element: there is no other class whose heatmap could be the same."
OPPOSITE = (
    "The two classes share one margin, their logits are opposite: what speaks for one speaks against the other, so "
    "there is no other heatmap to compare with."
)


@audit(
    "class_similarity", cost="quick",
    source="Sixt, Granz and Landgraf 2020; Nie et al. 2018; the limit 0.9 and the far class are onnxdtd's",
)  # fmt: skip
def class_similarity(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Similarity of the target's heatmap with that of a far class; that of the runner-up is reported beside."""
    more = {"runner-up": seeds.runner_up(probe)} if seeds.classes(probe) > 2 else {}
    return _against(explanation, probe, more)


def against_far_class(explanation: Explanation, probe: Probe) -> Finding:
    """The same with the far class alone: one walk less."""
    return _against(explanation, probe, {})


def _against(explanation: Explanation, probe: Probe, more: Mapping[str, Array]) -> Finding:
    """A class of the same kind may rightly have the same heatmap; one that has nothing to do with it may not."""
    alone = seeds.classes(probe) < 2
    if alone or seeds.one_margin(probe):
        return Finding("class_similarity", None, LIMIT, "above", ALONE if alone else OPPOSITE)
    which, chosen = seeds.rival(probe)
    details = {}
    for name, index in {"far": which, **more}.items():
        alike = compare(probe.original, probe.relevance(_seed(probe, index)), probe.samples)
        details[name] = {**_medians(alike), "class": _named(explanation, index, probe)}
    details["far"]["by"] = chosen
    value, rival = details["far"]["cosine"], details["far"]["class"]
    whom = f"{rival}, which was asked for" if chosen == "asked" else f"{rival}, a far one"
    if value is None:
        sentence = "One of the heatmaps to compare is all zero, so their likeness is not defined."
    elif value > LIMIT:
        hidden = (
            "it shows what the lower layers see" if len(probe.layers) > 1 else "it shows what the input has"
        )
        sentence = f"This heatmap is {likeness(value)} similar for {whom}: {hidden}, not why *this* class."
    else:
        differs = f"The heatmap of {whom}, differs (cosine {likeness(value)})"
        sentence = f"{differs}: this one depends on the class it explains."
    return Finding("class_similarity", value, LIMIT, "above", sentence, details)


def _seed(probe: Probe, which: Array) -> Array:
    """One unit at the class, with the sign that its logit has beside the explained one: what speaks for one class and
    against the other is no likeness. Rules that give nothing negative know no such difference."""
    seed = seeds.class_seed(probe, which)
    if probe.plan.seed != "value" or all("nonnegative" in step.rule.claims for step in probe.plan.steps):
        return seed
    axis = probe.class_axis
    sides = [np.sign((mask * probe.logits).sum(axis=axis, keepdims=True)) for mask in (seed, probe.mask)]
    return np.asarray(seed * sides[0] * sides[1])


def _medians(alike: Mapping[str, Array | None]) -> dict[str, Any]:
    return {name: None if array is None else middle(array) for name, array in alike.items()}


def _named(explanation: Explanation, which: Array, probe: Probe) -> str:
    """The class of the first explained position, as people call it."""
    index = list(map(int, _first(seeds.class_seed(probe, which))))
    name = explanation.class_name(tuple(i for axis, i in enumerate(index) if axis != explanation.batch_axis))
    number = index[probe.class_axis or 0] - probe.first_class if probe.class_axis is not None else 0
    return f"class {number}" + (f" '{name}'" if name else "")


def _first(mask: Array) -> Any:
    return next(zip(*mask.nonzero(), strict=True))
