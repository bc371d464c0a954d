"""Arrays for a model's inputs: read from .npy, .npz, .pb or an image, and checked against the model.

`check_inputs` reports every fault at once, one line each, each with its cure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from onnxdtd.errors import InputError
from onnxdtd.folder import DAMAGED, one_line
from onnxdtd.inputs.image import IMAGE_SUFFIXES
from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.inputs.texts import as_texts
from onnxdtd.model.graph import Value
from onnxdtd.types import Array


def read_inputs(
    path: str | Path, values: Mapping[str, Value], preprocess: Preprocess | None = None
) -> dict[str, Array]:
    """The checked inputs of a model, by name, from one file.

    .npz: one array for each input, by name. .npy (an array), .pb (a TensorProto), images (need `preprocess`):
    models with one input. values: the model's inputs. InputError names what does not fit and what mends it.
    """
    path = input_file(path)
    suffix = path.suffix.lower()
    if suffix != ".npz" and len(values) != 1:
        keywords = ", ".join(f"'{name}': ..." for name in values)
        cure = f"put them into one .npz by name: np.savez('inputs.npz', **{{{keywords}}})"
        raise InputError(f"'{path}' holds one array, but the model takes {_listed(values)}; {cure}")
    if suffix in IMAGE_SUFFIXES:
        if preprocess is None:
            raise InputError(
                f"'{path}' is an image, and nothing says how the model wants it: give a preprocessing file "
                "(--preprocess FILE.toml), flags such as --resize 224 --scale 0.00392157, or "
                "'onnxdtd.preprocess' in the model's metadata"
            )
        return check_inputs(preprocess(path), values)
    return check_inputs(_read_tensor(path) if suffix == ".pb" else _read_numpy(path), values)


def input_file(path: str | Path) -> Path:
    """The path of a file that `read_inputs` may try; InputError where it is not there, or of another kind."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".pb", *IMAGE_SUFFIXES):
        accepted = " ".join((".npy", ".npz", ".pb", *IMAGE_SUFFIXES))
        raise InputError(f"'{path}': the suffix '{suffix}' is not one of {accepted}")
    try:
        if not path.is_file():
            raise InputError(f"'{path}' is not there" if not path.exists() else f"'{path}' is not a file")
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"'{path}' is empty: write it anew")
    except OSError as error:
        raise InputError(f"'{path}' cannot be opened: {error.strerror or error}") from None
    return path


def check_inputs(
    arrays: npt.ArrayLike | Mapping[str, npt.ArrayLike], values: Mapping[str, Value]
) -> dict[str, Array]:
    """The model's inputs by name, contiguous and of the model's element types; InputError lists every fault.

    arrays: by input name, or one array where the model has one input. Floating-point arrays become the
    model's floating-point type, integers any integer type that holds them, texts objects; nothing else is converted.
    Shapes must agree where the model's are fixed; symbolic dimensions are free. NaN is let through where the
    model takes it for a missing value.
    """
    if not isinstance(arrays, Mapping):
        if len(values) != 1:
            raise InputError(f"the model takes {_listed(values)}; give them by name: {{name: array}}")
        arrays = dict.fromkeys(values, arrays)
    faults = [
        f"the model has no input '{name}': it takes {_listed(values)}"
        for name in arrays
        if name not in values
    ]
    checked = {}
    for name, value in values.items():
        if name not in arrays:
            faults.append(f"input {_described(value)} is missing")
            continue
        try:
            array = np.asarray(arrays[name])
        except (ValueError, TypeError) as error:
            faults.append(f"input '{name}' is not an array: {one_line(error)}")
            continue
        problems = [f"input '{name}' {problem}" for problem in _faults(array, value)]
        faults += problems
        if not problems:
            checked[name] = _cast(array, value)
    if faults:
        raise InputError("\n".join(faults))
    return checked


def _faults(array: Array, value: Value) -> Iterator[str]:
    yield from _shape_faults(array.shape, value)
    type_faults = list(_type_faults(array, value))
    yield from type_faults
    if not type_faults:
        yield from _value_faults(array, value)


def _shape_faults(shape: tuple[int, ...], value: Value) -> Iterator[str]:
    if shape[:1] == (0,) and value.is_float and 0 not in (value.shape or ())[:1]:
        yield f"is empty: shape {shape}"
    elif value.shape is not None and not _agree(shape, value.shape):
        model_shape, fixed = value.shape, value.shape[:1]
        cure = ""
        if _agree(shape, model_shape[1:]):
            cure = "; add the batch axis: x[None]"
        elif _agree(shape[1:], model_shape[1:]) and len(shape) == len(model_shape):
            cure = f"; the model's batch is fixed: give {fixed[0]} at a time"
        elif len(shape) > 2 and _agree((shape[0], shape[-1], *shape[1:-1]), model_shape):
            cure = "; move the channels forward: np.moveaxis(x, -1, 1)"
        elif len(shape) > 2 and _agree((shape[0], *shape[2:], shape[1]), model_shape):
            cure = "; move the channels to the end: np.moveaxis(x, 1, -1)"
        yield f"has shape {shape} where the model takes {_shape(value)}{cure}"


