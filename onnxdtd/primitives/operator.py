"""Any ONNX operator as a primitive, and the adjoint of those that only move values.

An op that copies values to places (Gather, Tile, ScatterND, DepthToSpace) needs no formula of its own: it is run
once more on *positions* instead of values, and what it puts somewhere tells whence that came.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from onnx import helper

from onnxdtd.errors import OpsetError
from onnxdtd.evaluator import evaluator
from onnxdtd.primitives.arithmetic import cast_like
from onnxdtd.primitives.indexing import BODIES
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import reshape, reshape_like, slice_axes
from onnxdtd.primitives.traced import Tracer, tracer_of

# The first version whose Scatter ops can add.
ADDS_SINCE = 16


def operator(op: str, *arrays: Array | None, opset: int, **attributes: Any) -> Any:
    """The first output of a default-domain operator: onnx's reference implementation, or a node when traced.

    None is an optional input left out. opset: of the model, whose meaning of the op counts. Scatter and gather
    by index arrays have NumPy bodies of their own, see `indexing`.
    """
    tracer = tracer_of(*arrays)
    if tracer is not None:
        return tracer.emit(op, *arrays, **attributes)
    if op in BODIES:
        return BODIES[op](*arrays, **attributes)
    names = tuple("" if x is None else f"x{i}" for i, x in enumerate(arrays))
    run = _evaluator(op, names, opset, tuple(sorted((k, _frozen(v)) for k, v in attributes.items())))
    feeds = {name: np.asarray(x) for name, x in zip(names, arrays, strict=True) if name}
    return np.asarray(run.run(None, feeds, attributes={})[0])


@functools.lru_cache(maxsize=256)
def _evaluator(op: str, names: tuple[str, ...], opset: int, attributes: tuple[tuple[str, Any], ...]) -> Any:
    node = helper.make_node(op, names, ["y"], **{k: _thawed(v) for k, v in attributes})
    inputs = [name for name in names if name]
    body = helper.make_function("onnxdtd", "One", inputs, ["y"], [node], [helper.make_opsetid("", opset)])
    return evaluator(body)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, np.ndarray)) else value


def _thawed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _trace_positions(x: Any) -> Any:
    size, one = x.tracer.emit("Size", x), np.asarray(1, np.int64)
    counted = x.tracer.emit("Range", one, size + one, one, shape=(None,))
    # onnxruntime moves floats by every op, but not integers; float32 counts exactly to 16 million.
    return reshape_like(cast_like(counted, x), x)


@primitive(trace=_trace_positions)
def positions(x: Array) -> Any:
    """1, 2, 3 ... in the shape of x, row by row; 0 is left for "from nowhere". Integers, or (traced) whole floats."""
    return np.arange(1, x.size + 1, dtype=np.int64).reshape(x.shape)


def require_adding(tracer: Tracer) -> None:
    """Raise OpsetError where a Scatter cannot add yet."""
    if tracer.opset < ADDS_SINCE:
        raise OpsetError(
            f"moving values back to where several may meet needs opset {ADDS_SINCE} to compile, this is "
            f"{tracer.opset}; convert the model, or use engine='numpy'",
            ADDS_SINCE,
        )


def _trace_gathered(r: Any, places: Any, like: Any) -> Any:
    tracer = r.tracer
    require_adding(tracer)
    size = reshape(tracer.emit("Size", like), shape=[1]) + np.ones(1, np.int64)
    zeros = tracer.emit("Expand", np.zeros(1, like.dtype), size, shape=(None,))
    back = tracer.emit(
        "ScatterElements", zeros, cast_like(reshape(places, shape=[-1]), size), reshape(r, shape=[-1]),
        axis=0, reduction="add",
    )  # fmt: skip
    return reshape_like(slice_axes(back, starts=[1], ends=[2**62], axes=[0], steps=[1]), like)


@primitive(trace=_trace_gathered)
def put_back(r: Array, places: Array, like: Array) -> Any:
    """R_i = sum of r_o over the o whose place is i: each r back to where its value came from, in like's shape.

    places: of r's shape, as `positions` counts; what comes from nowhere (0) is dropped.
    """
    back = np.bincount(places.reshape(-1), weights=r.reshape(-1), minlength=like.size + 1)
    return back[1:].reshape(like.shape).astype(r.dtype)
