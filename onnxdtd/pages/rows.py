"""Some of a job's rows, at equal distances: their pictures, or what of them is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.datasets.task import spelled
from onnxdtd.datasets.work import OVERLAYS
from onnxdtd.inputs.image import open_image
from onnxdtd.pages.gallery import barred, gallery, pictured
from onnxdtd.render.contact import SIDE, Thumb
from onnxdtd.render.contact import cell as thumb_of
from onnxdtd.report.document import Section
from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.report.tables import table

PICTURES, LINES = 24, 20
WIDE = 800
"""Pixels of a row's own picture, which holds the input beside its map."""
NARROW = 48
"""Columns of a row that are drawn as bars; longer ones are told in the table only."""
HEAD = ("row", "label", "prediction", "explained", "value", "fired")
READ = ("id", "label", "prediction_name", "target_name", "target_value", "findings")


def some(results: Results, features: Sequence[str] | None) -> Iterator[Section]:
    """A gallery where rows have pictures, and a table."""
    if not len(results):
        return
    tensors = [n for n in results.columns if n.startswith("relevance.") and not n.endswith(".shape")][:1]
    rows = results.spread(PICTURES, [*READ, *tensors])
    cells = [cell for row in rows if (cell := _cell(results.folder, row, features))]
    lines = [_line(row) for row in results.spread(LINES, READ)]
    filled = [i for i in range(len(HEAD)) if any(line[i] not in (None, "") for line in lines)]
    columns = table([HEAD[i] for i in filled], [[line[i] for i in filled] for line in lines], len(lines))
    drawn = [gallery(cells, "wide" if (results.folder / OVERLAYS).is_dir() else "")] if cells else []
    most = max(len(cells), len(lines))
    words = f"{most} of {len(results):,} rows, evenly spread." if most < len(results) else "All of them."
    yield Section("rows", "Some rows", [tag("p", words), *drawn, columns], "rows")


def _cell(folder: Path, row: Mapping[str, Any], features: Sequence[str] | None) -> Markup | None:
    lines: tuple[str, ...] = (str(row["id"]), f"{row['target_name']}, {amount(row['target_value'])}")
    lines += (f"fired: {', '.join(row['findings'])}",) if row["findings"] else ()
    path = folder / OVERLAYS / f"{spelled(str(row['id']))}.png"
    if path.is_file():
        picture = open_image(path)
        picture.thumbnail((WIDE, SIDE))
        return pictured(Thumb(lines, (np.asarray(picture),)))
    relevance = next(iter(row.get("relevance", {}).values()), None)
    if relevance is None or not relevance.size or not np.isfinite(relevance).all():
        return None
    if (thumb := thumb_of(lines, relevance) if relevance.ndim else None) is not None:
        return pictured(thumb)
    if relevance.size > NARROW or not relevance.any():
        return None
    named = features is not None and len(features) == relevance.size
    names = list(features or ()) if named else [f"[{i}]" for i in range(relevance.size)]
    return barred(lines, names, relevance)


def _line(row: Mapping[str, Any]) -> list[object]:
    fired = ", ".join(row["findings"])
    label = None if row["label"] is None else str(row["label"])
    return [row["id"], label, row["prediction_name"], row["target_name"], row["target_value"], fired]
