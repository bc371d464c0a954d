"""A table's columns as swarms: a point for each row, to the right where it speaks for what was explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxdtd.printing import shortened
from onnxdtd.render.beeswarm import swarm
from onnxdtd.report.markup import Markup, amount, joined, sign, tag
from onnxdtd.types import Array

COLUMNS = 12
_WIDTH, _LABELS, _PITCH = 720, 200, 40  # in units of the drawing
_LETTERS = 26


def swarms(points: Sequence[Array], features: Sequence[str] | None) -> Markup | None:
    """points: relevance of one row each; None where they are no rows of one table."""
    rows = [row for row in points if np.isfinite(row).all()]
    if len(rows) < 2 or len({row.size for row in rows}) != 1 or not rows[0].size:
        return None
    table = np.stack(rows).astype(np.float64)
    count = table.shape[1]
    if features is None and count > 4 * COLUMNS:  # positions of a signal, or of a text
        return None
    named = features is not None and len(features) == count
    names = list(features or ()) if named else [f"[{i}]" for i in range(count)]
    order = np.argsort(-np.abs(table).mean(axis=0), kind="stable")[:COLUMNS]
    low, high = float(min(table[:, order].min(), 0.0)), float(max(table[:, order].max(), 0.0))
    scale = (_WIDTH - _LABELS - 16) / ((high - low) or 1.0)
    zero = round(_LABELS - low * scale, 1)
    height = _PITCH * len(order)
    parts = [tag("line", x1=zero, x2=zero, y1=0, y2=height, class_="zero")]
    for line, column in enumerate(order.tolist()):
        sizes, middle = table[:, column], _PITCH * (line + 0.5)
        name = tag("text", tag("title", names[column]), shortened(names[column], _LETTERS), x=_LABELS - 14, y=middle,
                   class_="name")  # fmt: skip
        ups = swarm(sizes / (max(-low, high) or 1.0)) * _PITCH
        parts += [
            name,
            *(_point(zero + size * scale, middle + up, size) for size, up in zip(sizes, ups, strict=True)),
        ]
    for end in (low, high):
        parts.append(tag("text", amount(end), x=round(zero + end * scale, 1), y=height + 12, class_="tick"))
    words = f"The relevance of each column in {len(rows)} rows, evenly spread; those with the most |relevance| first."
    more = tag("p", f"{COLUMNS} of {count} columns are shown.", class_="faint") if count > COLUMNS else None
    drawing = tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {height + 24}", class_="bars", role="img")
    return joined(tag("p", words), tag("figure", drawing), more)


def _point(x: float, y: float, size: float) -> Markup:
    return tag("circle", cx=round(float(x), 1), cy=round(float(y), 1), r=2, class_=f"grain {sign(size)}")
