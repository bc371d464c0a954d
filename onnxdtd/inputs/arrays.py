"""Arrays for a model's inputs, checked against the model.

`check_inputs` reports every fault at once, one line each, each with its cure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from onnxdtd.errors import InputError, one_line
from onnxdtd.inputs.texts import as_texts
from onnxdtd.model.graph import Value
from onnxdtd.types import Array


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
            raise InputError(f"the model takes {listed(values)}; give them by name: {{name: array}}")
        arrays = dict.fromkeys(values, arrays)
    faults = _strangers(arrays, values)
    checked = {}
    for name, value in values.items():
        if name not in arrays:
            faults.append(f"input {_described(value)} is missing")
            continue
        try:
            array = batched(np.asarray(arrays[name]), value)
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


def refuse_misfits(
    arrays: Mapping[str, Array], values: Mapping[str, Value], names: tuple[str, ...] = ()
) -> None:
    """InputError for what `check_inputs` says of names, shapes and types; what the arrays hold is not looked at.

    names: of all that is given, where some of it is not to be looked at.
    """
    faults = _strangers(names or tuple(arrays), values)
    for name, whole in arrays.items():
        if value := values.get(name):
            array = batched(whole, value)
            texts = value.elem_type == TensorProto.STRING
            problems = (*_shape_faults(array.shape, value), *(() if texts else _type_faults(array, value)))
            faults += [f"input '{name}' {problem}" for problem in problems]
    faults += [f"input {_described(v)} is missing" for n, v in values.items() if n not in (names or arrays)]
    if faults:
        raise InputError("\n".join(faults))


def batched(array: Array, value: Value) -> Array:
    """The array with a batch axis, where the model's file has none and it comes without."""
    return array[None] if lacks_batch_axis(array.shape, value) else array


def lacks_batch_axis(shape: tuple[int, ...], value: Value) -> bool:
    """Whether an array of this shape is one sample, without the batch axis that the model's file lacks too."""
    return value.unbatched and len(shape) + 1 == len(value.shape or ())


def _strangers(names: Iterable[str], values: Mapping[str, Value]) -> list[str]:
    return [
        f"the model has no input '{name}': it takes {listed(values)}" for name in names if name not in values
    ]


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
        grey = [
            spelled
            for spelled, axes in (("x[:, None]", (*shape[:1], 1, *shape[1:])), ("x[..., None]", (*shape, 1)))
            if len(shape) > 2 and _agree(axes, model_shape)
        ]
        if grey and _agree(shape, model_shape[1:]):
            cure = f"; add the batch axis: x[None], or the channel axis: {grey[0]}"
        elif grey:
            cure = f"; add the channel axis: {grey[0]}"
        elif _agree(shape, model_shape[1:]):
            cure = "; add the batch axis: x[None]"
        elif _agree(shape[1:], model_shape):
            cure = "; it has one axis more: give x[0], x[1] and so on, one at a time"
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


def untakable(value: Value) -> str:
    """What stands against an input of this kind, whatever is given for it; "" where it can be given."""
    if value.elem_type == TensorProto.UNDEFINED:
        return f"is {_type(value)} in the model: only tensors can be given"
    return ""


def _type_faults(array: Array, value: Value) -> Iterator[str]:
    dtype = array.dtype
    if fault := untakable(value):
        yield fault
    elif value.elem_type == TensorProto.STRING:
        try:
            as_texts(array)
        except ValueError as error:
            yield str(error)
    elif not (
        _is_float(dtype) if value.is_float else dtype.kind in ("b" if value.dtype == bool else "iu")
    ) and not (value.whole and _is_float(dtype)):
        model_type = _type(value)
        held = {"U": "strings", "S": "strings", "T": "strings", "O": "Python objects"}
        cure = f"convert it with x.astype('{model_type}')"
        if value.is_float and dtype.kind in "iu" and array.ndim > 2:
            cure += ", and scale pixels as the model was trained, often x / 255"
            if dtype == np.uint8:
                cure += "; or name how pictures are prepared, such as --preset unit"
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
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(value.dtype, order="C", copy=False)


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _counted(mask: Array, noun: str) -> str:
    count = int(mask.sum())
    return f"{count} {noun}" + ("s" if count != 1 else "")


def _first(array: Array, mask: Array) -> str:
    index = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(mask)))[: array.ndim]
    return f"the first {array[index]} at x[{', '.join(map(str, index))}]"


def listed(values: Mapping[str, Value]) -> str:
    """The inputs of a model in words, with their types and shapes."""
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
