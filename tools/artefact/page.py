"""The table of docs/lessons.md."""

from __future__ import annotations

from typing import Any

from tools.paths import DOCS

PAGE = DOCS / "lessons.md"
BEGIN, END = "<!-- artefact -->", "<!-- /artefact -->"


def table(document: dict[str, Any]) -> str:
    """The figures of each seed and of the control."""
    every = [*document["planted"], document["control"]]
    clusters, concepts = [one["cluster"] for one in every], [one["concepts"] for one in every]
    mark = document["class"]

    def line(words: str, *cells: str) -> str:
        return f"| {words} | {' | '.join(cells)} |"

    def percent(share: float | None) -> str:
        return "-" if share is None else f"{100 * share:.0f} %"

    lines = [
        line("", *(f"seed {i}" for i in range(len(every) - 1)), "control"),
        "|---|" + "---|" * len(every),
        line("accuracy on digits held out, without marks", *(percent(one["accuracy"]) for one in every)),
        line(
            f"others called {mark}, without the mark → with it",
            *(" → ".join(map(percent, one["called_by_mark"])) for one in every),
        ),
        line("`cluster`: class of the highest score", *(f"{c['class']}: {c['score']:.3f}" for c in clusters)),
        line("the next one of another class", *(f"{c['next_class']}: {c['next']:.3f}" for c in clusters)),
        line("rows of that cluster that are marked", *(percent(c["precision"]) for c in clusters)),
        line("marked rows that are in it", *(percent(c["recall"]) for c in clusters)),
        line(
            "`concepts`: the channel that agrees most in place",
            *(f"{c['channel']}, class {c['class']}: {c['agreement']:.2f}" for c in concepts),
        ),
        line("the highest of a channel without marked rows", *(f"{c['unmarked']:.2f}" for c in concepts)),
        line("its reference rows that are marked", *(percent(c["marked"]) for c in concepts)),
        line("its positive relevance inside the mark", *(percent(c["inside"]) for c in concepts)),
    ]
    return "\n".join(lines)


def write(document: dict[str, Any]) -> None:
    """Put the table between its marks."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    behind = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(document)}\n{END}{behind}", "utf-8")
