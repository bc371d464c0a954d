"""The result of an evaluation: scores by method, their intervals and differences, curves, table, JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxdtd.entries import MetricEntry
from onnxdtd.errors import UsageError
from onnxdtd.folder import plain
from onnxdtd.metrics.curve import Curve, Curves
from onnxdtd.metrics.journal import PICTURE, SCHEMA, Journal
from onnxdtd.metrics.pictures import DPI, draw
from onnxdtd.metrics.statistics import Summary, bootstrap
from onnxdtd.metrics.tables import blocks
from onnxdtd.registry import METRICS
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Evaluation:
    """methods, scores: names in order, a score's being metric.score or metric.fill.score. values: (inputs, scores) by
    method, NaN where not measured. curves: by name, metric.fill.order, then by method. settled: what the numbers
    depend on. skipped: methods that the model does not allow; left_out: metrics; both with the reason. notes: what a
    reader should know. folder: of the files, or None.
    """

    methods: tuple[str, ...]
    scores: tuple[str, ...]
    values: Mapping[str, Array]
    curves: Curves
    settled: Mapping[str, Any]
    skipped: Mapping[str, str]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    folder: Path | None

    @property
    def headlines(self) -> tuple[str, ...]:
        """The score of each metric and fill that tables tell: the first that its metric lists."""
        return tuple(
            s for s in self.scores if s.split(".")[-1] == next(iter(METRICS[s.split(".")[0]].better))
        )

    @property
    def inputs(self) -> int:
        """How many were evaluated."""
        return len(next(iter(self.values.values())))

    def summary(self, method: str, score: str) -> Summary:
        """Mean over inputs with its 95 % interval."""
        return self._bootstrap(self._column(method, score)[:, None])[0]

    def difference(self, score: str, a: str, b: str) -> Summary:
        """Mean of a - b over the inputs that both have, with its 95 % interval."""
        return self._bootstrap((self._column(a, score) - self._column(b, score))[:, None])[0]

    def higher_is_better(self, score: str) -> bool:
        """Which way the score counts."""
        metric, _, name = score.partition(".")
        return METRICS[metric].better[name.split(".")[-1]] == "higher"

    def ranking(self, score: str) -> tuple[str, ...]:
        """The methods that have it, the best mean first."""
        means = {m: self.summary(m, score).mean for m in self.methods}
        sign = -1 if self.higher_is_better(score) else 1
        return tuple(sorted((m for m in means if not np.isnan(means[m])), key=lambda m: sign * means[m]))

    def table(self, scores: Sequence[str] | None = None) -> str:
        """Means with intervals as text; `*` is the best, `=` what its paired difference does not tell from it."""
        return blocks(self, scores or self.headlines)

    def figure(self, methods: Sequence[str] | None = None) -> Figure | None:
        """The curves, of all methods or of some (more than ten are hard to tell apart); None where there are none."""
        return draw(self.curves, tuple(methods or self.methods), self.inputs)

    def document(self) -> dict[str, Any]:
        """The content of evaluation.json, of which docs/evaluate.md describes every field."""
        table = np.concatenate([self.values[m] for m in self.methods], axis=1)
        every = iter(self._bootstrap(table))
        summaries = {m: {s: next(every).document() for s in self.scores} for m in self.methods}
        pairs = list(combinations(self.methods, 2))
        differences = {
            score: [
                {"a": a, "b": b, **difference.document()}
                for (a, b), difference in zip(pairs, self._differences(score, pairs), strict=True)
            ]
            for score in self.headlines
        }
        better = {s: "higher" if self.higher_is_better(s) else "lower" for s in self.scores}
        curves = {
            name: {m: vars(curve) for m, curve in by_method.items()}
            for name, by_method in self.curves.items()
        }
        sources = {name: METRICS[name].source for name in dict.fromkeys(s.split(".")[0] for s in self.scores)}
        return dict(
            plain(
                {
                    "state": "done", **self.settled, "methods": self.methods, "skipped": self.skipped,
                    "left_out": self.left_out, "notes": self.notes, "sources": sources, "better": better,
                    "headlines": self.headlines, "scores": summaries, "differences": differences, "curves": curves,
                }
            )
        )  # fmt: skip

    def to_json(self) -> str:
        """The document as one JSON object."""
        return json.dumps({"schema": SCHEMA, **self.document()}, allow_nan=False)

    def _column(self, method: str, score: str) -> Array:
        if method not in self.methods or score not in self.scores:
            raise UsageError(
                f"no score '{score}' of method '{method}'; the methods are {', '.join(self.methods)}, the scores "
                f"{', '.join(self.scores)}"
            )
        return np.asarray(self.values[method][:, self.scores.index(score)])

    def _differences(self, score: str, pairs: Sequence[tuple[str, str]]) -> list[Summary]:
        columns = [self._column(a, score) - self._column(b, score) for a, b in pairs]
        return self._bootstrap(np.stack(columns, axis=1)) if columns else []

    def _bootstrap(self, values: Array) -> list[Summary]:
        return bootstrap(values, self.settled["settings"]["resamples"], self.settled["seed"])


def gather(
    journal: Journal,
    methods: Sequence[str],
    entries: Sequence[MetricEntry],
    settled: Mapping[str, Any],
    skipped: Mapping[str, str],
    left_out: Mapping[str, str],
    warned: Mapping[str, str],
    *,
    keep: bool,
) -> Evaluation:
    """The evaluation in a journal, read line by line; with `keep` its document and picture are written beside."""
    count = settled["data"]["count"]
    values: dict[str, dict[str, Array]] = {m: {} for m in methods}
    sums: dict[tuple[str, str], Array] = {}
    state: dict[str, Counter[str]] = {m: Counter() for m in methods}
    for record in journal:  # in an order of its own, so that sums do not depend on who was first
        method, i = record["method"], record["input"]
        if method not in values:
            continue
        state[method][record["relevance"]] += 1
        for score, value in record["scores"].items():
            values[method].setdefault(score, np.full(count, np.nan))[i] = value
        for name, points in record["curves"].items():
            y = np.array(points, np.float64)
            total = sums.setdefault((name, method), np.zeros((3, y.size)))
            if total.shape[1] != y.size:  # an input with fewer units than steps
                y = np.interp(np.linspace(0, 1, total.shape[1]), np.linspace(0, 1, y.size), y)
            total += np.stack([np.ones_like(y), y, y**2])
    order = [entry.name for entry in entries]
    measured = dict.fromkeys(score for columns in values.values() for score in columns)
    scores = tuple(sorted(measured, key=lambda s: order.index(s.split(".")[0])))
    missing = np.full(count, np.nan)
    curves: dict[str, dict[str, Curve]] = {}
    for (name, method), total in sums.items():
        curves.setdefault(name, {})[method] = Curve.of(total)
    notes = [f"{m}: {text}" for m, text in warned.items()]
    for m in methods:
        for word, then in (("zero", "ordered at random there"), ("not finite", "which are left out")):
            if state[m][word]:
                notes.append(f"{m}: the relevance of {state[m][word]} of {count} inputs is {word}, {then}")
    if count == 1:
        notes.append("one input: a mean over one has no interval")
    result = Evaluation(
        methods=tuple(methods),
        scores=scores,
        values={m: np.stack([values[m].get(s, missing) for s in scores], axis=1) for m in methods},
        curves=curves,
        settled=settled,
        skipped=skipped,
        left_out=left_out,
        notes=tuple(notes),
        folder=journal.folder if keep else None,
    )
    if keep:
        figure = result.figure()
        if figure is not None:
            figure.savefig(journal.folder / PICTURE, dpi=DPI)
        journal.finish(result.document())
    return result
