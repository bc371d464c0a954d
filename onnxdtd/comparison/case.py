"""One sample that several methods explain: natively, or through a neighbour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.comparison.comparison import Cell
from onnxdtd.comparison.neighbour import NEIGHBOURS, Question
from onnxdtd.comparison.parts import Parts, cut
from onnxdtd.errors import InputError, TargetError, UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.methods import METHODS
from onnxdtd.passes import PASSES
from onnxdtd.plan.target import Target
from onnxdtd.predict import Predict, predict_fn
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.types import Array, Inputs


@dataclass
class Case:
    """One sample that several methods explain. feeds: the sample, or the whole of a fixed batch in which it is `row`.

    x: the explained inputs of the sample. bases: each target's explanation by the gradient.
    """

    front: Explainer
    feeds: dict[str, Array]
    row: int
    x: dict[str, Array]
    questions: list[Target]
    bases: list[Explanation]
    background: Array | None
    superpixels: int
    layout: str | None
    seed: int
    covers: str = ""
    _ready: tuple[Predict, Parts, Array | None] | None = None

    @classmethod
    def of(
        cls, front: Explainer, x: Inputs, sample: int, background: Array | None, superpixels: int,
        layout: str | None, seed: int, questions: list[Target],
    ) -> Case:  # fmt: skip
        """The sample of a number in the batch x, and what the gradient tells of each target."""
        feeds = dict(front.feeds(x))
        for name in front.plan(questions[0].output).inputs:
            if not feeds[name].ndim or not feeds[name].size:
                what = "is empty" if feeds[name].ndim else "is one number, without a batch axis"
                raise InputError(f"input '{name}' {what}: methods are compared on elements of a sample")
        count = min((len(array) for array in feeds.values() if array.ndim), default=1)
        if not 0 <= sample < count:
            raise UsageError(f"sample {sample} is not in a batch of {count}: count from 0")
        fixed = fixed_batch(front.graph) is not None
        if not fixed and count > 1:
            feeds = {
                name: array[sample : sample + 1] if array.ndim else array for name, array in feeds.items()
            }
            questions = [_one_of(target, sample) for target in questions]
        front, row = front.at(feeds), sample if fixed else 0
        bases = [front.by("gradient", engine="numpy")(feeds, target) for target in questions]
        if len(outputs := {base.output: None for base in bases}) > 1:
            raise TargetError(
                f"the targets are of several outputs, {', '.join(outputs)}: compare one at a time"
            )
        inputs = {name: feeds[name][row] for name in front.plan(questions[0].output).inputs}
        return cls(front, feeds, row, inputs, questions, bases, background, superpixels, layout, seed)

    def asker(self, method: str, options: Mapping[str, Any]) -> Callable[[int], Cell]:
        """What explains the target of a number by this method; raises where it cannot explain this model at all."""
        if method in NEIGHBOURS:
            self.ready()
            return lambda number: self.by_neighbour(method, options, number)
        explainer = self.front.by(method, options=options)
        explainer.plan(self.bases[0].output)
        return lambda number: self.native(explainer, number)

    def native(self, explainer: Explainer, number: int) -> Cell:
        """By a method of ours."""
        e, row = explainer(self.feeds, self.questions[number]), self.row
        entry = PASSES.get(e.method)
        adds_up = entry.adds_up if entry else (e.method not in METHODS or METHODS[e.method].seed != "one")
        extras = {
            k: v[row] if isinstance(v, list) and len(v) == len(e.target) else v for k, v in e.extras.items()
        }
        relevance = {name: r[row] for name, r in e.relevance.items()}
        return _cell(relevance, float(e.seed[row]), adds_up, extras, e.warnings, e.method)

    def by_neighbour(self, method: str, options: Mapping[str, Any], number: int) -> Cell:
        """By a method of another package; what it explains is the probability of the class."""
        predict, parts, rows = self.ready()
        label = self._label(number)
        question = Question(
            predict, parts, label, rows, self.front.loaded.features if rows is not None else None
        )
        entry, before = NEIGHBOURS[method], predict.rows
        relevance, extras = entry.explain(question, seed=self.seed, **options)
        p = float(predict(parts.x[None])[0, label])
        extras = {"explains": "probability", "probability": p, **extras, "predictions": predict.rows - before}
        (name,) = self.x
        started = p - extras.get("base_value", 0.0)
        return _cell({name: relevance}, started, entry.adds_up, extras, ())

    def ready(self) -> tuple[Predict, Parts, Array | None]:
        """What every neighbour needs, made once."""
        if self._ready is not None:
            return self._ready
        if len(self.feeds) != 1:
            raise UnsupportedError(f"a black-box neighbour takes a model of one input, not {len(self.feeds)}")
        (x,) = self.x.values()
        rows, cover = None, self.background
        if cover is not None and layout_of(x.shape, self.layout) == "NF":
            rows, cover = _rows(cover, x.size), None
        parts = cut(x, self.layout, self.superpixels, cover)
        self.covers = f"{len(rows)} rows of a background" if rows is not None else parts.words
        predict = predict_fn(self.front, output=self.bases[0].output)
        self._ready = predict, parts, rows
        return self._ready

    def _label(self, number: int) -> int:
        base = self.bases[number]
        indices = base.target[self.row]
        if len(indices) != 1 or len(indices[0]) != 1:
            raise TargetError("a black-box neighbour explains one class of one output (N, classes)")
        return indices[0][0]


def _one_of(target: Target, sample: int) -> Target:
    """Of one index for each sample, that of this one."""
    index: Any = target.index
    return Target(target.output, index[sample]) if target.per_sample else target


def _cell(
    relevance: dict[str, Array],
    started: float,
    adds_up: bool,
    extras: Mapping[str, Any],
    warnings: tuple[str, ...],
    method: str = "",
) -> Cell:
    arrived = sum(float(np.sum(r, dtype=np.float64)) for r in relevance.values())
    return Cell(relevance, started, arrived, adds_up, extras, warnings, method)


def _rows(background: Array, columns: int) -> Array:
    rows = np.asarray(background, np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns or len(rows) < 2 or not np.isfinite(rows).all():
        raise UsageError(
            f"the background of a table is two rows or more of {columns} finite columns, not {rows.shape}"
        )
    return rows
