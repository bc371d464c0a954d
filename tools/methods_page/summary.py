"""What the page and its figures tell of an evaluation and of comparisons, as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from onnxdtd.audit.similarity import cosine, spearman
from onnxdtd.metrics import Evaluation
from onnxdtd.metrics.statistics import bootstrap
from tools.methods_page.asked import CONTROLS, removal
from tools.methods_page.data import Array, Inputs
from tools.methods_page.measure import NEIGHBOURS, STUDIES

MEASURES = ("cosine", "spearman", "top10")
CURVES = ("gradient", "dtd", "epsilon_plus", "composite", "integrated_gradients", "random")


def study(name: str, inputs: Inputs, found: Evaluation, refused: Mapping[str, str]) -> dict[str, Any]:
    """Means with intervals, and paired differences, over the groups of inputs, each group's mean counting once."""
    told = {
        "model": inputs.model, "inputs": len(inputs.x), "groups": int(inputs.groups.max()) + 1,
        "names": inputs.names, "settings": found.settled["settings"], "seed": found.settled["seed"],
        "options": STUDIES[name].options, "left_out": {**refused, **STUDIES[name].left_out},
        "notes": found.notes, "methods": found.methods, "scores": found.headlines,
        "better": {s: "higher" if found.higher_is_better(s) else "lower" for s in found.headlines},
    }  # fmt: skip
    columns = [found.scores.index(s) for s in found.headlines]
    values = {m: _grouped(found.values[m][:, columns], inputs) for m in found.methods}
    sign = np.array([1.0 if told["better"][s] == "higher" else -1.0 for s in found.headlines])
    means = np.array([np.nanmean(values[m], axis=0) for m in found.methods])
    judged = [i for i, m in enumerate(found.methods) if m not in CONTROLS]
    places = np.stack([_places(-sign[k] * means[judged, k]) for k in range(len(columns))], axis=1)
    faithful = [found.headlines.index(s) for s in removal(told)]

    def summaries(table: Array) -> dict[str, Any]:
        drawn = bootstrap(table, told["settings"]["resamples"], told["seed"])
        return {s: one.document() for s, one in zip(found.headlines, drawn, strict=True)}

    best = {s: found.methods[judged[int(places[:, k].argmin())]] for k, s in enumerate(found.headlines)}
    leaders = np.stack([values[best[s]][:, k] for k, s in enumerate(found.headlines)], axis=1)
    return told | {
        "best": best,
        "table": {m: summaries(values[m]) for m in found.methods},
        "from_best": {m: summaries(values[m] - leaders) for m in found.methods},
        "from_random": {m: summaries(values[m] - values["random"]) for m in found.methods},
        "place": {found.methods[i]: dict(zip(found.headlines, places[j].tolist(), strict=True))
                  for j, i in enumerate(judged)},
        "mean_place": {found.methods[i]: float(places[j, faithful].mean()) for j, i in enumerate(judged)},
        "agreement": [
            {"a": found.headlines[a], "b": found.headlines[b],
             "spearman": float(spearman(places[None, :, a], places[None, :, b])[0])}
            for a, b in combinations(range(len(columns)), 2)
        ],
        "curves": {
            name: {m: {k: np.round(v, 4).tolist() for k, v in vars(by[m]).items()} for m in CURVES}
            for name, by in found.curves.items()
        },
    }  # fmt: skip


def chance(inputs: Inputs, values: Array, resamples: int) -> dict[str, Any]:
    """The mean over seeds of a control's scores (seeds, N, scores), with its interval, by score's number."""
    drawn = bootstrap(_grouped(values.mean(axis=0), inputs), resamples, 0)
    return {"seeds": len(values), "regions": [one.document() for one in drawn]}


def picture(told: Mapping[str, Any], maps: Sequence[Mapping[str, Array]]) -> dict[str, Any]:
    """Of one photograph. speckle: the share of pixels side by side whose relevance has opposite signs. classes: the
    cosine between the maps of two targets."""
    flat = [{m: r.sum(axis=0, dtype=np.float64) for m, r in by.items()} for by in maps]
    speckle = {m: float((f[:, 1:] * f[:, :-1] < 0).mean()) for m, f in flat[0].items()}
    shared = [m for m in flat[0] if all(m in by for by in flat)]
    classes = {m: float(cosine(*(by[m].reshape(1, -1) for by in flat))[0]) for m in shared}
    asked = {m: told["targets"][0]["methods"][m]["extras"]["predictions"] for m in NEIGHBOURS}
    passes = {m: round(t["forward_passes"]) for m, t in told["timings"].items()}
    names = [t["target"] for t in told["targets"]]
    return {"targets": names, "passes": passes, "predictions": asked, "speckle": speckle, "classes": classes}


def likeness(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over inputs (each one's first target) of how alike the methods are. equal: methods that gave the same
    map throughout, by the one that stands for them."""
    methods = told[0]["methods"]
    equal = dict(set.intersection(*(set(t["equal"].items()) for t in told)))
    mean: dict[str, Any] = {}
    for measure in MEASURES:
        tables = np.array([t["targets"][0]["similarity"][measure] for t in told], np.float64)
        mean[measure] = np.round(np.nanmean(tables, axis=0), 4).tolist()
    return {"methods": methods, "equal": equal, "inputs": len(told), **mean}


def _grouped(values: Array, inputs: Inputs) -> Array:
    """(groups, scores): the mean over the views of one photograph; NaN where none was measured."""
    found = np.full((int(inputs.groups.max()) + 1, values.shape[1]), np.nan)
    for group in range(len(found)):
        part = values[inputs.groups == group]
        known = ~np.isnan(part)
        sums = np.where(known, part, 0).sum(axis=0)
        found[group] = np.divide(sums, known.sum(axis=0), out=found[group], where=known.any(axis=0))
    return found


def _places(cost: Array) -> Array:
    """1 for the least; equal ones share the mean of their places."""
    below = (cost[None, :] < cost[:, None]).sum(axis=1)
    equal = (cost[None, :] == cost[:, None]).sum(axis=1)
    return below + (equal + 1) / 2
