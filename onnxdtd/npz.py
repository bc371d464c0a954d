"""Named arrays in .npz files of our own, and the headers of .npy data, without pickle.

An archive's members bear the arrays' names where all of these are plain; else they are numbered, in the order in
which the JSON beside the archive names them: a model's names are a stranger's, and a member's name is a path.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from onnxdtd.disk import open_regular
from onnxdtd.errors import InputError, one_line
from onnxdtd.memory import beyond, limit
from onnxdtd.types import Arrays

DESCRIBED = ("dtype", "shape", "sha256")
OBJECTS = "Object arrays cannot be loaded"
_LONGEST = 100  # letters of a member's name
_MOST_MEMBERS = 4096


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write `arrays` as .npz under any name (np.savez takes no "file"); equal arrays give equal bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for label, array in zip(labels(list(arrays)), arrays.values(), strict=True):
            with archive.open(zipfile.ZipInfo(f"{label}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _storable(array), allow_pickle=False)


def read_arrays(path: Path, described: Mapping[str, Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a .npz, in the order of `described` and equal to it; InputError otherwise.

    Names are compared first, then types and shapes, then what the arrays hold, so that nothing else is read.
    """
    if not isinstance(described, Mapping):
        raise TypeError("arrays are described by name")
    strange = InputError(f"'{path}' and the JSON beside it are not of one result")
    arrays = {}
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            stored = names_of(archive)
            members = next(
                (n for n in (labels(list(described)), [*described]) if sorted(n) == sorted(stored)), None
            )
            if members is None:
                raise strange
            if sum(math.prod(about["shape"]) for about in described.values()) > limit():
                raise strange
            for label, (name, about) in zip(members, described.items(), strict=True):
                with archive.open(f"{label}.npy") as member:
                    shape, dtype, fortran = header(member)
                    if [dtype.name, list(shape)] != [about["dtype"], about["shape"]]:
                        raise strange
                    arrays[name] = data(member, shape, dtype, fortran)
                if describe(arrays[name]) != {key: about[key] for key in DESCRIBED}:
                    raise strange
    except FileNotFoundError:
        raise InputError(f"'{path}' is missing: the result is not whole") from None
    except InputError:
        raise
    except Exception as error:  # NumPy's header parser and the decompressors raise anything
        raise InputError(f"'{path}' is damaged: {one_line(error)}") from None
    return arrays


def labels(names: Sequence[str]) -> list[str]:
    """What the members are called: as the arrays, or by number where one of the names is no plain one."""
    return list(names) if all(map(_is_plain, names)) else [str(i) for i in range(len(names))]


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    strange = {"", ".", ".."} & set(parts) or "\\" in name or ":" in parts[0][1:2]
    return name.isprintable() and len(name) <= _LONGEST and not strange


def names_of(archive: zipfile.ZipFile) -> list[str]:
    """The arrays' names. Raises ValueError for two of one name, for far too many, and for members that overlap."""
    entries = archive.infolist()
    names = [entry.filename.removesuffix(".npy") for entry in entries]
    if len(names) > _MOST_MEMBERS:
        raise ValueError(f"it has {len(names):,} members, more than {_MOST_MEMBERS:,}")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"it has '{twice[0]}' twice")
    places = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    if any(start + size > later for (start, size), (later, _) in pairwise(places)):
        raise ValueError("its members overlap")
    return names


def header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type and whether column-major, of .npy data. Raises ValueError, or whatever NumPy raises."""
    version = np.lib.format.read_magic(file)
    read: Callable[[Any], Any] = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(OBJECTS)
    if not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise ValueError(f"its shape is {shape}")
    return shape, dtype, fortran


def data(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool) -> npt.NDArray[Any]:
    """The array behind a header. Raises ValueError where that is more than memory holds, or the file is too short."""
    count = math.prod(shape)
    if (size := count * dtype.itemsize) > limit():
        raise ValueError(f"it {beyond(size)}")
    flat = np.frombuffer(file.read(size), dtype, count)
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="C")


def describe(array: npt.NDArray[Any]) -> dict[str, Any]:
    """dtype, shape, and the sha256 of the elements' bytes in C order."""
    array = _storable(array)
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": digest}


def _storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Without pickle, .npy holds neither the objects of a string tensor nor bfloat16 (kind V)."""
    if array.dtype == object:
        return array.astype(np.str_)
    return array.astype(np.float32) if array.dtype.kind == "V" else array
