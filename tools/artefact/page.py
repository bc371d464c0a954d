"""The table of docs/lessons.md."""

from __future__ import annotations

from typing import Any

from tools.paths import DOCS

PAGE = DOCS / "lessons.md"
BEGIN, END = "<!-- artefact -->", "<!-- /artefact -->"


def table(document: dict[str, Any]) -> str:
    """The figures of the experiment and of its control."""
    both = document["planted"], document["control"]

    def line(words: str, *cells: str) -> str:
        return f"| {words} | {' | '.join(cells)} |"

    clusters, concepts = [one["cluster"] for one in both], [one["concepts"] for one in both]
    recall = [f"{100 * c['recall']:.0f} %" if c["recall"] is not None else "none is marked" for c in clusters]
    return "\n".join(
        [
            line("", "with marks", "control"),
            "|---|---|---|",
            line("accuracy on digits held out, without marks", *(f"{100 * one['accuracy']:.0f} %" for one in both)),
            line(
                f"others called {document['class']}: without the mark, with it",
                *(" → ".join(f"{100 * share:.0f} %" for share in one["called_by_mark"]) for one in both),
            ),
            line("`cluster`: class of the highest score", *(f"{c['class']}: {c['score']:.2f}" for c in clusters)),
            line("the next one of another class", *(f"{c['next_class']}: {c['next']:.2f}" for c in clusters)),
            line("rows of that cluster that are marked", *(f"{100 * c['precision']:.0f} %" for c in clusters)),
            line("marked rows that are in it", *recall),
            line(
                "`concepts`: the channel that agrees most in place",
                *(f"{c['channel']}, of class {c['class']}: {c['agreement']:.2f}" for c in concepts),
            ),
            line("the highest of a channel without marked rows", *(f"{c['unmarked']:.2f}" for c in concepts)),
            line("its reference rows that are marked", *(f"{100 * c['marked']:.0f} %" for c in concepts)),
            line("its positive relevance inside the mark", *(f"{100 * c['inside']:.0f} %" for c in concepts)),
        ]
    )  # fmt: skip


def write(document: dict[str, Any]) -> None:
    """Put the table between its marks."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    behind = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(document)}\n{END}{behind}", "utf-8")