def _agree(shape: tuple[int, ...], model_shape: tuple[Any, ...]) -> bool:
    pairs = zip(shape, model_shape, strict=False)
    return len(shape) == len(model_shape) and all(n == m for n, m in pairs if isinstance(m, int))


def _type_faults(array: Array, value: Value) -> Iterator[str]:
    dtype = array.dtype
    if value.elem_type == TensorProto.UNDEFINED:
        yield f"is {_type(value)} in the model: only tensors can be given"
    elif value.elem_type == TensorProto.STRING:
        try:
            as_texts(array)
        except ValueError as error:
            yield str(error)
    elif not (_is_float(dtype) if value.is_float else dtype.kind in ("b" if value.dtype == bool else "iu")):
        model_type = _type(value)
        held = {"U": "strings", "S": "strings", "T": "strings", "O": "Python objects"}
        cure = f"convert it with x.astype('{model_type}')"
        if value.is_float and dtype.kind in "iu" and array.ndim > 2:
            cure += ", and scale pixels as the model was trained, often x / 255"
        yield f"holds {held.get(dtype.kind, dtype.name)} where the model takes {model_type}: {cure}"


def _value_faults(array: Array, value: Value) -> Iterator[str]:
    if value.elem_type == TensorProto.STRING:
        return
    cast = _cast(array, value)
    if np.isfinite(cast).all() if value.is_float else cast is array:
        return
    if value.is_float:
        nan, infinite = np.isnan(array) & (not value.missing), np.isinf(array)
        if (bad := nan | infinite).any():
            counts = [
                f"{mask.sum()} {word}" for mask, word in ((nan, "NaN"), (infinite, "infinite")) if mask.any()
            ]
            yield f"holds {' and '.join(counts)} of {array.size} values, {_first(array, bad)}"
            return
        bad = np.isinf(cast)
    else:
        bad = cast != array
    if bad.any():
        yield f"holds {_counted(bad, 'value')} that {_type(value)} cannot hold, {_first(array, bad)}"


def _cast(array: Array, value: Value) -> Array:
    if value.elem_type == TensorProto.STRING:
        return as_texts(array)
    if array.dtype == value.dtype and array.flags.c_contiguous:
        return array
    with np.errstate(over="ignore"):
        return array.astype(value.dtype, order="C", copy=False)


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _counted(mask: Array, noun: str) -> str:
    count = int(mask.sum())
    return f"{count} {noun}" + ("s" if count != 1 else "")


def _first(array: Array, mask: Array) -> str:
    index = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(mask)))[: array.ndim]
    return f"the first {array[index]} at x[{', '.join(map(str, index))}]"


def _listed(values: Mapping[str, Value]) -> str:
    count = f"{len(values)} inputs, " if len(values) != 1 else ""
    return count + ", ".join(_described(value) for value in values.values())


def _described(value: Value) -> str:
    return f"'{value.name}' {_type(value)} {_shape(value)}"


def _type(value: Value) -> str:
    if value.elem_type == TensorProto.UNDEFINED:
        return "no tensor"
    return "string" if value.elem_type == TensorProto.STRING else value.dtype.name


def _shape(value: Value) -> str:
    if value.shape is None:
        return "of any shape"
    dims = ["?" if n in (None, "") else str(n) for n in value.shape]
    return f"({dims[0]},)" if len(dims) == 1 else f"({', '.join(dims)})"


def _read_numpy(path: Path) -> Array | dict[str, Array]:
    try:
        with path.open("rb") as file:
            head = file.read(2)
            if head not in (b"\x93N", b"PK"):  # NumPy takes everything else for a pickle
                raise ValueError("Object arrays" if head[:1] == b"\x80" else "it is of another format")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile):
                return {name: loaded[name] for name in loaded.files}
            return np.asarray(loaded)
    except DAMAGED as error:
        if "Object arrays" in str(error):
            cure = "save it with np.save of a numeric array"
            raise InputError(f"'{path}' holds Python objects (pickle), which can run code: {cure}") from None
        raise InputError(f"'{path}' is not a whole {path.suffix} file: {one_line(error)}") from None


def _read_tensor(path: Path) -> Array:
    tensor = TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        if tensor.data_location == TensorProto.EXTERNAL:
            raise InputError(f"'{path}' keeps its data in another file: write it as .npy")
        if tensor.data_type == TensorProto.UNDEFINED:
            raise ValueError("no element type")
        return np.asarray(numpy_helper.to_array(tensor))
    except InputError:
        raise
    except Exception as error:  # protobuf's own errors have no public type in onnx
        raise InputError(f"'{path}' is not a TensorProto: {one_line(error)}") from None
