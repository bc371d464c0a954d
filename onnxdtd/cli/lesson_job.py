"""The work of `summary`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from onnxdtd.cli.text import message, screen, table
from onnxdtd.datasets.recipe import reopened
from onnxdtd.errors import InputError
from onnxdtd.folder import check_folder
from onnxdtd.lessons import Lesson, summarise
from onnxdtd.lessons.lesson import SCHEMA

SHOWN = 5
"""Parts of a kind that are shown for each class, the largest."""


def summary(
    directory: Path,
    csv: Path | None,
    output: Path | None,
    tokenizer: Path | None,
    model: Path | None,
    data: Sequence[Path] | None,
    *,
    as_json: bool,
) -> str:
    """Tables of the largest parts and of the findings, or one JSON object."""
    if output is not None:
        check_folder(output, SCHEMA)
    lesson = summarise(directory, tokenizer=tokenizer, model=model, data=data)
    if csv is not None:
        lesson.save(csv)
    written = [] if output is None else [f"written: {_drawn(lesson, output, model, data)}"]
    return json.dumps(lesson.document()) if as_json else "\n".join([_told(lesson), *written])


def _drawn(lesson: Lesson, output: Path, model: Path | None, data: Sequence[Path] | None) -> Path:
    rows = None
    try:
        rows = reopened(lesson.folder, model=model, data=data).data
    except InputError as error:
        if model is not None or data is not None:
            raise
        message(f"values are not shown: {error}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib
        return lesson.draw(output, rows)


def _told(lesson: Lesson) -> str:
    rows = []
    groups = dict.fromkeys((part["class"], part["input"], part["kind"]) for part in lesson.parts)
    for group in groups:
        parts = [part for part in lesson.parts if (part["class"], part["input"], part["kind"]) == group]
        best = sorted(parts, key=lambda part: -part["share"])[:SHOWN]
        strongest = "  ".join(f"{part['part']} {100 * part['share']:.3g} %" for part in best)
        rows.append([*group, str(lesson.rows[group[0]]), strongest])
    head = ["class", "input", "kind", "rows", "largest shares of |relevance|"]
    fired = [
        [name, finding, f"{100 * share:.3g} %"]
        for name, shares in lesson.findings.items()
        for finding, share in shares.items()
    ]
    pages = [table(head, rows, screen())]
    if fired:
        pages.append(table(["class", "finding", "fired"], fired, screen()))
    return "\n\n".join(pages)
