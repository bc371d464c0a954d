"""The rows of a task, explained a few at a time."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from onnxdtd.datasets.task import Task
from onnxdtd.each import MOST_ELEMENTS, explain_at_once, explain_together, most_rows
from onnxdtd.errors import OnnxdtdError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row, check_inputs
from onnxdtd.inputs.parts import free
from onnxdtd.types import Array, Arrays
from onnxdtd.workers import Reader

Read = Callable[[], Row]


@dataclass(frozen=True)
class Pass:
    """Rows that were explained together: their ids, places in the data, labels, and what makes the picture of each.
    e: with a sample for each of them, and further ones where a fixed batch was filled up."""

    ids: Sequence[str]
    places: Sequence[int]
    labels: Sequence[int | str | None]
    pictures: Sequence[Callable[[], Array] | None]
    e: Explanation


class Passes:
    """Explains the rows of tasks. keep: as of `Store`. reader: of the data, None where tasks bring their rows."""

    def __init__(
        self, explainer: Explainer, target: Any, keep: tuple[str, ...], reader: Reader | None
    ) -> None:
        self._explainer, self._target, self._keep, self._reader = explainer, target, keep, reader

    def __call__(self, task: Task, failed: dict[str, str]) -> Iterator[Pass]:
        """The passes; in `failed` the reason of each row that has no explanation. Rows that lie side by side are read
        and checked together, and one by one where one of them does not fit."""
        if self._reader is None:
            rows = ((row.id, partial(self._checked, row)) for row in task.rows or ())
            yield from self._by_row(rows, task, failed)
            return
        start = 0
        while start < len(task.ids):
            part = task.part(start, self._side_by_side(task.places, start))
            start += len(part.ids)
            e = self._at_once(part) if len(part.ids) > 1 else None
            if e is None:
                reads = ((name, self._reader.at(i)) for name, i in zip(part.ids, part.places, strict=True))
                yield from self._by_row(reads, part, failed)
                continue
            labels, nothing = self._reader.data.labels, [None] * len(part.ids)
            own = nothing if labels is None else labels[[*part.places]].tolist()
            yield Pass(part.ids, part.places, own, nothing, e)

    @cached_property
    def _values(self) -> dict[str, Any]:
        """What the model takes, whatever the batch."""
        return {name: free(value) for name, value in self._explainer.inputs.items()}

    @cached_property
    def _most(self) -> int:
        """Rows of a pass, however small they are."""
        return most_rows(self._explainer, [self._target])

    def _in_a_pass(self, arrays: Arrays) -> int:
        """How many rows like this one, by name, share a pass."""
        elements = sum(np.size(x) for x in arrays.values())
        return max(min(self._most, MOST_ELEMENTS // max(elements, 1)), 1)

    @cached_property
    def _stacked(self) -> int:
        """How many rows are read at once; 0 where they do not lie side by side."""
        assert self._reader is not None
        try:
            first = self._reader.together(0, 1)
        except OnnxdtdError:  # which the rows tell, one by one
            return 0
        return 0 if first is None else self._in_a_pass(first)

    def _side_by_side(self, places: Sequence[int], start: int) -> int:
        """How many rows from this one on stand one behind the other in the data; all, where they are read one by
        one."""
        if not self._stacked:
            return len(places) - start
        count = 1
        while (
            count < self._stacked
            and start + count < len(places)
            and places[start + count] == places[start] + count
        ):
            count += 1
        return count

    def _at_once(self, task: Task) -> Explanation | None:
        """By one pass; None where the rows do not lie side by side, or one of them does not fit."""
        assert self._reader is not None
        try:
            arrays = self._reader.together(task.places[0], len(task.places))
            if arrays is None:
                return None
            feeds = check_inputs(arrays, self._values)
            return explain_at_once(self._explainer, feeds, self._target, keep=self._keep)
        except OnnxdtdError:
            return None

    def _by_row(
        self, reads: Iterable[tuple[str, Read]], task: Task, failed: dict[str, str]
    ) -> Iterator[Pass]:
        places = dict(zip(task.ids, task.places, strict=True))

        def faulty(name: str, error: OnnxdtdError) -> None:
            failed[name] = str(error)

        def rows() -> Iterator[Row]:
            for name, read in self._ahead(reads):
                try:
                    row = read.result()
                except OnnxdtdError as error:
                    faulty(name, error)
                else:
                    yield dataclasses.replace(row, id=name)

        made = explain_together(self._explainer, rows(), self._target, faulty=faulty, keep=self._keep)
        for batch, e in made:
            where = [places[row.id] for row in batch]
            labels = [self._label(row, place) for row, place in zip(batch, where, strict=True)]
            yield Pass([row.id for row in batch], where, labels, [row.picture for row in batch], e)

    def _ahead(self, reads: Iterable[tuple[str, Read]]) -> Iterator[tuple[str, Future[Row]]]:
        """The reads, of which those of the next pass are done beside while this one is explained."""
        begun: deque[tuple[str, Future[Row]]] = deque()
        ahead = 1
        for name, read in reads:
            begun.append((name, self._beside.submit(copy_context().run, read)))
            if len(begun) > ahead:
                name, future = begun.popleft()
                if future.exception() is None:
                    ahead = self._in_a_pass(future.result().inputs)
                yield name, future
        yield from begun

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        """Where rows are read, one after the other."""
        return ThreadPoolExecutor(1)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_beside"}

    def _label(self, row: Row, place: int) -> int | str | None:
        if row.label is None and self._reader is not None and self._reader.data.labels is not None:
            return int(self._reader.data.labels[place])
        return row.label

    def _checked(self, row: Row) -> Row:
        """A row that somebody gave: an array or a dict of arrays, with or without a batch axis."""
        parts: Arrays
        parts = row.inputs if isinstance(row.inputs, Mapping) else dict.fromkeys(self._values, row.inputs)
        arrays = {name: np.asarray(x) for name, x in parts.items()}
        for name, x in arrays.items():
            shape = self._values[name].shape if name in self._values else None
            if shape is not None and x.ndim == len(shape) - 1:
                arrays[name] = x[None]
        return dataclasses.replace(row, inputs=check_inputs(arrays, self._values))
