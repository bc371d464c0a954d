"""The numbers behind an audit's findings, layer by layer: curves over depth, and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from onnxdtd.audit.finding import Finding
from onnxdtd.hints import converted
from onnxdtd.pages.curves import Line, curves, legend
from onnxdtd.reading.shares import VISIBLE
from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.report.tables import table

Findings = Mapping[str, Finding]
LAYERS = 15
"""Of those at which most was lost."""
NAMED = 12
"""Up to so many layers are named."""
LIMIT = 0.9
"""Above it heatmaps are told to be the same."""
DEPTH = "layers, from the output to the input"
CASCADE, ALONE = "cascading_randomisation", "independent_randomisation"


def convergence(findings: Findings) -> list[Markup]:
    """How alike heatmaps of different seeds are, layer by layer."""
    if (finding := findings.get("convergence")) is None:
        return []
    d = finding.details
    kinds = {"random seeds": numbers(d["random"]), "classes": numbers(d["classes"])}
    shown = {name: ys for name, ys in kinds.items() if ys}
    lines = [Line(name, range(1, len(ys) + 1), ys, i) for i, (name, ys) in enumerate(shown.items())]
    words = (
        f"Median |cos| among heatmaps that began with different seeds; above {finding.threshold:g} it fires."
    )
    return _charted(lines, words, finding.threshold, _named(range(1, len(d["layers"]) + 1), d["layers"]))


def randomisation(findings: Findings) -> list[Markup]:
    """How alike the heatmap is with random weights."""
    lines, names = [], dict[float, str]()
    for i, (name, words) in enumerate(
        ((CASCADE, "all layers down to this one"), (ALONE, "this layer alone"))
    ):
        if (finding := findings.get(name)) is not None:
            d = finding.details
            lines.append(Line(words, numbers(d["depths"]), numbers(d["cosine"]), i))
            names |= zip(lines[-1].xs, d["layers"], strict=True)
    words = "Cosine with the heatmap of the trained model, where weights are drawn anew."
    named = _named(sorted(names), [names[depth] for depth in sorted(names)])
    return (
        _charted(lines, words, findings[CASCADE].threshold if CASCADE in findings else LIMIT, named)
        if lines
        else []
    )


def roots(findings: Findings) -> list[Markup]:
    """Of each layer, how many roots lie where the theory has them."""
    if (finding := findings.get("roots_domain") or findings.get("roots_region")) is None:
        return []
    layers = converted(finding.details["layers"], tuple[Mapping[str, Any], ...])
    names = ("node", "rule", "sampled", "without_root", "in_domain", "in_region")
    head = ("layer", "rule", "neurons", "without a root", "in the domain", "in the linear region")
    return [table(head, ([layer.get(name) for name in names] for layer in layers), len(layers))]


def books(findings: Findings) -> list[Markup]:
    """The nodes that hand on less or more than they got."""
    layers = findings["conservation"].details.get("layers") if "conservation" in findings else None
    if not layers:
        return []
    listed = converted(layers, tuple[Mapping[str, Any], ...])
    rows = [
        [
            *(layer.get(name) for name in ("node", "op", "rule", "arrived", "left")),
            _amounts(layer.get("lost")),
        ]
        for layer in listed
    ]
    return [
        tag(
            "p", "What arrived and did not leave was lost to a cause; what no cause accounts for is an error."
        ),
        table(("node", "op", "rule", "arrived", "left", "lost to"), rows, len(rows), LAYERS),
    ]


def numbers(values: Any) -> Sequence[float]:
    """A list of JSON as numbers; null is NaN. ValueError for anything else."""
    if values is None:
        return ()
    return [float("nan") if v is None else v for v in converted(values, tuple[float | None, ...])]


def _charted(lines: Sequence[Line], words: str, limit: float, named: str) -> list[Markup]:
    lowest = min([0.0, *(y for line in lines for y in line.ys if y == y)])
    low = math.floor(4 * lowest) / 4
    return [
        tag("p", words),
        tag("figure", curves(lines, DEPTH, (low, 1.0), limit), tag("figcaption", named)),
        legend({line.name: line.hue for line in lines}, [("limit", "threshold")]),
    ]


def _named(places: Sequence[float], names: Sequence[Any]) -> str:
    """Which layer is which, where they are few."""
    if len(names) > NAMED:
        return f"{names[0]} to {names[-1]}"
    return ", ".join(f"{place:g} {name}" for place, name in zip(places, names, strict=True))


def _amounts(lost: Any) -> str:
    """What was lost to each cause, those aside that are next to nothing."""
    sizes = {k: float(v) for k, v in lost.items()} if isinstance(lost, Mapping) else {}
    least = VISIBLE * max(map(abs, sizes.values()), default=0.0)
    return ", ".join(f"{cause} {amount(size)}" for cause, size in sizes.items() if abs(size) > least)
