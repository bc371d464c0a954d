"""The pages of what a data set teaches (`summary -o`, `cluster`, `concepts`): pictures, and tables of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets.task import spelled as spelled_name
from onnxdtd.folder import read_manifest
from onnxdtd.hints import converted
from onnxdtd.inputs.image import open_image
from onnxdtd.lessons.parts import FEATURE
from onnxdtd.pages.made import spelled
from onnxdtd.pages.parts import CLASSES, pictures
from onnxdtd.report.document import Page, Section
from onnxdtd.report.markup import Markup, amount, small, tag, void
from onnxdtd.report.tables import lines, pairs, rest, table

Lines = tuple[Mapping[str, Any], ...]
PICTURES = 8
PIXELS = 4_000_000
"""Of all pictures on a page."""
WIDE = 1400


def summary(folder: Path) -> Page:
    """Of `onnxdtd summary -o`. Raises InputError."""
    document = read_manifest(folder, "onnxdtd.lesson/1")
    rows, parts = converted(document["rows"], Mapping[str, int]), converted(document["parts"], Lines)
    classes = sorted(rows, key=lambda name: -rows[name])[:CLASSES]
    named = any(not str(part["part"]).isdecimal() for part in parts if part["kind"] == FEATURE)
    words = "Mean share of |relevance| that each part of the input gets. parts.csv has all of them, and their sizes."
    fired = [[name, finding, f"{100 * float(share):.3g} %"] for name, of in document["findings"].items()
             for finding, share in of.items()]  # fmt: skip
    pieces = [tag("p", words), *pictures(parts, classes, named), rest(len(classes), len(rows), "classes")]
    sections = [Section("parts", "What gets the relevance", pieces, "relevance")]
    if fired:
        sections.append(
            Section("fired", "What fired", [table(("class", "finding", "rows"), fired, len(fired))], "fired")
        )
    counted = table(("class", "rows"), rows.items(), len(rows))
    return _page(f"What {sum(rows.values()):,} rows have in common", "summary", folder, document,
                 [*sections, Section("rows", "How many rows", [counted], "rows")])  # fmt: skip


def clusters(folder: Path) -> Page:
    """Of `onnxdtd cluster`. Raises InputError."""
    document = read_manifest(folder, "onnxdtd.clusters/1")
    listed = converted(document["clusters"], Lines)
    names = ("class", "cluster", "rows", "share", "score", "typical")
    cells = ([line[name] for name in names] for line in listed)
    words = "The highest outlier score first: look there first. It is no probability."
    pieces = [tag("p", words), table((*names[:-1], "most typical row"), cells, len(listed))]
    sections = [Section("clusters", "Every cluster", pieces, "clusters")]
    first = [f"{spelled_name(str(line['class']))}/cluster-{line['cluster']}.png" for line in listed]
    return _page(f"{len(listed)} clusters of heatmaps", "cluster", folder, document, sections, first)


def concepts(folder: Path) -> Page:
    """Of `onnxdtd concepts`. Raises InputError."""
    document = read_manifest(folder, "onnxdtd.concepts/1")
    rows = [
        [name, *(entry[key] for key in ("channel", "share", "relevance", "positive", "rows"))]
        for name, entries in converted(
            document["classes"], Mapping[str, tuple[Mapping[str, Any], ...]]
        ).items()
        for entry in entries
    ]
    head = ("class", "channel", "share of |relevance|", "relevance", "speaks for it in", "rows")
    sections = [Section("channels", "The channels of each class", [table(head, rows, len(rows))], "channels")]
    layer = document["settings"].get("layer", "a layer")
    return _page(f"What the channels of {spelled(layer)} stand for", "concepts", folder, document, sections)


def _page(
    heading: str, command: str, folder: Path, document: Mapping[str, Any], sections: Sequence[Section],
    first: Sequence[str] = (),
) -> Page:  # fmt: skip
    """With the folder's pictures, of which some come first, and its settings last."""
    files = converted(document["files"], tuple[str, ...])
    own = [*_pictures(folder, [*(name for name in first if name in files), *sorted({*files} - {*first})])]
    shown = [Section("pictures", "Pictures", own, "pictures")] if own else []
    left_out = document.get("left_out")
    reasons = [f"{name}: {why}" for name, why in left_out.items()] if isinstance(left_out, Mapping) else []
    aside = [Section("aside", "What was left out", [lines(reasons)], "left out")] if reasons else []
    rows = [
        ("job", Path(str(document.get("batch", ""))).name),
        ("settings", spelled(document.get("settings"))),
        ("rows left out", amount(left_out) if isinstance(left_out, int) and left_out else ""),
    ]
    made = (
        [Section("settings", "How it was made", [pairs(rows)], "settings")] if any(v for _, v in rows) else []
    )
    return Page(heading, f"{folder.name} · {command}", heading, [*sections, *shown, *aside, *made])


def _pictures(folder: Path, files: Sequence[str]) -> Iterator[Markup]:
    """Those that the manifest lists, made small enough for one page."""
    names = [
        name for name in files if name.endswith(".png") and ".." not in Path(name).parts and name[:1] != "/"
    ]
    area = PIXELS / max(1, min(len(names), PICTURES))
    for name in names[:PICTURES]:
        picture = open_image(folder / name)
        scale = min(1.0, WIDE / picture.width, math.sqrt(area / (picture.width * picture.height)))
        picture.thumbnail((max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))
        pixels = np.asarray(picture)
        image = void(
            "img", src=small(pixels), alt=name, width=picture.width, height=picture.height, class_="sheet"
        )
        yield tag("figure", image, tag("figcaption", name))
    yield rest(PICTURES, len(names), "pictures")
