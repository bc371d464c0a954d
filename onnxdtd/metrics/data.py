"""The inputs of an evaluation, one after the other: from arrays in memory, .npz, .npy, or a folder of images.

Files are read row by row, so that a data set may be larger than memory.
"""

from __future__ import annotations

import dataclasses
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError
from onnxdtd.folder import DAMAGED, one_line
from onnxdtd.inputs import IMAGE_SUFFIXES, Preprocess, check_inputs
from onnxdtd.model.graph import Value
from onnxdtd.types import Array

Arrays = dict[str, Array]
LABELS = "labels"


@dataclass(frozen=True)
class DataSet:
    """count inputs. names: of the files, if each has one. labels: (count,) integers, or None."""

    count: int
    rows: Callable[[], Iterator[Arrays]]
    values: Mapping[str, Value]
    labels: Array | None = None
    names: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[Arrays]:
        """Each input, checked, with a batch axis of one. InputError says which input does not fit."""
        free = {name: _free(value) for name, value in self.values.items()}
        for i, row in zip(range(self.count), self.rows(), strict=False):
            try:
                yield check_inputs({name: array[None] for name, array in row.items()}, free)
            except InputError as error:
                where = f"'{self.names[i]}'" if self.names else f"input {i} of the data"
                raise InputError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from None


def open_data(
    data: Any,
    values: Mapping[str, Value],
    *,
    labels: npt.ArrayLike | None = None,
    preprocess: Preprocess | None = None,
    limit: int | None = None,
) -> DataSet:
    """The data set in a path, an array (N, ...) or a dict of arrays by input name, which may hold `labels` too.

    limit: only so many, the first. Raises InputError for what cannot be read, is empty, or differs in length.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is the number of inputs to take, at least 1, not {limit}")
    names = None
    if isinstance(data, (str, Path)) and Path(data).is_dir():
        files, preprocess = _images(Path(data), values, preprocess)
        names = tuple(path.name for path in files)
        sizes = {"": len(files)}
        rows: Callable[[], Iterator[Arrays]] = partial(_pictures, files, preprocess, next(iter(values)))
    elif isinstance(data, (str, Path)):
        members, stored = _members(Path(data), values)
        labels = stored if labels is None else labels
        sizes = {name: count for name, (count, _) in members.items()}
        rows = partial(_together, {name: read for name, (_, read) in members.items()})
    else:
        columns = dict(data) if isinstance(data, Mapping) else dict.fromkeys(values, data)
        stored = columns.pop(LABELS, None) if LABELS not in values else None
        labels = stored if labels is None else labels
        arrays = {name: np.asarray(array) for name, array in columns.items()}
        sizes = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
        rows = partial(_together, {name: array.__iter__ for name, array in arrays.items()})
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        lengths = ", ".join(f"'{name}' {count}" for name, count in sizes.items())
        raise InputError(
            f"the data hold no inputs, or not as many of each: {lengths}; the first axis counts them"
        )
    (count,) = set(sizes.values())
    count = min(count, limit or count)
    return DataSet(count, rows, values, _checked(labels, count), names)


def _checked(labels: npt.ArrayLike | None, count: int) -> Array | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) < count:
        raise InputError(
            f"labels are one integer for each input: {array.dtype} {array.shape} for {count} inputs is not that"
        )
    return array[:count].astype(np.int64)


def _free(value: Value) -> Value:
    """Of any batch: how many go into one pass is for the evaluation to arrange."""
    return dataclasses.replace(value, shape=value.shape and (None, *value.shape[1:]))


def _together(readers: Mapping[str, Callable[[], Iterator[Array]]]) -> Iterator[Arrays]:
    for row in zip(*(read() for read in readers.values()), strict=True):
        yield dict(zip(readers, map(np.asarray, row), strict=True))


def _pictures(files: Sequence[Path], preprocess: Preprocess, name: str) -> Iterator[Arrays]:
    for file in files:
        yield {name: preprocess(file)[0]}


def _images(
    folder: Path, values: Mapping[str, Value], preprocess: Preprocess | None
) -> tuple[list[Path], Preprocess]:
    if len(values) != 1:
        raise InputError(
            f"'{folder}' is a folder of images, the model takes {len(values)} inputs: give an .npz by name"
        )
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not files:
        raise InputError(f"'{folder}' holds no images ({' '.join(IMAGE_SUFFIXES)})")
    if preprocess is None:
        raise InputError(
            f"'{folder}' holds images, and nothing says how the model wants them: give a preprocessing file "
            "(--preprocess FILE.toml), flags such as --resize 224 --scale 0.00392157, or 'onnxdtd.preprocess' in "
            "the model's metadata"
        )
    return files, preprocess


Member = tuple[int, Callable[[], Iterator[Array]]]


def _members(path: Path, values: Mapping[str, Value]) -> tuple[dict[str, Member], Array | None]:
    """By input name how many rows a file holds and how to read them; and its labels."""
    if path.suffix.lower() not in (".npz", ".npy"):
        raise InputError(f"'{path}': data are an .npz, an .npy, or a folder of images")
    if not path.exists():
        raise InputError(f"'{path}' is not there")
    if path.suffix.lower() == ".npy":
        (only, *others) = values
        if others:
            raise InputError(
                f"'{path}' holds one array, the model takes {len(values)}: put them into an .npz by name"
            )
        return {only: _member(path, None)}, None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except DAMAGED as error:
        raise InputError(f"'{path}' is not a whole .npz file: {one_line(error)}") from None
    labels = None
    if LABELS in names and LABELS not in values:
        names.remove(LABELS)
        labels = np.array(list(_member(path, LABELS)[1]()))
    if len(values) == 1 and len(names) == 1:  # whatever it is called
        return {next(iter(values)): _member(path, names[0])}, labels
    return {name: _member(path, name) for name in names}, labels


def _member(path: Path, name: str | None) -> Member:
    with _opened(path, name) as (_, shape, _, _):
        return (shape[0] if shape else 0), partial(_rows, path, name)


def _rows(path: Path, name: str | None) -> Iterator[Array]:
    with _opened(path, name) as (file, shape, dtype, fortran):
        if fortran and len(shape) > 1:  # rows are not in one piece
            whole = np.frombuffer(file.read(), dtype, math.prod(shape)).reshape(shape, order="F")
            yield from whole
            return
        size = math.prod(shape[1:]) * dtype.itemsize
        for _ in range(shape[0]):
            yield np.frombuffer(file.read(size), dtype).reshape(shape[1:])


@contextmanager
def _opened(path: Path, name: str | None) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any], bool]]:
    """The bytes behind the header of an .npy file, or of one inside an .npz: file, shape, type, column-major?"""
    try:
        with path.open("rb") as outer:
            if name is None:
                yield (outer, *_header(outer))
                return
            with zipfile.ZipFile(outer) as archive, archive.open(f"{name}.npy") as file:
                yield (file, *_header(file))
    except DAMAGED as error:
        raise InputError(f"'{path}' is not a whole {path.suffix} file: {one_line(error)}") from None


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects (pickle), which can run code")
    return shape, dtype, fortran
