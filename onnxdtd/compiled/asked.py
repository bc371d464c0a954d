"""A fixed question as coefficients that the graph computes: for sizes that are open, and where values decide.

What `plan.coefficients` works out for one forward pass is here written into the model, for every one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.plan.coefficients import NEEDS_VALUES, fixed_coefficients, require_positions
from onnxdtd.plan.target import Against, Last, Part, Target, Weights, counted
from onnxdtd.primitives import (
    Traced,
    cast_like,
    count_up,
    equal,
    filled,
    reduce_max,
    reshape,
    size,
    slice_axes,
    unslice,
    where,
)

END = 1 << 62


def asked(target: Target, logits: Traced, masks: Sequence[Traced] = ()) -> Any:
    """The coefficients of a question, broadcastable to the explained value (N, ...). masks: of tokens, (N, S) each.

    Computed at once where the sizes are fixed and no value decides. Of an axis whose length is open, an index that is
    not there when the model runs has none. Raises UnsupportedError for a question that one graph cannot answer.
    """
    sizes = tuple(n for n in logits.shape[1:] if isinstance(n, int))
    if len(sizes) == logits.ndim - 1 and not _by_values(target):
        return fixed_coefficients(target, sizes).astype(logits.dtype)
    match target.form:
        case None if (index := target.shared) is not None:
            return _part(index, logits)
        case Part(entries):
            return _part(entries, logits)
        case Weights(coefficients):
            return np.asarray(coefficients, logits.dtype)
        case Last(index):
            return _last(index, logits, masks)
        case Against(plus, Target() as minus):
            return asked(plus, logits, masks) - asked(minus, logits, masks)
    raise UnsupportedError(NEEDS_VALUES)


def _by_values(target: Target) -> bool:
    match target.form:
        case Part(entries):
            return None in entries
        case Last():
            return True
        case Against(plus, Target() as minus):
            return _by_values(plus) or _by_values(minus)
    return False


def _part(entries: Sequence[int | slice | None], logits: Traced) -> Any:
    """1 at the chosen elements; an arg-max is taken among those that the other entries leave, in each of them."""
    counted(entries, logits.shape[1:])
    chosen: Any = np.ones((1,) * logits.ndim, logits.dtype)
    for axis, entry in enumerate(entries, 1):
        if entry is not None:
            along = _along(entry, size(logits, axis), logits)
            chosen = chosen * reshape(along, shape=[-1 if i == axis else 1 for i in range(logits.ndim)])
    return _best(chosen, logits, [axis for axis, entry in enumerate(entries, 1) if entry is None])


def _last(index: int | None, logits: Traced, masks: Sequence[Traced]) -> Any:
    """1 at an element, or the arg-max, of the last position that a mask counts."""
    require_positions(logits.name, logits.shape)
    length = size(logits, 1)
    last = length - 1
    for mask in masks:
        counts = cast_like(equal(mask, np.zeros((), mask.dtype)), logits) * -1.0
        # Of a mask that counts nothing it is the very last.
        last = logits.tracer.emit("ArgMax", counts, axis=1, keepdims=1, select_last_index=1)
        if mask.shape[1] != logits.shape[1]:  # Of a cache before them the mask counts the positions first.
            last = last - (size(mask, 1) - length)
    shape = [-1, length, *[1] * (logits.ndim - 2)]
    chosen = reshape(cast_like(equal(count_up(length), last), logits), shape=shape)
    if index is None:
        return _best(chosen, logits, range(1, logits.ndim))
    counted((index,), logits.shape[2:])
    along = _along(index, size(logits, 2), logits)
    return chosen * reshape(along, shape=[1, 1, -1])


def _best(chosen: Any, logits: Traced, axes: Sequence[int]) -> Any:
    """Of the chosen elements the largest along the axes; all of them, where there is no axis."""
    if not axes:
        return chosen
    among = where(equal(chosen, 1.0), logits, float("-inf"))
    return cast_like(equal(among, reduce_max(among, axes=axes)), logits) * chosen


def _along(entry: int | slice, length: Any, like: Traced) -> Any:
    """1 at the places of one axis that an entry means."""
    if isinstance(entry, int):
        place = entry if entry >= 0 else length + entry
        return cast_like(equal(count_up(length), place), like)
    ones = filled(np.ones((), like.dtype), [length])
    stop = END if entry.stop is None else entry.stop
    place = {"starts": [entry.start or 0], "ends": [stop], "axes": [0], "steps": [1]}
    return unslice(slice_axes(ones, **place), ones, **place)
