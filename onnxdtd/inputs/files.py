"""One file as a model's inputs: .npy, .npz, .csv, .parquet, .pb, or an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, numpy_helper

from onnxdtd.disk import open_regular, read_bytes
from onnxdtd.errors import InputError, one_line
from onnxdtd.inputs.arrays import check_inputs, listed, refuse_misfits
from onnxdtd.inputs.image import IMAGE_SUFFIXES
from onnxdtd.inputs.lines import PARQUET
from onnxdtd.inputs.members import LABELS, Member, members
from onnxdtd.inputs.pixels import is_pixels, prepared_pixels
from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.inputs.presets import must_be, refuse_unprepared
from onnxdtd.inputs.table import open_table
from onnxdtd.memory import beyond, limit
from onnxdtd.model.graph import Value
from onnxdtd.types import Array

ARRAYS, TABLES, ARCHIVE = (".npy", ".npz"), (".csv", PARQUET), ".tar"
LARGEST_TENSOR = 2**31  # bytes that protobuf can hold
SUFFIXES = (*ARRAYS, *TABLES, ARCHIVE, ".pb", *IMAGE_SUFFIXES)


def read_inputs(
    path: str | Path,
    values: Mapping[str, Value],
    preprocess: Preprocess | None = None,
    features: Sequence[str] | None = None,
) -> dict[str, Array]:
    """The checked inputs of a model, by name, from one file.

    .npz: one array for each input, by name; "labels" beside them is left out, and an only array may have any name.
    .csv, .parquet: rows by the names of columns, see `open_table`, which `features` names. .npy (an array), .pb (a
    TensorProto), images (need `preprocess`, which prepares uint8 arrays of pictures too): models with one input.
    values: the model's inputs. InputError names what does not fit and what mends it.
    """
    path = input_file(path)
    suffix = path.suffix.lower()
    if suffix in TABLES:
        return check_inputs(open_table(path, values, features).whole(), values)
    if suffix == ARCHIVE:
        raise InputError(f"'{path}' is an archive of many samples: give one that is taken out of it")
    if suffix != ".npz" and len(values) != 1:
        keywords = ", ".join(f"'{name}': ..." for name in values)
        cure = f"put them into one .npz by name: np.savez('inputs.npz', **{{{keywords}}})"
        raise InputError(f"'{path}' holds one array, but the model takes {listed(values)}; {cure}")
    if suffix in IMAGE_SUFFIXES:
        if preprocess is None:
            raise refuse_unprepared(path)
        return read_picture(path, values, preprocess)
    if suffix == ".pb":
        return check_inputs(read_tensor(path), values)
    stored = members(path, tuple(values))
    check_headers(
        {name: m for name, m in stored.items() if name in values or name != LABELS}, values, preprocess
    )
    arrays = {name: member.whole() for name, member in stored.items() if name in values or name != LABELS}
    for name, array in arrays.items():
        if name in values and is_pixels(array.shape, array.dtype, values[name]) and preprocess is not None:
            arrays[name] = prepared_pixels(array, preprocess)
    return check_inputs(arrays, values)


def check_headers(
    stored: Mapping[str, Member], values: Mapping[str, Value], preprocess: Preprocess | None
) -> None:
    """InputError where names, shapes or types do not fit the model, or all of it is more than memory holds: before
    any of it is read."""
    stand_ins = {
        name: np.broadcast_to(np.zeros((), m.dtype), m.shape)
        for name, m in stored.items()
        if preprocess is None or name not in values or not is_pixels(m.shape, m.dtype, values[name])
    }
    refuse_misfits(stand_ins, values, tuple(stored))
    if (size := sum(math.prod(m.shape) * m.dtype.itemsize for m in stored.values())) > limit():
        raise InputError(f"the input {beyond(size)}")


def read_picture(path: Path, values: Mapping[str, Value], preprocess: Preprocess) -> dict[str, Array]:
    """A picture as the model's one input, which it must fit. InputError says so of the layout first."""
    (value,) = values.values()
    array = preprocess(path)
    try:
        return check_inputs(array, values)
    except InputError:
        if layout := must_be(value, preprocess):
            raise InputError(f"'{path}': {layout}") from None
        raise


def input_file(path: str | Path) -> Path:
    """The path of a file that `read_inputs` may try; InputError where it is not there, or of another kind."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"'{path}': the suffix '{suffix}' is not one of {' '.join(SUFFIXES)}")
    try:
        if not path.is_file():
            raise InputError(f"'{path}' is not there" if not path.exists() else f"'{path}' is not a file")
        with open_regular(path) as file:
            if not file.read(1):
                raise InputError(f"'{path}' is empty: write it anew")
    except OSError as error:
        raise InputError(f"'{path}' cannot be opened: {error.strerror or error}") from None
    return path


def read_tensor(path: Path) -> Array:
    """The array of a TensorProto, .pb. InputError where it is none."""
    tensor = TensorProto()
    try:
        tensor.ParseFromString(read_bytes(path, LARGEST_TENSOR))
        if tensor.data_location == TensorProto.EXTERNAL:
            raise InputError(f"'{path}' keeps its data in another file: write it as .npy")
        if tensor.data_type == TensorProto.UNDEFINED:
            raise ValueError("no element type")
        return np.asarray(numpy_helper.to_array(tensor))
    except InputError:
        raise
    except Exception as error:  # protobuf's own errors have no public type in onnx
        raise InputError(f"'{path}' is not a TensorProto: {one_line(error)}") from None
