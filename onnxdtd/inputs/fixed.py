"""Inputs that are fixed for good, such as a sampling rate: constants, neither asked for nor explained."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxdtd.errors import Faults, InputError, UsageError
from onnxdtd.inputs.arrays import check_inputs
from onnxdtd.inputs.files import read_inputs
from onnxdtd.model.graph import Graph, Value
from onnxdtd.types import Array

Fixed = Mapping[str, Any] | None
"""Numbers, lists, arrays, or files that hold one (.npy, .pb), by input name."""
_SHOWN = 8  # elements of an array that a note shows


def fix(graph: Graph, fixed: Fixed) -> tuple[Graph, dict[str, Array]]:
    """The graph as it was read, with these inputs as constants; and the constants.

    A number or a list takes the input's element type where that holds it, and a single number the shape of an input
    of one element. Raises UsageError, a line for each name that is no input, and for what does not fit its input.
    """
    arrays = _checked(graph, fixed or {})
    if not arrays:
        return graph, {}
    inputs = tuple(name for name in graph.inputs if name not in arrays)
    if not inputs:
        raise UsageError("all inputs are fixed: none is left to be explained")
    values = {name: dataclasses.replace(graph.value(name), shape=a.shape) for name, a in arrays.items()}
    notes = [f"input '{name}' fixed at {_shown(array)}" for name, array in arrays.items()]
    graph = graph.replace(
        inputs=inputs, constants={**graph.constants, **arrays}, values={**graph.values, **values}
    )
    return graph.noting(*notes), arrays


def _checked(graph: Graph, fixed: Mapping[str, Any]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    faults = Faults()
    for name, value in fixed.items():
        with faults:
            if name not in graph.inputs:
                inputs = ", ".join(f"'{other}'" for other in graph.inputs)
                raise UsageError(f"fixed: the model has no input '{name}'; it takes {inputs}")
            own = {name: graph.value(name)}
            try:
                if isinstance(value, (str, os.PathLike)):
                    arrays |= read_inputs(os.fspath(value), own)
                else:
                    arrays |= check_inputs({name: _typed(value, own[name])}, own)
            except InputError as error:
                raise UsageError("\n".join(f"fixed: {line}" for line in str(error).splitlines())) from None
    faults.stop()
    return arrays


def _typed(value: Any, like: Value) -> Any:
    """What has no element type of its own takes the input's, unless that would change it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value
    try:
        array = np.asarray(value)
        typed = array.astype(like.dtype) if like.elem_type else array
    except (ValueError, TypeError, OverflowError):
        return value
    sizes = like.shape or ()
    if array.ndim == 0 and math.prod(size if isinstance(size, int) else 1 for size in sizes) == 1:
        array, typed = array.reshape([1] * len(sizes)), typed.reshape([1] * len(sizes))
    numbers = array.dtype.kind in "iu" and (like.is_float or typed.dtype.kind in "iub")
    return typed if numbers and np.array_equal(typed, array) else array


def _shown(array: Array) -> str:
    if array.size == 1:
        return str(array.reshape(-1)[0])
    return str(array.tolist()) if array.size <= _SHOWN else f"an array of shape {array.shape}"
