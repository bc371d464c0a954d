"""The graph as SVG: boxes in layers, edges as wide as |relevance|, losses as arrows to the side.

Every box that stands for several has a drawing of its own, which the page's script shows when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from onnxdtd.printing import printable, shortened
from onnxdtd.report.flow import Box, Flow
from onnxdtd.report.fold import folded
from onnxdtd.report.layers import HEIGHT, WIDTH, laid_out
from onnxdtd.report.markup import LONGEST, Markup, amount, data, sign, tag

WIDEST = 16.0
"""Of the line of the largest |relevance|."""
VISIBLE = 0.005
"""Of the largest |relevance|: a smaller loss has no arrow."""
_LETTERS, _ARROW = 19, 30


def graph(flow: Flow) -> Markup:
    """All drawings, of which the first is shown, and what the script tells of a box."""
    views: list[tuple[Box | None, Flow, int]] = []
    numbers: dict[str, int] = {}
    _collect(None, folded(flow), 0, views, numbers)
    drawings = [
        tag("div", _drawing(own, flow.largest, numbers), class_="view", data_view=i, data_above=above,
            data_title=shortened(printable(box.label), 60) if box else "whole graph",
            hidden="hidden" if i else None)
        for i, (box, own, above) in enumerate(views)
    ]  # fmt: skip
    boxes = {box.key: _facts(box) for _, own, _ in views for box in own.boxes}
    tools = [
        tag("button", word, type="button", data_zoom=zoom, aria_label=label)
        for word, zoom, label in (
            ("−", "out", "smaller"),
            ("+", "in", "larger"),
            ("fit", "fit", "fit the width"),
        )
    ]
    bar = tag(
        "div", tag("nav", class_="crumbs"), tag("div", *tools, class_="zoom"), class_="tools", hidden="hidden"
    )
    details = tag("div", class_="details", aria_live="polite")
    return tag(
        "div",
        bar,
        tag("div", *drawings, class_="views"),
        details,
        data(boxes, class_="boxes"),
        class_="graph",
    )


def _collect(box: Box | None, flow: Flow, above: int, views: list[Any], numbers: dict[str, int]) -> None:
    number = len(views)
    views.append((box, flow, above))
    for inner in flow.boxes:
        if inner.inside is not None:
            numbers[inner.key] = len(views)
            _collect(inner, inner.inside, number, views, numbers)


def _drawing(flow: Flow, largest: float, views: dict[str, int]) -> Markup:
    places = laid_out(flow)
    edges = sorted(flow.edges, key=lambda edge: abs(edge[2]))
    lines = [_edge(places.paths[a, b], r, largest) for a, b, r in edges]
    boxes = [_box(box, *places.centres[box.key], views.get(box.key)) for box in flow.boxes]
    losses = [
        _loss(box.loss, *places.centres[box.key], largest)
        for box in flow.boxes
        if abs(box.loss) > VISIBLE * largest
    ]
    width, height = round(places.width + 2 * _ARROW + 24), round(places.height)
    return tag(
        "svg", *lines, *losses, *boxes, viewBox=f"{-_ARROW} 0 {width} {height}", width=width, height=height,
        class_="flow", role="group", aria_label="graph with the relevance that flows through it",
    )  # fmt: skip


def _edge(points: Sequence[tuple[float, float]], r: float, largest: float) -> Markup:
    (x, y), *_ = points
    ends = [(x, y + HEIGHT / 2), *points[1:-1], (points[-1][0], points[-1][1] - HEIGHT / 2)]
    path = f"M{ends[0][0]:.1f} {ends[0][1]:.1f}"
    for (a, b), (c, d) in pairwise(ends):
        middle = (b + d) / 2
        path += f"C{a:.1f} {middle:.1f} {c:.1f} {middle:.1f} {c:.1f} {d:.1f}"
    wide = round(max(1.0, WIDEST * abs(r) / largest), 2)
    return tag("path", tag("title", amount(r)), d=path, stroke_width=wide, class_=f"edge {sign(r)}")


def _loss(size: float, x: float, y: float, largest: float) -> Markup:
    """An arrow to the right, as wide as what was lost."""
    wide = round(max(1.5, WIDEST * abs(size) / largest), 2)
    start, tip, half = x + WIDTH / 2, x + WIDTH / 2 + _ARROW, max(4.0, wide * 0.9)
    shaft = tag("line", x1=start, x2=tip - half, y1=y, y2=y, stroke_width=wide, class_="shaft")
    head = tag(
        "path", d=f"M{tip - half:.1f} {y - half:.1f}L{tip:.1f} {y:.1f}L{tip - half:.1f} {y + half:.1f}Z"
    )
    return tag("g", tag("title", f"lost {amount(size)}"), shaft, head, class_="loss")


def _box(box: Box, x: float, y: float, view: int | None) -> Markup:
    left, top = round(x - WIDTH / 2, 1), round(y - HEIGHT / 2, 1)
    shape = tag("rect", x=left, y=top, width=WIDTH, height=HEIGHT, rx=8)
    back = tag("rect", x=left + 4, y=top + 4, width=WIDTH, height=HEIGHT, rx=8) if view is not None else None
    label = tag(
        "text", shortened(printable(box.label), _LETTERS), x=round(x, 1), y=round(y - 8, 1), class_="label"
    )
    words = tag("text", shortened(printable(box.words), _LETTERS + 8), x=round(x, 1), y=round(y + 11, 1),
                class_="words")  # fmt: skip
    return tag(
        "g", tag("title", printable(box.nodes[0].name) if len(box.nodes) == 1 else box.label), back, shape, label,
        words, class_=f"box {box.kind}", tabindex=0, role="button", data_box=box.key, data_open=view,
    )  # fmt: skip


def _facts(box: Box) -> dict[str, Any]:
    """What is told of a box on a click."""
    title = box.label if box.kind != "node" else box.nodes[0].name
    rows = [("operator", box.label), ("rule", box.words)] if box.kind == "node" else [("", box.words)]
    if box.kind != "target":
        rows.append(("relevance that arrived", amount(box.arrived)))
    if box.kind != "input":
        rows.append(("handed on", amount(box.left)))
    rows += [(f"lost: {cause}", amount(size)) for cause, size in box.lost.items() if size]
    if box.kind == "node":
        node = box.nodes[0]
        rows.append(("not accounted for", amount(node.error)))
        rows += [(f"to {value}", amount(r)) for value, r in node.handed.items() if len(node.handed) > 1]
    fit = [[shortened(printable(word), LONGEST) for word in row] for row in rows]
    return {"title": shortened(printable(title), LONGEST), "rows": fit}
