"""The page of a comparison of methods: maps side by side, how alike they are, what each costs and keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxdtd.comparison import Comparison
from onnxdtd.pages import alike
from onnxdtd.pages.gallery import MOST, gallery
from onnxdtd.pages.made import called, settings
from onnxdtd.pages.maps import mapped, seen
from onnxdtd.report.document import Page, Section
from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.report.tables import lines, pairs, rest, table

HEAD = ("method", "forward passes", "time", "started", "arrived", "share")


def page(folder: Path) -> Page:
    """Of a comparison's folder. Raises InputError."""
    return page_of(Comparison.load(folder))


def page_of(c: Comparison, picture: Any = None) -> Page:
    """Of a comparison. picture: what the first input was before it was prepared, (H, W, 3) uint8, where it is one."""
    cells = MOST // max(len(c.methods) + 1, 1) or 1
    shown = c.targets[: min(cells, MOST)]
    about = [
        ("forward pass", f"{1000 * c.forward.seconds:.3g} ms, median of {c.forward.repeats}"),
        ("covered parts", c.covers),
        ("sample", str(c.sample)),
        ("engine", c.engine),
    ]
    return Page(
        f"{len(c.methods)} methods",
        f"{called(c.model)} · compare",
        f"{len(c.methods)} methods side by side",
        [
            *(part for number, _ in enumerate(shown) for part in _of_target(c, number, picture)),
            *_aside(c),
            settings(c.model, c.versions, about),
        ],
        f"The first {len(shown)} of {len(c.targets)} targets are shown."
        if len(c.targets) > len(shown)
        else "",
    )


def _of_target(c: Comparison, number: int, picture: Any) -> Iterator[Section]:
    target, several = c.targets[number], len(c.targets) > 1
    yield Section(
        f"maps-{number}", f"What speaks for {target}, {amount(c.values[number])}", _maps(c, number, picture),
        target if several else "maps",
    )  # fmt: skip
    pieces = alike.tables(c.methods, c.similarity[number])
    yield Section(f"alike-{number}", "How alike they are", pieces, "" if several else "alike")
    rows = ([*_row(c, number, m)] for m in c.methods)
    words = "Times are those of the first target, in forward passes of the model. A share is told of methods that "
    words += "mean to hand all that starts at the target to the inputs."
    costs = [table(HEAD, rows, len(c.methods)), tag("p", words, class_="faint")]
    yield Section(f"costs-{number}", "What each costs and keeps", costs, "" if several else "costs")


def _maps(c: Comparison, number: int, picture: Any) -> list[Markup]:
    cosine = c.similarity[number].get("cosine")
    lead = "" if cosine is None else alike.extremes(c.methods, cosine)
    name, x = next(iter(c.inputs.items()))
    own = seen(("the input", name), x, picture)
    methods = c.methods[: MOST - 1]
    cells = [] if own is None else [own]
    for method in methods:
        cell = c.cells.get((number, method))
        relevance = None if cell is None else cell.relevance.get(name)
        words = f"{c.multiple(method):,.1f} forward passes"
        cells.append(mapped((method, words), relevance, x, c.features, picture))
    scale = "Each map has a scale of its own: compare places and signs (red for, blue against), not depths of colour."
    more = rest(len(methods), len(c.methods), "methods")
    return [
        *([tag("p", lead, class_="lead")] if lead else []),
        gallery(cells),
        more,
        tag("p", scale, class_="legend"),
    ]


def _row(c: Comparison, number: int, method: str) -> Iterator[object]:
    yield method
    yield c.multiple(method)
    yield f"{1000 * c.timings[method].seconds:.3g} ms"
    cell = c.cells.get((number, method))
    yield from (None, None, None) if cell is None else (cell.started, cell.arrived)
    if cell is not None:
        yield None if cell.share is None else f"{cell.share:.1%}"


def _aside(c: Comparison) -> Iterator[Section]:
    """What is not shown, and warnings."""
    warned = {f"{m}: {text}": None for (_, m), cell in c.cells.items() for text in cell.warnings}
    rows = [
        ("the same", lines([f"{method}: as {other}" for method, other in c.equal.items()])),
        ("left out", lines([f"{method}: {why}" for method, why in c.refused.items()])),
        ("warnings", lines([*warned])),
    ]
    if any(value for _, value in rows):
        yield Section("aside", "What is not shown, and warnings", [pairs(rows)], "left out")
