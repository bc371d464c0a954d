"""The page of an evaluation: which method is best by which score, and how surely; curves; every number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnxdtd.metrics import METRICS
from onnxdtd.metrics.saved import SavedEvaluation
from onnxdtd.metrics.sources import CONTROLS
from onnxdtd.pages.curves import Line, curves, legend
from onnxdtd.pages.gallery import gallery
from onnxdtd.pages.intervals import Dot, intervals
from onnxdtd.pages.made import settings, spelled
from onnxdtd.pages.ranking import RANDOM, ranked
from onnxdtd.report.document import Page, Section
from onnxdtd.report.markup import Markup, amount, sentence, tag
from onnxdtd.report.tables import lines, rest, table

MOST_SCORES, MOST_METHODS, MOST_PLOTS, MOST_NUMBERS = 24, 40, 24, 1000
BANDS = 3
"""With more methods bands would hide the lines."""


def page(folder: Path) -> Page:
    """Of an evaluation's folder. Raises InputError."""
    saved = SavedEvaluation.load(folder)
    plots = [*_plots(saved)]
    about = [
        ("explained output", saved.output),
        ("target", spelled(saved.target)),
        ("inputs", f"{saved.inputs}, sha256 {saved.data.get('sha256', '')}"),
        ("engine", saved.engine),
        ("seed", spelled(saved.seed)),
        ("settings", spelled(saved.settings)),
        ("sources", lines([f"{_spoken(name)}: {source}" for name, source in saved.sources.items()])),
    ]
    return Page(
        f"{len(saved.methods)} methods scored",
        f"evaluate · {saved.inputs} inputs",
        f"{len(saved.methods)} methods scored on {saved.inputs} inputs",
        [
            Section("answer", "Which method is best", _answer(saved), "answer"),
            Section("scores", "Means and intervals", [*_scores(saved)], "scores"),
            *([Section("curves", "Removal curves", plots, "curves")] if plots else []),
            Section("numbers", "Every number", [_numbers(saved)], "numbers"),
            *_aside(saved),
            settings({"sha256": saved.model}, {"onnxdtd": saved.onnxdtd}, about),
        ],
    )


def _answer(saved: SavedEvaluation) -> list[Markup]:
    pieces = [tag("p", sentence(ranked(saved)), class_="lead")]
    if RANDOM not in saved.methods and len(saved.methods):
        words = f"Without '{RANDOM}' beside them nobody knows which scores are those of chance."
        pieces.append(tag("p", words, class_="warning"))
    words = (
        "Means over inputs with 95 % intervals of the bootstrap. Two methods are told apart where that of "
    )
    words += "their paired difference leaves out zero; of many such intervals one in twenty misses by chance."
    return [*pieces, tag("p", words, class_="faint")]


def _scores(saved: SavedEvaluation) -> Iterator[Markup]:
    """For each headline a line for each method, the best first."""
    for score in saved.headlines[:MOST_SCORES]:
        order = saved.ranking(score)
        rest_of = [m for m in saved.methods if m not in order]
        way = "higher is better" if saved.higher_is_better(score) else "lower is better"
        dots = [_dot(saved, score, method, order[0] if order else "") for method in (*order, *rest_of)]
        yield tag("h3", f"{_spoken(score)}: {way}")
        yield tag("figure", intervals(dots[:MOST_METHODS]))
        yield rest(MOST_METHODS, len(dots), "methods")
    yield legend(
        {}, [("best", "the best"), ("even", "not told apart from it"), ("plain", "told apart from it")]
    )
    yield rest(MOST_SCORES, len(saved.headlines), "scores")


def _dot(saved: SavedEvaluation, score: str, method: str, best: str) -> Dot:
    s = saved.summary(method, score)
    if not s.count:
        return Dot(method, None, words="not measured")
    distinct = method == best or saved.difference(score, method, best).excludes_zero
    kind = "best" if method == best else "" if distinct else "even"
    return Dot(method, s.mean, s.low, s.high, f"{amount(s.mean)}  ({s.count})", kind)


def _plots(saved: SavedEvaluation) -> Iterator[Markup]:
    """A plot for each metric and fill: solid the most relevant first, dashed the least."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for name in saved.curves:
        panel, _, order = name.rpartition(".")
        panels.setdefault(panel, []).append((order, name))
    if not panels:
        return
    shown = saved.methods[:MOST_METHODS]
    named = [method for method in shown if method not in CONTROLS]
    hues = {method: named.index(method) if method in named else None for method in shown}
    cells = []
    for panel, own in [*panels.items()][:MOST_PLOTS]:
        entry = METRICS.get(panel.split(".")[0])
        across, up = (entry.panel.across, entry.panel.up) if entry else ("share", "")
        drawn = [_line(saved, name, method, hues[method], order) for order, name in own for method in shown
                 if method in saved.curves[name]]  # fmt: skip
        plot = curves(drawn, across, entry.panel.bounds if entry else None)
        cells.append(
            tag(
                "figure",
                plot,
                tag("figcaption", tag("strong", _spoken(panel)), tag("span", up)),
                class_="cell",
            )
        )
    dashes = [("solid", "the most relevant first"), ("dashes", "the least relevant first")]
    yield legend(hues, dashes)
    yield gallery(cells, "wide")
    yield rest(MOST_PLOTS, len(panels), "plots")
    yield rest(MOST_METHODS, len(saved.methods), "methods")


def _line(saved: SavedEvaluation, name: str, method: str, hue: int | None, order: str) -> Line:
    curve = saved.curves[name][method]
    xs, ys, low, high = (a.tolist() for a in (curve.x, curve.mean, curve.low, curve.high))
    band = (low, high) if len(saved.methods) <= BANDS and saved.inputs > 1 else None
    return Line(method, xs, ys, hue, order != "most", band)


def _numbers(saved: SavedEvaluation) -> Markup:
    rows = [(score, method) for score in saved.better for method in saved.methods]
    cells = ([*_cells(saved, *row)] for row in rows)
    head = ("score", "better", "method", "mean", "from", "to", "inputs")
    words = tag("p", "From and to: the 95 % interval.", class_="faint")
    return tag(
        "details", tag("summary", f"{len(rows)} numbers"), table(head, cells, len(rows), MOST_NUMBERS), words
    )


def _cells(saved: SavedEvaluation, score: str, method: str) -> Iterator[object]:
    s = saved.summary(method, score)
    yield from (_spoken(score), saved.better[score], method)
    yield from (s.mean, s.low, s.high, s.count) if s.count else (None, None, None, 0)


def _aside(saved: SavedEvaluation) -> Iterator[Section]:
    remarks = [*saved.notes, *(f"{method} was skipped: {why}" for method, why in saved.skipped.items())]
    remarks += [f"{metric} was left out: {why}" for metric, why in saved.left_out.items()]
    if remarks:
        yield Section("aside", "Notes, and what was left out", [lines(remarks)], "notes")


def _spoken(name: str) -> str:
    """A score's name for people: its parts, metric first."""
    return " · ".join(part.replace("_", " ") for part in name.split("."))
