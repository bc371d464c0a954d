"""A model that answers: its outputs, and the relevance of its inputs, as tensors by name.

`relevance.INPUT` is shaped like the input. `target` is what was explained in each sample, an index behind the batch
axis; `target_label` says it in words; `target_value` is its value. `shares` is how the relevance that started is
shared out: one column an input, and in the last one what no input was given (biases, the stabiliser, dead neurons).
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxdtd.audit import audited
from onnxdtd.each import warnings_of
from onnxdtd.errors import OnnxdtdError, UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.server.question import Question, together
from onnxdtd.types import Array, Arrays

MOST_METHODS = 4
"""Explainers of other methods that are kept."""
TOLERANCE = 1e-3
"""Of the largest element: what sums in another order leave stays far below."""
REST = "rest"


@dataclass(frozen=True, eq=False)
class Answer:
    """tensors: by name, samples first. notes: what is said of all of them, in words and numbers."""

    tensors: Arrays
    notes: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """Of all tensors."""
        return sum(array.nbytes for array in self.tensors.values())


class Served:
    """A model under its name. explainer: by the method that is taken where a request names none.

    Questions of equal shapes share a pass, if each of the samples gets what it gets alone; whether they do is seen
    when the first of them do, of each kind of question anew.
    """

    def __init__(self, name: str, explainer: Explainer) -> None:
        self.name, self.explainer = name, explainer
        self._others: OrderedDict[str, Explainer] = OrderedDict()
        # What a branch does, and what a fixed batch holds, is one question's alone.
        self._together = not explainer.graph.open_conditions and fixed_batch(explainer.graph) is None
        self._apart: dict[tuple[Any, ...], bool] = {}

    @cached_property
    def explained(self) -> tuple[tuple[str, ...], int]:
        """The inputs that are given relevance, and how many axes an explained element has behind the batch; where an
        input decides a branch, as far as that can be told without one."""
        graph = self.explainer.graph
        if graph.open_conditions:
            return tuple(name for name, value in self.explainer.inputs.items() if value.is_float), 1
        plan = self.explainer.plan()
        return plan.inputs, len(graph.value(plan.output).shape or (0, 0)) - 1

    def own(self, name: str) -> str:
        """The name of a tensor that is added to the model's outputs."""
        return f"onnxdtd.{name}" if name in self.explainer.graph.outputs else name

    def shareable(self, question: Question) -> bool:
        """Whether others may join it."""
        alone = question.audit or question.rows is None or not self._together
        return not alone and self._apart.get(question.kind[:2], True)

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers to questions of one kind, in one pass."""
        if len(questions) == 1:
            return [self.answer(questions[0])]
        kind = questions[0].kind[:2]
        shared = self._shared(questions)
        if kind not in self._apart:
            alone = self.answer(questions[0])
            self._apart[kind] = shared is not None and _alike(shared[0].tensors, alone.tensors)
        if shared is None or not self._apart[kind]:
            return [self.answer(question) for question in questions]
        return shared

    def answer(self, question: Question) -> Answer:
        """The answer to one. Raises what an explainer raises."""
        if not question.explains:
            return Answer(self._predicted(question.feeds), {})
        explainer = self._by(question.method)
        if question.audit:
            e = audited(explainer, question.feeds, question.target)
        else:
            e = explainer(question.feeds, question.target)
        return Answer(self._tensors(e), _notes(e, e.warnings))

    def _shared(self, questions: Sequence[Question]) -> list[Answer] | None:
        """None where what came out does not tell the samples apart."""
        feeds = {name: np.concatenate([q.feeds[name] for q in questions]) for name in questions[0].feeds}
        counts = [question.rows or 1 for question in questions]
        ends = np.cumsum(counts).tolist()
        spans = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        if not questions[0].explains:
            parts = _cut(self._predicted(feeds), spans, ends[-1])
            return [Answer(part, {}) for part in parts] if parts else None
        explainer = self._by(questions[0].method)
        e = explainer(feeds, together([*questions]))
        if len(e.target) != ends[-1] or e.batch_axis != 0:
            return None
        parts = _cut(self._tensors(e), spans, ends[-1])
        notes = [_notes(e, _warnings(explainer, e, span)) for span in spans]
        return [*map(Answer, parts, notes)] if parts else None

    def _by(self, method: str | None) -> Explainer:
        if method is None:
            return self.explainer
        if method not in self._others:
            self._others[method] = self.explainer.by(method)
            while len(self._others) > MOST_METHODS:
                self._others.popitem(last=False)
        self._others.move_to_end(method)
        return self._others[method]

    def _predicted(self, feeds: Arrays) -> dict[str, Array]:
        return dict(self.explainer.forward(self.explainer.graph.outputs)(feeds))

    def _tensors(self, e: Explanation) -> dict[str, Array]:
        tensors = {**e.outputs, **{f"relevance.{name}": r for name, r in e.relevance.items()}}
        labels = np.array([e.label(i) for i in range(len(e.target))], object)
        values = np.asarray(e.target_value, np.float64).reshape(-1)
        added = {"target": indices(e), "target_label": labels, "target_value": values, "shares": shares(e)}
        return tensors | {self.own(name): array for name, array in added.items()}


def indices(e: Explanation) -> Array:
    """(N) of a class in each sample, (N, axes) of an element of more axes; of several elements (N, K, axes), -1 where
    a sample has fewer."""
    most, axes = max(map(len, e.target)), max((len(i) for sample in e.target for i in sample), default=0)
    array = np.full((len(e.target), most, axes), -1, np.int64)
    for sample, elements in enumerate(e.target):
        for place, index in enumerate(elements):
            array[sample, place, : len(index)] = index
    if most == 1:
        return np.zeros(len(array), np.int64) if axes == 0 else array[:, 0, 0] if axes == 1 else array[:, 0]
    return array


def shares(e: Explanation) -> Array:
    """(N, inputs + 1): the sum of each input's relevance, and what is left of what started. NaN where an input's
    samples cannot be told apart."""
    count, columns = len(e.seed), []
    for r in e.relevance.values():
        split = r.ndim and len(r) == count
        whole = np.sum(r, dtype=np.float64) if count == 1 else np.nan
        columns.append(r.reshape(count, -1).sum(1, dtype=np.float64) if split else np.full(count, whole))
    started = np.asarray(e.seed, np.float64).reshape(-1)
    return np.stack([*columns, started - sum(columns)], 1)


def _cut(tensors: Arrays, spans: Sequence[slice], count: int) -> list[dict[str, Array]] | None:
    """The rows of each span; None where a tensor has no row for each sample."""
    if any(array.shape[:1] != (count,) for array in tensors.values()):
        return None
    return [{name: array[span] for name, array in tensors.items()} for span in spans]


def _alike(some: Arrays, others: Arrays) -> bool:
    """Whether a sample got among others what it got alone."""
    for name, a in others.items():
        b = some[name]
        if a.shape != b.shape:
            return False
        if a.dtype.kind == "f" and not np.allclose(
            b, a, rtol=0, atol=TOLERANCE * np.nanmax(np.abs(a), initial=0.0), equal_nan=True
        ):
            return False
    return True


def _warnings(explainer: Explainer, e: Explanation, span: slice) -> tuple[str, ...]:
    if not e.warnings:  # what is said of a part is said of the whole, too
        return ()
    part = dataclasses.replace(
        e,
        inputs={name: array[span] for name, array in e.inputs.items()},
        relevance={name: array[span] for name, array in e.relevance.items()},
        seed=e.seed[span],
    )
    return warnings_of(explainer, e, part)


def _notes(e: Explanation, warnings: Sequence[str]) -> dict[str, Any]:
    notes: dict[str, Any] = {"method": e.method, "engine": e.engine, "explained": e.output}
    if warnings:
        notes["warnings"] = "\n".join(warnings)
    if e.findings:
        notes["findings"] = json.dumps([dict(finding) for finding in e.findings])
        notes["sentence"] = e.sentence
    return notes


def prepared(name: str, explainer: Explainer) -> Served:
    """A model made ready: what it can be refused for is told now, by its name. Raises OnnxdtdError."""
    explainer = explainer.batched
    try:
        if not explainer.graph.open_conditions:
            explainer.run()
    except OnnxdtdError as error:
        lines = [f"{name}: {line}" for line in str(error).splitlines()]
        kind = UnsupportedError if isinstance(error, UnsupportedError) else type(error)
        raise kind("\n".join(lines)) from None
    return Served(name, explainer)
