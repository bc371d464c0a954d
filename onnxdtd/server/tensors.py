"""Arrays as the Open Inference Protocol writes them: as JSON, or as bytes behind the JSON.

Numbers are little-endian in row-major order. BYTES elements have their length before them, four bytes. In JSON a
number that is not finite is null, and null is read as NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.errors import InputError, one_line
from onnxdtd.types import Array

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(bool),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BYTES": np.dtype(object),
}
_HEAD = 4
"""Bytes of the length before a BYTES element."""
_KINDS = {"b": "b", "u": "ui", "i": "ui", "f": "uif"}
"""What JSON numbers may be, by what they become."""


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a NumPy type."""
    if dtype.kind in "OUST":
        return "BYTES"
    return next((name for name, own in DATATYPES.items() if own == dtype.newbyteorder("<")), "FP32")


def from_json(name: str, datatype: str, data: Any, shape: Sequence[int] | None = None) -> Array:
    """A JSON list, flat or nested, as an array of the shape; without one as it is nested. Raises InputError."""
    dtype = DATATYPES[datatype]
    if not isinstance(data, list):
        raise InputError(f"input '{name}': data is a list")
    try:
        array = np.array(data, object if datatype == "BYTES" else None)
    except (ValueError, OverflowError) as error:
        raise InputError(f"input '{name}': its data is no array: {one_line(error)}") from None
    if array.dtype == object and dtype.kind == "f":
        array = _with_nan(name, array)
    elif array.dtype.kind in "fO" and dtype.kind == "u":
        array = _beyond_int64(array, data)
    if datatype == "BYTES":
        if not all(isinstance(text, str) for text in array.reshape(-1)):
            raise InputError(f"input '{name}': BYTES are written as texts in JSON")
    elif array.size and array.dtype.kind not in _KINDS[dtype.kind]:
        raise InputError(f"input '{name}': its data is not of {datatype} throughout")
    if array.size and dtype.kind in "ui":
        ends = np.iinfo(dtype)
        if array.min() < ends.min or array.max() > ends.max:
            raise InputError(f"input '{name}': {datatype} holds {ends.min} to {ends.max}")
    with np.errstate(over="ignore"):
        array = array.astype(dtype, copy=False)
    return array if shape is None else shaped(name, array.reshape(-1), shape)


def _with_nan(name: str, array: Array) -> Array:
    try:
        return np.array([math.nan if x is None else x for x in array.reshape(-1)], np.float64).reshape(
            array.shape
        )
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"input '{name}': its data is no array of numbers") from None


def _beyond_int64(array: Array, data: list[Any]) -> Array:
    """NumPy makes floats of integers of which some lie beyond int64."""
    exact = np.array(data, object)
    fits = all(type(n) is int and 0 <= n < 1 << 64 for n in exact.reshape(-1))
    return exact.astype(np.uint64) if fits else array


def from_bytes(name: str, datatype: str, data: bytes, shape: Sequence[int]) -> Array:
    """The bytes of one tensor. Raises InputError where they are not as many as the shape says."""
    dtype = DATATYPES[datatype]
    if datatype == "BYTES":
        return shaped(name, np.array([*_elements(name, data), None], object)[:-1], shape)
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise InputError(
            f"input '{name}': {datatype} of shape {list(shape)} has {math.prod(shape) * dtype.itemsize} bytes, "
            f"{len(data)} were sent"
        )
    return shaped(name, np.frombuffer(data, dtype), shape)


def shaped(name: str, flat: Array, shape: Sequence[int]) -> Array:
    """The elements in their shape. Raises InputError where they are not as many."""
    if flat.size != math.prod(shape):
        raise InputError(
            f"input '{name}': shape {list(shape)} has {math.prod(shape)} elements, {flat.size} were sent"
        )
    return flat.reshape(tuple(shape))


def _elements(name: str, data: bytes) -> list[bytes]:
    elements, place = list[bytes](), 0
    while place < len(data):
        end = place + _HEAD + int.from_bytes(data[place : place + _HEAD], "little")
        if end > len(data) or place + _HEAD > len(data):
            raise InputError(f"input '{name}': the last of its BYTES ends too early")
        elements.append(data[place + _HEAD : end])
        place = end
    return elements


def to_bytes(array: Array) -> bytes:
    """One tensor behind the JSON."""
    if datatype_of(array.dtype) != "BYTES":
        return np.ascontiguousarray(array, DATATYPES[datatype_of(array.dtype)]).tobytes()
    texts = [
        element if isinstance(element, bytes) else str(element).encode() for element in array.reshape(-1)
    ]
    return b"".join(len(text).to_bytes(_HEAD, "little") + text for text in texts)


def to_json(array: Array) -> list[Any]:
    """Flat, in row-major order."""
    flat = array.reshape(-1)
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        return [value if math.isfinite(value) else None for value in flat.tolist()]
    if datatype_of(array.dtype) == "BYTES":
        return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in flat]
    return list(flat.tolist())
