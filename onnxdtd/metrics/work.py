"""One method after the other, one chunk of inputs after the other, one case after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.entries import MetricEntry
from onnxdtd.errors import InputError, OnnxdtdError, TargetError, UsageError
from onnxdtd.metrics.case import Case, Settings
from onnxdtd.metrics.journal import Journal
from onnxdtd.metrics.methods import Candidate, Maker
from onnxdtd.metrics.sources import Ask, Source
from onnxdtd.metrics.survey import Survey
from onnxdtd.metrics.view import View
from onnxdtd.plan.coefficients import seed_mask
from onnxdtd.plan.target import Target
from onnxdtd.registry import METRICS
from onnxdtd.types import Array, Arrays
from onnxdtd.workers import Reader

Chunk = list[tuple[int, Arrays]]
Record = dict[str, Any]

DIGITS = 6
"""Of the curves, which are for pictures; scores are kept in full."""


@dataclass(frozen=True)
class Task:
    """Inputs that one method explains in one pass, by their numbers. pending: those of them that are to be scored."""

    method: str
    inputs: range
    pending: frozenset[int]

    @property
    def about(self) -> str:
        """Which, in words."""
        return f"the {len(self.inputs)} inputs from number {self.inputs.start} on, by {self.method}"


class Work:
    """Scores tasks. by_label: the target is each input's label. masks: of each input. methods, metrics: what is
    scored, and by what, once that is known. orphaned: whether nobody waits for the scores any more.

    It pickles, and opens the data and starts sessions anew in the process where it arrives."""

    def __init__(
        self, reader: Reader, survey: Survey, maker: Maker, settings: Settings, seed: int, question: Target,
        by_label: bool, masks: list[npt.NDArray[np.bool_]] | None = None,
    ) -> None:  # fmt: skip
        self.reader, self.survey, self.maker, self.settings, self.seed = reader, survey, maker, settings, seed
        self.scorer, self.question, self.by_label, self.masks = maker.scorer, question, by_label, masks
        self.methods: tuple[Candidate, ...] = ()
        self.metrics: tuple[str, ...] = ()
        self.orphaned: Callable[[], bool] = bool  # which says no
        self._source: tuple[str, Source] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_source": None}

    def tasks(self, journal: Journal) -> Iterator[Task]:
        """One method after the other, the inputs in their order, as many as one pass takes; what the journal has is
        left out. The same passes whatever was done before, so that an interrupted run finds the numbers of a whole
        one."""
        for method in self.methods:
            for inputs in self.survey.chunks(self.scorer.batch):
                pending = frozenset(i for i in inputs if (method.name, i) not in journal.done)
                if pending:
                    yield Task(method.name, inputs, pending)

    def read(self, inputs: range) -> Chunk:
        """These inputs."""
        return [(i, self.reader.at(i)().inputs) for i in inputs]

    def first(self) -> Chunk:
        """The first input, on which all is tried."""
        return self.read(range(1))

    def ask(self, chunk: Chunk) -> tuple[Ask, Array]:
        """What a method is asked of a chunk, and the logits (N, K)."""
        indices = np.array([i for i, _ in chunk])
        feeds = {name: np.concatenate([f[name] for _, f in chunk]) for name in chunk[0][1]}
        logits = self.scorer.logits(feeds)
        rngs = [np.random.default_rng([self.seed, i, *b"explanation"]) for i in indices]
        return Ask(feeds, self._classes(logits, indices), indices, rngs), logits

    def applicable(
        self, entries: Sequence[MetricEntry], *, named: bool
    ) -> tuple[list[MetricEntry], dict[str, str]]:
        """The metrics that this model and data can have, and why not the others. UsageError if one was named."""
        if not named and self.masks is None:  # nobody would ask for them
            entries = [entry for entry in entries if entry.needs != "mask"]
        chunk = self.first()
        _, logits = self.ask(chunk)
        lacking = {}
        if not self.survey.view(chunk[0][1], self.scorer.inputs).spatial:
            lacking["places"] = "a table has no regions"
        if self.scorer.probabilities(logits) is None:
            lacking["probability"] = "the model has no class probabilities"
        if self.masks is None:
            lacking["mask"] = "nothing says where the object is (--masks)"
        if self.scorer.tokens:
            lacking["places"] = "tokens have no regions"
            lacking["another explanation"] = "tokens cannot be moved by a little"
        if logits.shape[1] < 2:
            lacking["another class"] = "the output has one element"
        left_out = {entry.name: lacking[entry.needs] for entry in entries if entry.needs in lacking}
        if left_out and (named or len(left_out) == len(entries)):
            raise UsageError("; ".join(f"metric {name}: {why}" for name, why in left_out.items()))
        return [entry for entry in entries if entry.name not in left_out], left_out

    def __call__(self, task: Task) -> Iterator[Record]:
        """The records of a task, one after the other."""
        if self._source is None or self._source[0] != task.method:
            (method,) = (method for method in self.methods if method.name == task.method)
            self._source = task.method, self.maker(method)
        for case in self._cases(self.read(task.inputs), self._source[1]):
            if case.index in task.pending:
                if self.orphaned():
                    raise OnnxdtdError("the process that handed out the inputs is gone")
                yield {"method": task.method, **self._record(case)}

    def _cases(self, chunk: Chunk, source: Source) -> Iterator[Case]:
        ask, logits = self.ask(chunk)
        view = self.survey.view(chunk[0][1], self.scorer.inputs)
        background = self.survey.background(view)
        relevance, seeds = source(ask)
        joined = view.join(relevance).astype(np.float64)
        for k, (i, feeds) in enumerate(chunk):
            yield Case(
                index=i,
                feeds=feeds,
                x=view.join({name: feeds[name] for name in self.scorer.inputs})[0],
                relevance=joined[k],
                seed=float(seeds[k]),
                target=int(ask.classes[k]),
                logits=logits[k],
                source=source,
                scorer=self.scorer,
                view=view,
                background=background,
                settings=self.settings,
                entropy=self.seed,
                mask=None if self.masks is None else self._mask(i, view),
            )

    def _mask(self, i: int, view: View) -> npt.NDArray[np.bool_]:
        assert self.masks is not None
        mask, pixels = self.masks[i], int(view.units(1).max()) + 1
        if mask.size != pixels:
            raise InputError(f"the mask of input {i} is {mask.shape}, the model sees {pixels} pixels")
        return mask

    def _record(self, case: Case) -> Record:
        finite, names = bool(np.isfinite(case.relevance).all()), self.reader.data.names
        scores: dict[str, float] = {}
        curves: dict[str, list[float]] = {}
        for entry in (METRICS[name] for name in self.metrics) if finite else ():
            if entry.needs.startswith("another") and not case.source.repeats:
                continue
            measured = entry.measure(case)
            scores |= {f"{entry.name}.{key}": float(value) for key, value in measured.scores.items()}
            curves |= {f"{entry.name}.{key}": _short(curve) for key, curve in measured.curves.items()}
        return {
            "input": case.index,
            "name": names[case.index] if names else None,
            "target": case.target,
            "logit": float(case.logits[case.target]),
            "relevance": "not finite" if not finite else "zero" if not case.relevance.any() else "finite",
            "scores": scores,
            "curves": curves,
        }

    def _classes(self, logits: Array, indices: Array) -> npt.NDArray[np.intp]:
        """The explained class of each input, as a flat index of the output."""
        if self.by_label:
            assert self.survey.labels is not None  # or `survey` has refused
            labels = self.survey.labels[indices]
            if labels.min() < 0 or labels.max() >= logits.shape[1]:
                raise TargetError(
                    f"label {labels.max()} is none of the {logits.shape[1]} classes of the output"
                )
            return np.asarray(labels, np.intp)
        if self.question.index is None:
            return np.asarray(np.argmax(logits, axis=1), np.intp)
        mask = seed_mask(self.question, np.zeros((1, *self.scorer.shape)))
        return np.full(len(logits), int(mask.argmax()), np.intp)


def _short(curve: Array) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in curve]
