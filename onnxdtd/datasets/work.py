"""What is done with the rows of one shard, in this process or in another: read, explain, write, forget."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.arrow import arrow
from onnxdtd.audit import with_findings
from onnxdtd.audit.conservation import BALANCE, FULL, unbalance
from onnxdtd.datasets.columns import KEPT, RELEVANCE, Arrays, Shapes, Store, cells, table, tensors
from onnxdtd.durable import whole
from onnxdtd.each import explain_together, single
from onnxdtd.errors import OnnxdtdError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row, check_inputs
from onnxdtd.inputs.parts import free
from onnxdtd.registry import PASSES
from onnxdtd.render import save_heatmap
from onnxdtd.workers import Reader

SHARDS, OVERLAYS = "shards", "overlays"
GROUP_BYTES = 8 << 20
"""Of tensors that are held before they are written as a row group."""
POSITION = b"onnxdtd.position"


@dataclass(frozen=True)
class Task:
    """The rows of one shard: their places in the data and their ids. rows: themselves, where only the process that
    hands out tasks can read them."""

    places: tuple[int, ...]
    ids: tuple[str, ...]
    rows: tuple[Row, ...] | None = None

    @property
    def name(self) -> str:
        """Of the shard: by its first row."""
        return spelled(self.ids[0])

    @property
    def about(self) -> str:
        """Which rows, in words."""
        return f"the {len(self.ids)} rows from '{self.ids[0]}' on"


@dataclass(frozen=True)
class Outcome:
    """What came of a task. rows: in the shard. failed: id and reason of the others. bytes: of the shard's file."""

    rows: int
    failed: tuple[tuple[str, str], ...]
    bytes: int


