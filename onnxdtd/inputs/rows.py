"""Many inputs, one after the other: files, folders, the rows of .npz and CSV files, arrays in memory.

    for row in open_data(["photos/", "more.npz"], explainer.inputs, preprocess=...):
        row.id, row.inputs, row.label

Nothing but one row is held at a time, so a data set may be larger than memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError
from onnxdtd.inputs.arrays import check_inputs
from onnxdtd.inputs.image import IMAGE_SUFFIXES
from onnxdtd.inputs.listing import files_of
from onnxdtd.inputs.parts import Part, Read, Row, Stack, free, in_memory, kept, part_of
from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.inputs.presets import refuse_unprepared
from onnxdtd.model.graph import Value
from onnxdtd.types import Array


@dataclass(frozen=True)
class DataSet:
    """Rows of one part after the other. count: of them all. labels: (count,) integers, or None. Iterated, it gives
    each `Row` and raises InputError at the first that does not fit; `each` tells of those and goes on."""

    parts: tuple[Part, ...]
    values: Mapping[str, Value]
    count: int
    labels: Array | None = None

    @cached_property
    def _open(self) -> dict[str, Value]:
        """What the model takes, its batch axis left open."""
        return {name: free(value) for name, value in self.values.items()}

    @cached_property
    def names(self) -> tuple[str, ...] | None:
        """What results call the rows, where each is a file of its own."""
        if any(part.count != 1 for part in self.parts):
            return None
        return tuple(part.id for part in self.parts)[: self.count]

    def __iter__(self) -> Iterator[Row]:
        """Each row; InputError says which one does not fit."""
        for name, read in self._reads():
            yield self._checked(name, read)

    def each(self, faulty: Callable[[str, InputError], object]) -> Iterator[Row]:
        """Each row that can be read. faulty: told the name and the fault of each that cannot."""
        for name, read in self._reads():
            try:
                row = self._checked(name, read)
            except InputError as error:
                faulty(name, error)
            else:
                yield row

    def ids(self) -> Iterator[str]:
        """What tells each row from the others for good: its file's path in its folder, what a column `id` says, or
        its number, behind the name of its file where there are several."""
        left = self.count
        for part in self.parts:
            numbers = (str(i) if len(self.parts) == 1 else f"{part.id}[{i}]" for i in range(part.count))
            yield from islice(part.ids(0) if part.ids else numbers, left)
            left -= min(part.count, left)

    def stacked(self) -> Stack | None:
        """What reads rows side by side, opened anew, if all data are arrays of one file: numbers, not checked yet."""
        (first, *others) = self.parts
        return first.stacked() if first.stacked is not None and not others else None

    def reads(self, start: int = 0) -> Iterator[tuple[str, Callable[[], Row]]]:
        """The rows from one on, not read: the name of each, and what reads it or raises InputError."""
        for name, read in self._reads(start):
            yield name, partial(self._checked, name, read)

    def _reads(self, start: int = 0) -> Iterator[tuple[str, Read]]:
        at = 0
        for part in self.parts:
            first = max(start - at, 0)
            rows = part.rows(first) if first < part.count else iter(())
            for i, read in enumerate(islice(rows, max(self.count - at - first, 0)), first):
                yield part.id if part.count == 1 else f"{part.id}[{i}]", read
            at += part.count

    def _checked(self, name: str, read: Read) -> Row:
        try:
            row = read()
            return dataclasses.replace(row, id=name, inputs=check_inputs(row.inputs, self._open))
        except InputError as error:
            lines = [line if name in line else f"'{name}': {line}" for line in str(error).splitlines()]
            raise InputError("\n".join(lines)) from None


def open_data(
    data: Any,
    values: Mapping[str, Value],
    *,
    labels: npt.ArrayLike | None = None,
    preprocess: Preprocess | None = None,
    features: Sequence[str] | None = None,
    limit: int | None = None,
) -> DataSet:
    """The rows of a path (a file or a folder with its sub-folders), of several paths, of an array (N, ...), or of a
    dict of arrays by input name, which may hold `labels` too.

    A list (.txt) names files, one a line. A folder is its pictures, or where it has none its other files. limit: only
    so many rows, the first. Raises InputError for what is empty or differs in length, and for one path that cannot be
    read; of several, such a path is a row that raises when it is read.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is the number of inputs to take, at least 1, not {limit}")
    if isinstance(data, (str, Path)) or (isinstance(data, (list, tuple)) and _are_paths(data)):
        files = files_of([Path(data)] if isinstance(data, (str, Path)) else [Path(path) for path in data])
        pictures = [path for _, path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        if pictures and preprocess is None:
            raise refuse_unprepared(pictures[0])
        opened = partial(part_of, values=values, preprocess=preprocess, features=features)
        parts = [opened(*files[0])] if len(files) == 1 else [kept(opened, name, file) for name, file in files]
    else:
        parts = [in_memory(data, values)]
    count = sum(part.count for part in parts)
    count = min(count, limit or count)
    if not count:
        raise InputError("the data hold no inputs")
    stored = [part.labels for part in parts]
    if labels is None and all(some is not None for some in stored):
        labels = np.concatenate([some for some in stored if some is not None])
    return DataSet(tuple(parts), values, count, _integers(labels, count))


def _integers(labels: npt.ArrayLike | None, count: int) -> Array | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) < count:
        raise InputError(
            f"labels are one integer for each input: {array.dtype} {array.shape} for {count} inputs is not that"
        )
    return array[:count].astype(np.int64)


def _are_paths(data: Sequence[Any]) -> bool:
    return bool(data) and all(isinstance(entry, (str, Path)) for entry in data)


def is_stream(data: Any) -> bool:
    """Whether the data are an iterable of (id, inputs), and no path, array or dict."""
    if isinstance(data, (str, Path, Mapping, np.ndarray)) or hasattr(data, "__array__"):
        return False
    if isinstance(data, (list, tuple)):
        return bool(data) and isinstance(data[0], tuple)
    return isinstance(data, Iterable)
