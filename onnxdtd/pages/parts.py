"""What gets the relevance of a job's rows: columns, channels, regions and positions, class by class; swarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.lessons.classes import class_of
from onnxdtd.lessons.parts import CELLS, CHANNEL, FEATURE, POSITION, REGION
from onnxdtd.lessons.summing import Sums
from onnxdtd.pages.curves import Line, curves, legend
from onnxdtd.pages.gallery import barred, gallery, pictured
from onnxdtd.pages.swarms import swarms
from onnxdtd.render.contact import Thumb
from onnxdtd.render.regions import AMOUNTS
from onnxdtd.report.document import Section
from onnxdtd.report.markup import Markup, tag

ROWS = 2000
"""That are read."""
SWARM = 300
CLASSES, INPUTS, DRAWINGS = 8, 4, 12
LONG = 40
"""Nameless numbers in a row that are drawn as a line, not as bars."""
_CELL = 24


def shares(results: Results, classes: Sequence[str], features: Sequence[str] | None) -> Iterator[Section]:
    """classes: those with the most rows first, of which some are shown. Nothing where no relevance is stored."""
    columns = [n for n in results.columns if n.startswith("relevance.") and not n.endswith(".shape")]
    if not columns or not len(results):
        return
    shown = classes[:CLASSES]
    sums, rows, points = Sums(), Counter[str](), list[Any]()
    every = max(1, min(ROWS, len(results)) // SWARM)
    for at, row in enumerate(
        results.spread(ROWS, ["label", "prediction", "target", "target_name", *columns])
    ):
        if (name := class_of(row)) in shown:
            rows[name] += 1
            sums.add(name, row["relevance"], {})
        if at % every == 0 and all(r.ndim <= 1 for r in row["relevance"].values()):
            points.append(np.concatenate([r.reshape(-1) for r in row["relevance"].values()]))
    pieces = [*pictures([*sums.parts(rows, list(features) if features else None)], shown, bool(features))]
    if len(classes) > len(shown):
        words = f"The {len(shown)} classes with the most rows are shown, of {len(classes):,}."
        pieces.append(tag("p", words, class_="faint"))
    read, left = min(ROWS, len(results)), sums.left_out
    words = "Mean share of |relevance| that each part of the input gets"
    words += f", over {read:,} of {len(results):,} rows, evenly spread." if read < len(results) else "."
    words += f" {left} rows are left out, whose relevance is not finite." if left else ""
    yield Section("shares", "What gets the relevance", [tag("p", words), *pieces], "relevance")
    if drawn := swarms(points, features):
        yield Section("swarms", "Row by row", [drawn], "row by row")


def pictures(parts: Sequence[Mapping[str, Any]], classes: Sequence[str], named: bool) -> Iterator[Markup]:
    """For each input and kind of part a drawing of these classes. named: whether features have names."""
    inputs = [*dict.fromkeys(part["input"] for part in parts)]
    groups: dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]] = {}
    for part in parts:
        if part["class"] in classes and part["input"] in inputs[:INPUTS]:
            groups.setdefault((part["input"], part["kind"]), {}).setdefault(part["class"], []).append(part)
    for (name, kind), own in [*groups.items()][:DRAWINGS]:
        if kind != CHANNEL or max(map(len, own.values())) > 1:
            yield tag("h3", f"{kind}s of {name}" if len(inputs) > 1 else f"{kind}s")
            yield from _drawn(kind, own, named)


def _drawn(kind: str, classes: Mapping[str, Sequence[Mapping[str, Any]]], named: bool) -> Iterator[Markup]:
    sizes = {name: np.array([part["share"] for part in of], np.float64) for name, of in classes.items()}
    if kind == REGION:
        largest = max(float(s.max(initial=0.0)) for s in sizes.values()) or 1.0
        squares = {name: AMOUNTS(s.reshape(CELLS, CELLS) / largest) for name, s in sizes.items()}
        yield gallery([pictured(Thumb((f"class {n}",), (_squares(s),))) for n, s in squares.items()])
        yield tag("p", f"Black is {100 * largest:.3g} % of a row's |relevance|, white none.", class_="legend")
    elif kind == POSITION or (kind == FEATURE and not named and max(map(len, classes.values())) > LONG):
        lines = [Line(name, range(s.size), s.tolist(), i) for i, (name, s) in enumerate(sizes.items())]
        yield tag("figure", curves(lines, "position"))
        yield legend({f"class {name}": i for i, name in enumerate(sizes)})
    else:
        names = {name: [str(part["part"]) for part in of] for name, of in classes.items()}
        yield gallery([barred((f"class {n}",), own, sizes[n], False) for n, own in names.items()])


def _squares(colours: Any) -> Any:
    """RGB in 0..1 as a picture of squares."""
    pixels = np.rint(255 * np.asarray(colours)).astype(np.uint8)
    return pixels.repeat(_CELL, axis=0).repeat(_CELL, axis=1)
