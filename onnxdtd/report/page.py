"""The page of one explanation or several: the answer, what spoke for it, how far to trust it, where it went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.reading import asked
from onnxdtd.report import facts
from onnxdtd.report.document import Page, Section, document
from onnxdtd.report.drawing import graph
from onnxdtd.report.flow import flow_of
from onnxdtd.report.inside import inside
from onnxdtd.report.markup import Markup, joined, tag
from onnxdtd.report.parts import drawn, images
from onnxdtd.report.picture import side

MOST = 12
"""Samples that are shown."""


@dataclass(frozen=True)
class Entry:
    """One explanation on the page. name: where it comes from, such as a file. picture: what the first sample's map is
    laid over, (H, W, 3) uint8; by default the input itself."""

    explanation: Explanation
    name: str = ""
    picture: Any = None


def report_page(entries: Sequence[Entry] | Explanation) -> str:
    """The HTML of one or several explanations. Raises UsageError where there is none."""
    return document(page_of([Entry(entries)] if isinstance(entries, Explanation) else list(entries)))


def page_of(entries: Sequence[Entry]) -> Page:
    """The page of one or several explanations. Raises UsageError where there is none."""
    if not entries:
        raise UsageError("there is no explanation to report on")
    e, count = entries[0].explanation, sum(len(entry.explanation.target) for entry in entries)
    title = asked(e) if count == 1 else f"{count} explanations"
    heading: object = joined("Why the model said ", tag("em", title)) if count == 1 else title
    remark = f"The first {MOST} of {count} samples are shown." if count > MOST else ""
    return Page(title, above(e), heading, explained(entries), remark)


def above(e: Explanation) -> str:
    """The line over a heading: model and method."""
    model = Path(e.model.get("path") or "").name or e.model.get("name") or "model"
    return f"{model} · {e.method}"


def explained(entries: Sequence[Entry]) -> list[Section]:
    """The sections of at least one explanation: each sample, then the graph of the first, and how it was made."""
    cells = [(entry, sample) for entry in entries for sample in range(len(entry.explanation.target))]
    first, shown = entries[0].explanation, cells[:MOST]
    largest = side(sum(images(entry.explanation) for entry, _ in shown))
    return [
        *(part for i, cell in enumerate(shown) for part in _sample(*cell, i, len(cells), largest)),
        Section("graph", "Where the relevance went", _graph(first, len(entries)), "graph"),
        Section("settings", "How it was made", facts.settings(first), "settings"),
    ]


def _sample(entry: Entry, sample: int, place: int, count: int, largest: int) -> Iterator[Section]:
    """Of a single sample each section has a link, of several each sample."""
    e, alone = entry.explanation, count == 1
    which = "" if alone else f"{_name(entry, sample)}: "
    picture = None if sample else entry.picture
    answer = facts.answer(e, sample)
    yield Section(f"answer-{place}", f"{which}the answer", answer, "answer" if alone else f"{place + 1}")
    pieces = drawn(e, sample, picture, largest)
    yield Section(f"picture-{place}", "What spoke for it", pieces, "picture" * alone)
    if e.kept:
        yield Section(f"inside-{place}", "Inside the model", inside(e, sample, picture, largest))
    made = facts.made_of(e, sample)
    yield Section(f"shares-{place}", "How the number is shared out", made, "shares" * alone)
    if not sample:
        yield Section(f"findings-{place}", "How far to trust it", facts.findings(e), "trust" * alone)


def _name(entry: Entry, sample: int) -> str:
    return f"{entry.name or 'input'}{f', sample {sample}' if len(entry.explanation.target) > 1 else ''}"


def _graph(e: Explanation, entries: int) -> list[Markup]:
    flow = flow_of(e)
    if flow is None:
        return [tag("p", "This result tells nothing of single nodes: explain with engine numpy, by a method of one "
                         "walk, to see the graph.")]  # fmt: skip
    of = f", summed over {len(e.target)} samples" if len(e.target) > 1 else ""
    of += ", of the first explanation" if entries > 1 else ""
    words = (
        f"Relevance starts at the target and goes against the arrows of computation to the inputs{of}. Lines are as "
        "wide as |relevance|, red for, blue against; grey arrows are what no input was given. Choose a box to "
        "read of it; stacked boxes open."
    )
    return [tag("p", words), graph(flow)]
