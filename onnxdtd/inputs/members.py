"""Arrays in .npy and .npz files: their shapes from the headers, their rows one after the other.

A file may be larger than memory: nothing but a row is held.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from onnxdtd.errors import InputError
from onnxdtd.folder import DAMAGED, one_line
from onnxdtd.types import Array

LABELS = "labels"
PICKLE = "holds Python objects (pickle), which can run code: save it with np.save of a numeric array"
_PICKLED = "Object arrays"  # as NumPy calls them


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

    def __call__(self) -> Iterator[Array]:
        """The rows, each an array of its own. InputError where the file is not whole."""
        with opened(self.path, self.name) as (file, shape, dtype, fortran):
            if fortran and len(shape) > 1:  # rows are not in one piece
                whole = np.frombuffer(file.read(), dtype, math.prod(shape)).reshape(shape, order="F")
                yield from whole
                return
            size = math.prod(shape[1:]) * dtype.itemsize
            for _ in range(shape[0] if shape else 0):
                yield np.frombuffer(file.read(size), dtype).reshape(shape[1:])

    def whole(self) -> Array:
        """The array. InputError where the file is not whole."""
        with opened(self.path, self.name) as (file, shape, dtype, fortran):
            count = math.prod(shape)
            flat = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
            return flat.reshape(shape, order="F" if fortran else "C").copy(order="C")


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
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except DAMAGED as error:
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
        with path.open("rb") as outer:
            if name is None:
                head = outer.read(2)
                if head != b"\x93N":  # NumPy takes everything else for a pickle
                    raise ValueError(_PICKLED if head[:1] == b"\x80" else "it is of another format")
                outer.seek(0)
                yield (outer, *_header(outer))
                return
            with zipfile.ZipFile(outer) as archive, archive.open(f"{name}.npy") as file:
                yield (file, *_header(file))
    except DAMAGED as error:
        if _PICKLED in str(error):
            raise InputError(f"'{path}' {PICKLE}") from None
        raise InputError(f"'{path}' is not a whole {path.suffix} file: {one_line(error)}") from None


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    version = np.lib.format.read_magic(file)
    read: Callable[[Any], Any] = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(_PICKLED)
    return shape, dtype, fortran
