"""Does the heatmap of another class look the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    if not _has_rival(probe):
        return _against(explanation, probe, None, {})
    rival = seeds.rival(probe)
    more = {"runner-up": seeds.runner_up(probe)} if seeds.classes(probe) > 2 else {}
    classes = {"far": rival[0], **more}
    walked = probe.relevances([_seed(probe, which) for which in classes.values()])
    others = {name: (classes[name], r) for name, r in zip(classes, walked, strict=True)}
    return _against(explanation, probe, rival, others)


def against_far_class(explanations: Sequence[Explanation], probes: Sequence[Probe]) -> list[Finding]:
    """The same with the far class alone, for explanations of one input: one walk for all."""
    rivals = [seeds.rival(probe) if _has_rival(probe) else None for probe in probes]
    asked = [_seed(p, rival[0]) for p, rival in zip(probes, rivals, strict=True) if rival is not None]
    walked = iter(probes[0].relevances(asked) if asked else ())
    made = [{} if rival is None else {"far": (rival[0], next(walked))} for rival in rivals]
    return [_against(*each) for each in zip(explanations, probes, rivals, made, strict=True)]


def _has_rival(probe: Probe) -> bool:
    return seeds.classes(probe) > 1 and not seeds.one_margin(probe)


def _against(
    explanation: Explanation,
    probe: Probe,
    rival: tuple[Array, str] | None,
    others: Mapping[str, tuple[Array, Mapping[str, Array]]],
) -> Finding:
    """A class of the same kind may rightly have the same heatmap; one that has nothing to do with it may not. others:
    the classes to compare with, and their heatmaps."""
    if rival is None:
        alone = seeds.classes(probe) < 2
        return Finding("class_similarity", None, LIMIT, "above", ALONE if alone else OPPOSITE)
    chosen, details = rival[1], {}
    for name, (index, relevance) in others.items():
        alike = compare(probe.original, relevance, probe.samples)
        details[name] = {**_medians(alike), "class": _named(explanation, index, probe)}
    details["far"]["by"] = chosen
    value, far = details["far"]["cosine"], details["far"]["class"]
    whom = f"{far}, which was asked for" if chosen == "asked" else f"{far}, a far one"
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
