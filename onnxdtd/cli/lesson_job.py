"""The work of `summary`, loaded when it runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from onnxdtd.cli.text import screen, table
from onnxdtd.lessons import Lesson, summarise

SHOWN = 5
"""Parts of a kind that are shown for each class, the largest."""


def summary(directory: Path, csv: Path | None, *, as_json: bool) -> str:
    """Tables of the largest parts and of the findings, or one JSON object."""
    lesson = summarise(directory)
    if csv is not None:
        lesson.save(csv)
    if as_json:
        return json.dumps(dataclasses.asdict(lesson))
    return _told(lesson)


def _told(lesson: Lesson) -> str:
    rows = []
    groups = dict.fromkeys((part["class"], part["input"], part["kind"]) for part in lesson.parts)
    for group in groups:
        parts = [part for part in lesson.parts if (part["class"], part["input"], part["kind"]) == group]
        best = sorted(parts, key=lambda part: -part["share"])[:SHOWN]
        told = "  ".join(f"{part['part']} {100 * part['share']:.3g} %" for part in best)
        rows.append([*group, str(lesson.rows[group[0]]), told])
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
