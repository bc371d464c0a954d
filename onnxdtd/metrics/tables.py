"""The table of an evaluation as text, in blocks that fit a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from onnxdtd.metrics.statistics import Summary

COLUMNS = 3


class Scored(Protocol):
    """What a table asks of an evaluation."""

    @property
    def methods(self) -> tuple[str, ...]:
        """In their order."""

    def summary(self, method: str, score: str) -> Summary:
        """Mean over inputs with its interval."""

    def difference(self, score: str, a: str, b: str) -> Summary:
        """The same of a - b."""

    def higher_is_better(self, score: str) -> bool:
        """Which way the score counts."""

    def ranking(self, score: str) -> tuple[str, ...]:
        """The methods that have it, the best first."""


def blocks(evaluation: Scored, scores: Sequence[str]) -> str:
    """Up to three scores beside each other, a row for each method, the best of the first score on top."""
    parts = []
    for start in range(0, len(scores), COLUMNS):
        chosen = scores[start : start + COLUMNS]
        ranked = evaluation.ranking(chosen[0])
        methods = [*ranked, *(m for m in evaluation.methods if m not in ranked)]
        heads = [
            ["method", *(score.rpartition(".")[0] for score in chosen)],
            ["", *(_head(evaluation, s) for s in chosen)],
        ]
        columns = [_column(evaluation, score, methods) for score in chosen]
        parts.append(_aligned([*heads, *([m, *cells] for m, *cells in zip(methods, *columns, strict=True))]))
    return "\n\n".join(parts)


def _head(evaluation: Scored, score: str) -> str:
    way = "higher" if evaluation.higher_is_better(score) else "lower"
    return f"{score.rpartition('.')[2].replace('_', ' ')}, {way}"


def _column(evaluation: Scored, score: str, methods: Sequence[str]) -> list[str]:
    summaries = {m: evaluation.summary(m, score) for m in methods}
    best = next(iter(evaluation.ranking(score)), None)
    sizes = [abs(v) for s in summaries.values() for v in (s.mean, s.low, s.high) if math.isfinite(v)]
    largest = max(sizes, default=0.0)
    decimals = min(6, max(0, 2 - math.floor(math.log10(largest)))) if largest else 2
    marks = {m: "*" if m == best else "" for m in methods}
    for m in methods:
        if best not in (None, m) and summaries[m].count:
            marks[m] = "" if evaluation.difference(score, m, best).excludes_zero else "="
    return [_cell(summaries[m], decimals, marks[m]) for m in methods]


def _cell(summary: Summary, decimals: int, mark: str) -> str:
    if not summary.count:
        return "-"
    ends = "" if math.isnan(summary.low) else f" [{summary.low:.{decimals}f}, {summary.high:.{decimals}f}]"
    return f"{summary.mean:.{decimals}f}{ends} {mark}".rstrip()


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
