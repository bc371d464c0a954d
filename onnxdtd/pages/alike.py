"""How alike heatmaps are, method by method: a table whose cells are coloured, and the extremes in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from onnxdtd.report.markup import Markup, tag
from onnxdtd.types import Array

WORDS = {"cosine": "cosine", "spearman": "rank correlation (Spearman)", "top10": "overlap of the top 10 %"}
LEVELS = 8
MOST, MEASURES = 30, 6
"""Methods of one table, and tables."""


def tables(names: Sequence[str], similarity: Mapping[str, Array]) -> list[Markup]:
    """One for each measure."""
    shown, pieces = names[:MOST], list[Markup]()
    for measure, matrix in [*similarity.items()][:MEASURES]:
        head = tag("tr", tag("th"), *(tag("th", str(i)) for i in range(1, len(shown) + 1)))
        rows = [
            tag("tr", tag("th", f"{i + 1} {name}"), *(_cell(float(v)) for v in matrix[i, : len(shown)]))
            for i, name in enumerate(shown)
        ]
        body = tag("table", tag("thead", head), tag("tbody", *rows), class_="alike")
        pieces += [tag("h3", WORDS.get(measure, measure)), tag("div", body, class_="scroll")]
    return pieces


def extremes(names: Sequence[str], matrix: Array) -> str:
    """The most and the least alike pair, in words; "" where there are no two."""
    pairs = [
        (float(matrix[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(i)
        if math.isfinite(matrix[i, j])
    ]
    if not pairs:
        return ""
    (high, *most), (low, *least) = max(pairs), min(pairs)
    words = f"{most[1]} and {most[0]} are alike with a cosine of {high:.2f}"
    if len(pairs) == 1:
        return f"{words}."
    return f"Of all pairs {words}, the most; {least[1]} and {least[0]} with {low:.2f}, the least."


def _cell(value: float) -> Markup:
    if not math.isfinite(value):
        return tag("td", "–", class_="number")
    level = round(LEVELS * min(abs(value), 1.0))
    tint = f" {'for' if value > 0 else 'against'}-{level}" if level else ""
    return tag("td", f"{value:.2f}".replace("-", "−"), class_=f"number{tint}")
