"""Arrays in .npy and .npz files: their shapes from the headers, their rows one after the other.

A file may be larger than memory: nothing but a row is held.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from onnxdtd.disk import open_regular
from onnxdtd.errors import InputError, one_line
from onnxdtd.memory import beyond, fits
from onnxdtd.npz import OBJECTS, data, header, names_of
from onnxdtd.types import Array

LABELS = "labels"
PICKLE = "holds Python objects (pickle), which can run code: save it with np.save of a numeric array"


@dataclass(frozen=True)
class Member:
    """One stored array. name: inside an .npz, None in an .npy. Called, it reads its rows, (shape[1:],) each."""

    path: Path
    name: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def count(self) -> int:
        """Rows along the first axis."""
        return self.shape[0] if self.shape else 0

    def __call__(self, start: int = 0) -> Iterator[Array]:
        """The rows from one on, each an array of its own. InputError where the file is not whole."""
        with opened(self.path, self.name) as (file, shape, dtype, fortran):
            if fortran and len(shape) > 1:  # rows are not in one piece
                yield from data(file, shape, dtype, fortran)[start:]
                return
            if not fits(shape[1:], dtype.itemsize):
                raise ValueError(f"a row of it {beyond(math.prod(shape[1:]) * dtype.itemsize)}")
            size = math.prod(shape[1:]) * dtype.itemsize
            file.seek(start * size, 1)
            for _ in range(start, shape[0] if shape else 0):
                yield np.frombuffer(file.read(size), dtype).reshape(shape[1:])

    def pieces(self) -> Generator[Array, tuple[int, int], None]:
        """As many rows at a time as are asked for: send the first and how many, after a first (0, 0)."""
        with opened(self.path, self.name) as (file, shape, dtype, fortran):
            start, size = file.tell(), math.prod(shape[1:]) * dtype.itemsize
            rows = data(file, shape, dtype, fortran) if fortran and len(shape) > 1 else None
            first = count = 0
            while True:
                if rows is not None:
                    piece = rows[first : first + count]
                else:
                    file.seek(start + first * size)
                    piece = np.frombuffer(file.read(count * size), dtype).reshape(count, *shape[1:])
                first, count = yield piece

    def whole(self) -> Array:
        """The array. InputError where the file is not whole."""
        with opened(self.path, self.name) as (file, shape, dtype, fortran):
            return data(file, shape, dtype, fortran)


def members(path: Path, inputs: tuple[str, ...]) -> dict[str, Member]:
    """The arrays of a file by name, "labels" among them; of an .npy, and of an .npz that beside labels holds one
    array, under the name of the model's one input. InputError where the file cannot be read."""
    if path.suffix.lower() == ".npy":
        if len(inputs) != 1:
            raise InputError(
                f"'{path}' holds one array, the model takes {len(inputs)}: put them into an .npz by name"
            )
        return {inputs[0]: _member(path, None)}
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            names = names_of(archive)
    except Exception as error:  # the decompressors raise anything
        raise InputError(f"'{path}' is not a whole .npz file: {one_line(error)}") from None
    stored = {name: _member(path, name) for name in names}
    arrays = [name for name in names if name != LABELS or LABELS in inputs]
    if len(inputs) == 1 and len(arrays) == 1:
        return {inputs[0] if name == arrays[0] else name: member for name, member in stored.items()}
    return stored


def _member(path: Path, name: str | None) -> Member:
    with opened(path, name) as (_, shape, dtype, _):
        return Member(path, name, shape, dtype)


@contextmanager
def opened(path: Path, name: str | None) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any], bool]]:
    """The bytes behind the header of an .npy file, or of one inside an .npz: file, shape, type, column-major?"""
    try:
        with open_regular(path) as outer:
            if name is None:
                head = outer.read(2)
                if head != b"\x93N":  # NumPy takes everything else for a pickle
                    raise ValueError(OBJECTS if head[:1] == b"\x80" else "it is of another format")
                outer.seek(0)
                yield (outer, *header(outer))
                return
            with zipfile.ZipFile(outer) as archive, archive.open(f"{name}.npy") as file:
                yield (file, *header(file))
    except InputError:
        raise
    except Exception as error:  # NumPy's header parser and the decompressors raise anything
        if OBJECTS[:13] in str(error):
            raise InputError(f"'{path}' {PICKLE}") from None
        raise InputError(f"'{path}' is not a whole {path.suffix} file: {one_line(error)}") from None
