"""What evaluation.json tells of an evaluation, read again without the inputs' own numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.errors import InputError
from onnxdtd.folder import read_manifest
from onnxdtd.hints import made
from onnxdtd.metrics.curve import Curve
from onnxdtd.metrics.journal import MANIFEST, SCHEMA
from onnxdtd.metrics.statistics import Summary


@dataclass(frozen=True)
class Difference:
    """Of a - b over the inputs that both have: as `Summary`."""

    a: str
    b: str
    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class SavedEvaluation:
    """As `Evaluation`, of which it has all means, intervals, differences of headlines, and curves."""

    methods: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Summary]]
    differences: Mapping[str, tuple[Difference, ...]]
    curves: Mapping[str, Mapping[str, Curve]]
    better: Mapping[str, str]
    headlines: tuple[str, ...]
    sources: Mapping[str, str]
    skipped: Mapping[str, str]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    model: str
    output: str
    onnxdtd: str
    target: Any = None
    engine: str | None = None
    seed: int | None = None

    @classmethod
    def load(cls, directory: str | Path) -> SavedEvaluation:
        """Read a folder. InputError where it is missing, damaged, of another schema, or not finished."""
        document, path = read_manifest(directory, SCHEMA), Path(directory) / MANIFEST
        if document.get("state") == "running":
            raise InputError(f"the evaluation in '{directory}' is not finished: run the same command again")
        try:
            saved = made(cls, document)
            saved.check()
        except ValueError as error:
            raise InputError(f"'{path}' is not as documented: {error}") from None
        return saved

    def check(self) -> None:
        """ValueError where a method has no number of a score, or a score no direction."""
        for method in self.methods:
            if lacking := {*self.better, *self.headlines} - {*self.scores.get(method, ())}:
                raise ValueError(f"'{method}' has no score {sorted(lacking)[0]}")
        if lacking := {*self.headlines} - {*self.better}:
            raise ValueError(f"'{sorted(lacking)[0]}' has no direction")
        curves = [(name, c) for group in self.curves.values() for name, c in group.items()]
        for name, curve in curves:
            if not curve.x.size or {curve.x.shape} != {a.shape for a in (curve.mean, curve.low, curve.high)}:
                raise ValueError(f"a curve of '{name}' has points without numbers")

    @property
    def inputs(self) -> int:
        """How many were evaluated."""
        count = self.data.get("count")
        return count if isinstance(count, int) else 0

    def summary(self, method: str, score: str) -> Summary:
        """Mean over inputs with its 95 % interval."""
        return self.scores[method][score]

    def difference(self, score: str, a: str, b: str) -> Summary:
        """Mean of a - b with its 95 % interval, of a headline; without numbers where it was not measured."""
        for d in self.differences.get(score, ()):
            if (d.a, d.b) == (a, b):
                return Summary(d.mean, d.low, d.high, d.count)
            if (d.a, d.b) == (b, a):
                return Summary(-d.mean, -d.high, -d.low, d.count)
        return Summary(math.nan, math.nan, math.nan, 0)

    def higher_is_better(self, score: str) -> bool:
        """Which way the score counts."""
        return self.better[score] == "higher"

    def ranking(self, score: str) -> tuple[str, ...]:
        """The methods that have it, the best mean first."""
        means = {m: self.scores[m][score].mean for m in self.methods}
        sign = -1 if self.higher_is_better(score) else 1
        return tuple(sorted((m for m in means if not math.isnan(means[m])), key=lambda m: sign * means[m]))