class Work:
    """Explains tasks. source: the arguments of `open_data`, None where tasks bring their rows. It pickles, and opens
    the data anew in the process where it arrives. orphaned: whether nobody waits for the shard any more."""

    def __init__(
        self, explainer: Explainer, target: Any, store: Store, folder: Path,
        source: Mapping[str, Any] | None, whole_labels: bool,
    ) -> None:  # fmt: skip
        self.explainer, self.target, self.store, self.folder = explainer, target, store, folder
        self.reader = None if source is None else Reader({**source, "values": explainer.inputs})
        self.whole_labels = whole_labels
        self.orphaned: Callable[[], bool] = bool  # which says no

    def __call__(self, task: Task) -> Outcome:
        """Explain the rows and write their shard, unless it holds none."""
        failed: dict[str, str] = {}
        path = self.folder / SHARDS / f"{task.name}.parquet"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy and matplotlib; results have their own
            groups = self._groups(task, failed)
            if (first := next(groups, None)) is None:
                return Outcome(0, tuple(failed.items()), 0)
            count, size = self._written(path, task.places[0], first, groups)
        return Outcome(count, tuple(failed.items()), size)

    def explained(self, task: Task, failed: dict[str, str]) -> Iterator[tuple[list[Row], Explanation]]:
        """Rows that were explained together; in `failed` the reason of each that has no explanation."""

        def faulty(name: str, error: OnnxdtdError) -> None:
            failed[name] = str(error)

        def rows() -> Iterator[Row]:
            for name, read in self._readers(task):
                try:
                    row = read()
                except OnnxdtdError as error:
                    faulty(name, error)
                else:
                    yield row if row.id == name else dataclasses.replace(row, id=name)

        return explain_together(self.explainer, rows(), self.target, faulty=faulty, keep=self.store.keep)

    def _readers(self, task: Task) -> Iterator[tuple[str, Callable[[], Row]]]:
        if self.reader is None:
            yield from ((row.id, partial(self._taken, row)) for row in task.rows or ())
            return
        for name, place in zip(task.ids, task.places, strict=True):
            yield name, self.reader.at(place)

    def _taken(self, row: Row) -> Row:
        """A row that somebody gave, checked: an array or a dict of arrays, with or without a batch axis."""
        values = {name: free(value) for name, value in self.explainer.inputs.items()}
        parts = row.inputs if isinstance(row.inputs, Mapping) else dict.fromkeys(values, row.inputs)
        arrays = {name: np.asarray(x) for name, x in parts.items()}
        for name, x in arrays.items():
            shape = values[name].shape if name in values else None
            if shape is not None and x.ndim == len(shape) - 1:
                arrays[name] = x[None]
        return dataclasses.replace(row, inputs=check_inputs(arrays, values))

    def _groups(self, task: Task, failed: dict[str, str]) -> Iterator[Any]:
        """Arrow tables of a few rows each."""
        lines: list[dict[str, Any]] = []
        arrays: list[Arrays] = []
        shapes, size = None, 0
        places = dict(zip(task.ids, task.places, strict=True))
        for rows, e in self.explained(task, failed):
            where = [places[row.id] for row in rows]
            labels = [self._label(row, place) for row, place in zip(rows, where, strict=True)]
            made = cells(e, rows, where, labels, self._fired(e, len(rows)), self.store)
            for i, (row, line) in enumerate(zip(rows, made, strict=True)):
                try:
                    stored = tensors(e, i, self.store)
                except OnnxdtdError as error:
                    failed[row.id] = str(error)
                    continue
                shapes = shapes or self._shapes(stored, e)
                lines.append(line)
                arrays.append(stored)
                size += sum(array.nbytes for array in stored.values())
                if self.store.overlays:
                    self._draw(row, single(self.explainer, e, i))
                if size >= GROUP_BYTES:
                    yield table(lines, arrays, shapes, self.whole_labels)
                    lines, arrays, size = [], [], 0
        if lines:
            yield table(lines, arrays, shapes or {}, self.whole_labels)

    def _written(self, path: Path, position: int, first: Any, groups: Iterator[Any]) -> tuple[int, int]:
        pa = arrow()
        schema = first.schema.with_metadata({**(first.schema.metadata or {}), POSITION: str(position)})
        with whole(path) as file:
            with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                count = 0
                for group in (g for part in ([first], groups) for g in part):
                    writer.write_table(group.replace_schema_metadata(schema.metadata))
                    count += group.num_rows
            size = file.tell()
            if self.orphaned():
                raise OnnxdtdError("the process that handed out the rows is gone")
        return count, size

    def _shapes(self, stored: Arrays, e: Explanation) -> Shapes:
        """What the model states of each tensor's shape, so that all shards have the same columns."""
        values = {f"{RELEVANCE}.{name}": value for name, value in self.explainer.inputs.items()}
        graph = self.explainer.at(e.inputs).graph if e.kept else self.explainer.graph
        values |= {f"{KEPT}.{name}": graph.value(name) for name in e.kept}
        return {name: _stated(values[name].shape, array.shape) for name, array in stored.items()}

    def _fired(self, e: Explanation, count: int) -> list[list[str]]:
        """The findings that fired, of the first so many samples."""
        if self.store.audit:
            made = (with_findings(self.explainer, single(self.explainer, e, i)) for i in range(count))
            return [[finding["name"] for finding in one.findings if finding["fired"]] for one in made]
        if e.method in PASSES:
            return [[] for _ in range(count)]
        plan, books = self.explainer.at(e.inputs).plan(e.output), e.conservation
        own = (books.sample(i) if len(e.target) > 1 else books for i in range(count))
        values = [unbalance(plan, account) for account in own]
        return [[BALANCE] if value is not None and value > FULL else [] for value in values]

    def _label(self, row: Row, place: int) -> int | str | None:
        label = row.label
        if label is None and self.reader is not None and self.reader.data.labels is not None:
            label = int(self.reader.data.labels[place])
        if label is None:
            return None
        return int(label) if self.whole_labels else str(label)

    def _draw(self, row: Row, e: Explanation) -> None:
        shown = row.picture() if row.picture else None
        save_heatmap(e, self.folder / OVERLAYS / f"{spelled(row.id)}.png", picture=shown)


def spelled(name: str) -> str:
    """A file's name for an id: what of it may stand there, and a digest that tells it from all others."""
    bare = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-48:]
    return f"{bare or 'row'}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _stated(shape: Sequence[int | str | None] | None, own: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of every row; None where the model leaves a size open, or has no batch axis there."""
    tail = tuple(shape or ())[1:]
    sizes = tuple(size for size in tail if isinstance(size, int))
    return sizes if shape and sizes == tail and sizes == own and math.prod(sizes) and sizes else None
