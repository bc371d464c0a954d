"""A compiled walk as a file: checked, written whole or not at all, its weights beside it where they are large."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import onnx
from onnx import checker, helper, numpy_helper, shape_inference

from onnxdtd.compiled.trace import Compiled
from onnxdtd.disk import open_regular, resolved
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.origin import Origin, origin_of
from onnxdtd.types import Arrays
from onnxdtd.version import __version__
from onnxdtd.walk.references import outside

PRODUCER = "onnxdtd"
LIMIT = 2**31 - 2**20
"""Bytes of a file, which protobuf cannot read beyond 2 GiB; above, weights go to FILE.data."""
SMALL = 1024  # Weights of fewer bytes stay in the file.
PAGE = 4096  # Where weights start in FILE.data is a multiple of it, so that they can be mapped into memory.


def complete(compiled: Compiled, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The model without its weights, but with its metadata; checked by onnx's checker and strict shape inference.

    Raises UnsupportedError where onnx refuses it.
    """
    model = onnx.ModelProto()
    model.CopyFrom(compiled.model)
    model.producer_name, model.producer_version = PRODUCER, __version__
    helper.set_model_props(model, dict(metadata))
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for name, array in compiled.constants.items():
        if array.nbytes <= SMALL or array.dtype == object:
            bare.graph.initializer.append(numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            bare.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    try:
        checker.check_model(bare, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedError(f"the compiled model does not pass onnx's own check: {lines[0]}") from None
    return model


def write(model: onnx.ModelProto, constants: Arrays, path: Path, *, apart: bool = False) -> list[Path]:
    """Write the model with its weights, which go to FILE.data where they are large or to be `apart`; those that lie
    in a file of the same folder as they are stay there. Returns the files that were written. Whatever fails, an
    earlier FILE stays or is gone, never half new. Raises UsageError where it cannot be written."""
    total = model.ByteSize() + sum(array.nbytes for array in constants.values())
    beside = path.with_name(path.name + ".data") if apart or total > LIMIT else None
    origins = {} if beside is None else _beside(path, constants)
    if beside is not None and any(origin.path == resolved(beside) for origin in origins.values()):
        raise UsageError(f"'{beside}' holds the model's own weights: name another file")
    mark = secrets.token_hex(4)
    unfinished = path.with_name(f".{path.name}.{mark}")
    data = path.with_name(f".{path.name}.data.{mark}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if beside is None:
            model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in constants.items())
        else:
            _write_data(model, constants, origins, data, beside.name)
        unfinished.write_bytes(model.SerializeToString())
        if beside is not None:
            path.unlink(missing_ok=True)  # an earlier model must not find the new weights
            os.replace(data, beside) if data.stat().st_size else beside.unlink(missing_ok=True)
        os.replace(unfinished, path)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror or error}") from None
    finally:
        for left in (unfinished, data):
            with suppress(OSError):
                left.unlink()
    return [path] if beside is None or not beside.exists() else [path, beside]


def check_path(path: Path, source: Path | None) -> None:
    """UsageError unless the file may be written: it is new, or an earlier explainer, and not the model itself."""
    if path.is_dir():
        raise UsageError(f"'{path}' is a directory: name the file that is to be written")
    if not path.exists():
        return
    if source is not None and source.exists() and path.samefile(source):
        raise UsageError(f"'{path}' is the model itself: name another file")
    try:
        with open_regular(path) as stream:
            head = stream.read(64)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if b"\x12" + bytes([len(PRODUCER)]) + PRODUCER.encode() not in head:  # field 2 of a ModelProto
        raise UsageError(
            f"'{path}' exists and is no explainer of an earlier run: name another file, or remove it"
        )


def _beside(path: Path, constants: Arrays) -> dict[str, Origin]:
    """Where constants lie in the folder that the file is written to, by name."""
    folder = resolved(path.parent)
    origins = {name: origin for name, array in constants.items() if (origin := origin_of(array)) is not None}
    holds = {path: origin.holds for path, origin in {o.path: o for o in origins.values()}.items()}
    return {name: o for name, o in origins.items() if o.path.parent == folder and holds[o.path]}


def _write_data(
    model: onnx.ModelProto, constants: Arrays, origins: Mapping[str, Origin], data: Path, name: str
) -> None:
    with data.open("wb") as stream:
        for label, array in constants.items():
            if array.nbytes <= SMALL or array.dtype == object:
                model.graph.initializer.append(numpy_helper.from_array(array, label))
            elif label in origins:
                model.graph.initializer.append(outside(label, array, *origins[label][:3]))
            else:
                raw = numpy_helper.from_array(array, label).raw_data
                stream.seek(-stream.tell() % PAGE, os.SEEK_CUR)
                place = (data.with_name(name), stream.tell(), len(raw))
                stream.write(raw)
                model.graph.initializer.append(outside(label, array, *place))
