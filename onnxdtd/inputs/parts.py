"""One file, or arrays in memory, as rows that are read one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.errors import InputError
from onnxdtd.inputs.archive import Archive, Sample, open_archive
from onnxdtd.inputs.arrays import batched, lacks_batch_axis
from onnxdtd.inputs.files import ARCHIVE, ARRAYS, TABLES, input_file, read_inputs, read_tensor
from onnxdtd.inputs.image import IMAGE_SUFFIXES, open_image
from onnxdtd.inputs.members import LABELS, Member, members
from onnxdtd.inputs.pixels import is_one_picture, is_pixels, one_picture
from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.inputs.presets import refuse_unprepared
from onnxdtd.inputs.table import Table, open_table
from onnxdtd.model.graph import Value
from onnxdtd.types import Array


@dataclass(frozen=True)
class Row:
    """One input. id: what results call it: a file's path in its folder, with a number where a file has several rows.
    inputs: by name, checked, with a batch axis of one. label: its own, if it has one. picture: what the model is
    shown, uint8 RGB, when it is called."""

    id: str
    inputs: dict[str, Array]
    label: int | str | None = None
    picture: Callable[[], Array] | None = None


Read = Callable[[], Row]
"""A row to be read: what is wrong with it is raised then, and the next one can still be read."""


Stack = Callable[[int, int], dict[str, Array]]
"""Rows from one on, so many, by input name."""


@dataclass(frozen=True)
class Part:
    """One file, or arrays in memory. id: its name. count: rows. rows: each from one on, to be read. labels: of all.
    ids: of the rows from one on, where the file names them. stacked: opens arrays whose rows lie side by side, as
    numbers that only have to be checked; called with the first row and how many, what it gives reads them."""

    id: str
    count: int
    rows: Callable[[int], Iterator[Read]]
    labels: Array | None = None
    ids: Callable[[int], Iterator[str]] | None = None
    stacked: Callable[[], Stack] | None = None


def part_of(
    name: str,
    path: Path,
    values: Mapping[str, Value],
    preprocess: Preprocess | None,
    features: Sequence[str] | None,
) -> Part:
    """The rows of one file. InputError where it cannot be opened."""
    suffix = input_file(path).suffix.lower()
    if suffix in TABLES:
        table = open_table(path, values, features)
        return Part(
            name,
            table.count,
            partial(_table_rows, table),
            table.labels(),
            None if table.id is None else table.ids,
        )
    if suffix in ARRAYS:
        stored = members(path, tuple(values))
        labels = stored.pop(LABELS, None) if LABELS not in values else None
        return _stacked(name, stored, values, preprocess, None if labels is None else labels.whole())
    if suffix == ARCHIVE:
        archive = open_archive(path)
        return Part(
            name,
            len(archive.samples),
            partial(_samples, archive, values, preprocess),
            archive.labels,
            archive.ids,
        )
    if suffix not in IMAGE_SUFFIXES:
        return in_memory(read_tensor(path), values, name)
    label = Path(name).parent.name or None
    picture = None if preprocess is None else partial(preprocess.picture, path)
    open_batch = {key: free(value) for key, value in values.items()}
    read = partial(_picture, path, open_batch, preprocess, label, picture)
    return Part(name, 1, lambda start: iter([read][start:]), ids=lambda start: iter([name][start:]))


def kept(opened: Callable[..., Part], name: str, path: Path) -> Part:
    """The part, or one row that raises what stands against it."""
    try:
        return opened(name, path)
    except InputError as error:
        return Part(name, 1, partial(_raising, error), ids=lambda start: iter([name][start:]))


def _raising(error: InputError, start: int) -> Iterator[Read]:
    def read() -> Row:
        raise error

    yield from [read][start:]


def _picture(
    path: Path, values: Mapping[str, Value], preprocess: Preprocess | None, label: str | None,
    picture: Callable[[], Array] | None,
) -> Row:  # fmt: skip
    return Row("", read_inputs(path, values, preprocess), label, picture)


def _table_rows(table: Table, start: int) -> Iterator[Read]:
    for line, cells in islice(table.lines(), start, None):
        yield partial(_table_row, table, line, cells)


def _table_row(table: Table, line: int, cells: Sequence[str]) -> Row:
    arrays, label = table.row(line, cells)
    return Row("", {name: array[None] for name, array in arrays.items()}, label)


def _samples(
    archive: Archive, values: Mapping[str, Value], preprocess: Preprocess | None, start: int
) -> Iterator[Read]:
    for sample in archive.samples[start:]:
        yield partial(_sample, archive, sample, values, preprocess)


def _sample(
    archive: Archive, sample: Sample, values: Mapping[str, Value], preprocess: Preprocess | None
) -> Row:
    arrays: dict[str, Array] = {}
    pixels: dict[str, Preprocess] = {}
    for key, content in archive.contents(sample, tuple(values)).items():
        shown = isinstance(content, BytesIO)
        if shown and preprocess is None:
            raise refuse_unprepared(sample.key)
        arrays[key] = np.asarray(open_image(content)) if isinstance(content, BytesIO) else content
        if preprocess and (shown or is_pixels(arrays[key].shape, arrays[key].dtype, values[key])):
            pixels[key] = preprocess
    return _array_row(arrays, values, pixels, sample.label)


def _stacked(
    name: str,
    stored: Mapping[str, Member],
    values: Mapping[str, Value],
    preprocess: Preprocess | None,
    labels: Array | None,
) -> Part:
    """Arrays of as many rows each; uint8 pictures are prepared one by one."""
    pixels = {
        key: preprocess
        for key, m in stored.items()
        if preprocess and key in values and is_pixels(m.shape, m.dtype, values[key])
    }
    single = [key for key in pixels if is_one_picture(stored[key].shape)]
    single += [key for key, m in stored.items() if key in values and lacks_batch_axis(m.shape, values[key])]
    sizes = {key: 1 if key in single else m.count for key, m in stored.items()}
    count = _same(sizes)

    def rows(start: int) -> Iterator[Read]:
        readers = [iter([m.whole()][start:]) if key in single else m(start) for key, m in stored.items()]
        for i, row in enumerate(zip(*readers, strict=True), start):
            label = None if labels is None or i >= len(labels) else labels[i].item()
            yield partial(_array_row, dict(zip(stored, row, strict=True)), values, pixels, label)

    return Part(name, count, rows, labels, stacked=None if pixels or single else partial(_stack, stored))


def _stack(stored: Mapping[str, Member]) -> Stack:
    pieces = {key: member.pieces() for key, member in stored.items()}
    for each in pieces.values():
        next(each)
    return lambda first, count: {key: each.send((first, count)) for key, each in pieces.items()}


def _array_row(
    arrays: Mapping[str, Array],
    values: Mapping[str, Value],
    pixels: Mapping[str, Preprocess],
    label: int | str | None,
) -> Row:
    picture = None
    inputs = {
        key: _as_one(np.asarray(array), values.get(key)) for key, array in arrays.items() if key not in pixels
    }
    for key, preprocess in pixels.items():
        shown = one_picture(arrays[key])
        inputs[key], picture = preprocess(shown), partial(preprocess.picture, shown)
    return Row("", inputs, label, picture)


def _as_one(row: Array, value: Value | None) -> Array:
    """A batch of one: as the row is, where it has all axes of the model's input and the first is of length 1."""
    whole = value is not None and value.shape is not None and row.ndim == len(value.shape)
    return row if whole and row.shape[:1] == (1,) else row[None]


