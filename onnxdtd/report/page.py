"""The page: one self-contained HTML file that asks for nothing from anywhere, opens from a disk, and prints.

Its policy forbids everything but the style and the script whose digests it names, and pictures inside the file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.reading import asked
from onnxdtd.report import facts
from onnxdtd.report.drawing import graph
from onnxdtd.report.flow import flow_of
from onnxdtd.report.inside import inside
from onnxdtd.report.markup import Markup, joined, tag, void
from onnxdtd.report.parts import drawn
from onnxdtd.version import __version__

GENERATOR = 'name="generator" content="onnxdtd'
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
    entries = [Entry(entries)] if isinstance(entries, Explanation) else list(entries)
    if not entries:
        raise UsageError("there is no explanation to report on")
    first = entries[0].explanation
    cells = [(entry, sample) for entry in entries for sample in range(len(entry.explanation.target))]
    body = [_head(entries, cells)]
    body += [_sample(entry, sample, i, len(cells)) for i, (entry, sample) in enumerate(cells[:MOST])]
    if len(cells) > MOST:
        body.append(tag("p", f"The first {MOST} of {len(cells)} samples are shown.", class_="faint"))
    body.append(_section("graph", "Where the relevance went", *_graph(first, len(entries))))
    body.append(_section("settings", "How it was made", *facts.settings(first)))
    return _document(asked(first) if len(cells) == 1 else f"{len(cells)} explanations", joined(*body))


def _head(entries: Sequence[Entry], cells: Sequence[tuple[Entry, int]]) -> Markup:
    e = entries[0].explanation
    model = Path(e.model.get("path") or "").name or e.model.get("name") or "model"
    words = "Why the model said " if len(cells) == 1 else f"{len(cells)} explanations"
    what = tag("em", asked(e, 0)) if len(cells) == 1 else ""
    links = [tag("a", title, href=f"#{place}") for place, title in _places(len(cells))]
    return tag(
        "header",
        tag("p", f"{model} · {e.method}", class_="model"),
        tag("h1", words, what),
        tag("nav", *links),
    )


def _places(count: int) -> list[tuple[str, str]]:
    own = [("answer-0", "answer"), ("picture-0", "picture"), ("shares-0", "shares"), ("findings-0", "trust")]
    several = [(f"answer-{i}", f"{i + 1}") for i in range(min(count, MOST))]
    return [*(own if count == 1 else several), ("graph", "graph"), ("settings", "settings")]


def _sample(entry: Entry, sample: int, place: int, count: int) -> Markup:
    e = entry.explanation
    which = (
        f"{entry.name or 'input'}{f', sample {sample}' if len(e.target) > 1 else ''}: " if count > 1 else ""
    )
    sections = [
        _section(f"answer-{place}", f"{which}the answer", *facts.answer(e, sample)),
        _section(
            f"picture-{place}", "What spoke for it", *drawn(e, sample, None if sample else entry.picture)
        ),
        _section(f"shares-{place}", "How the number is shared out", *facts.made_of(e, sample)),
    ]
    if e.kept:
        kept = inside(e, sample, None if sample else entry.picture)
        sections.insert(2, _section(f"inside-{place}", "Inside the model", *kept))
    if not sample:
        sections.append(_section(f"findings-{place}", "How far to trust it", *facts.findings(e)))
    return joined(*sections)


def _graph(e: Explanation, entries: int) -> list[Markup]:
    flow = flow_of(e)
    if flow is None:
        return [tag("p", "This result tells nothing of single nodes: explain with engine numpy, by a method of one "
                         "walk, to see the graph.")]  # fmt: skip
    of = f", summed over {len(e.target)} samples" if len(e.target) > 1 else ""
    of += ", of the first input" if entries > 1 else ""
    words = (
        f"Relevance starts at the target and goes against the arrows of computation to the inputs{of}. Lines are as "
        "wide as |relevance|, red for, blue against; grey arrows are what no input was given. Choose a box to "
        "read of it; stacked boxes open."
    )
    return [tag("p", words), graph(flow)]


def _section(place: str, title: str, *content: object) -> Markup:
    return tag("section", tag("h2", title), *content, id=place)


def _document(title: str, body: Markup) -> str:
    style, script = assets()
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {digest(style)}",
            f"script-src {digest(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    head = [
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="generator", content=f"onnxdtd {__version__}"),
        void("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title} · onnxdtd"),
        tag("style", Markup(style)),
    ]
    page = tag(
        "html", tag("head", *head), tag("body", tag("main", body), tag("script", Markup(script))), lang="en"
    )
    return f"<!doctype html>\n{page}\n"


ASSETS = ("page.css", "page.js")


def assets() -> tuple[str, str]:
    """The page's style and its script."""
    style, script = (files("onnxdtd.report").joinpath("assets", name).read_text("utf-8") for name in ASSETS)
    return style, script


def digest(text: str) -> str:
    """As a policy names a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