def in_memory(data: Any, values: Mapping[str, Value], name: str = "input") -> Part:
    """The rows of an array, or of a dict of arrays by input name, with `labels` beside them."""
    columns = dict(data) if isinstance(data, Mapping) else dict.fromkeys(values, data)
    labels = columns.pop(LABELS, None) if LABELS not in values else None
    arrays = {key: np.asarray(array) for key, array in columns.items()}
    arrays = {key: batched(a, values[key]) if key in values else a for key, a in arrays.items()}
    count = _same({key: array.shape[0] if array.ndim else 0 for key, array in arrays.items()})

    def rows(start: int) -> Iterator[Read]:
        for i in range(start, count):
            yield partial(_array_row, {key: array[i] for key, array in arrays.items()}, values, {}, None)

    def stacked() -> Stack:
        return lambda first, count: {key: array[first : first + count] for key, array in arrays.items()}

    return Part(name, count, rows, None if labels is None else np.asarray(labels), stacked=stacked)


def _same(sizes: Mapping[str, int]) -> int:
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        lengths = ", ".join(f"'{name}' {count}" for name, count in sizes.items())
        raise InputError(
            f"the data hold no inputs, or not as many of each: {lengths}; the first axis counts them"
        )
    return next(iter(sizes.values()))


def free(value: Value) -> Value:
    """Of any batch: how many go into one pass is for others to arrange."""
    return dataclasses.replace(value, shape=value.shape and (None, *value.shape[1:]))
