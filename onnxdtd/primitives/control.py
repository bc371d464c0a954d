"""A loop over time and a branch: Python's own on arrays, one ONNX Scan or If when traced.

A step or a branch is traced once, so that a length and a condition may stay open until the model runs. It captures
whatever else it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from onnxdtd.errors import UnsupportedError
from onnxdtd.primitives.arithmetic import cast_like
from onnxdtd.primitives.body import Body, captures
from onnxdtd.primitives.call import Call
from onnxdtd.primitives.seam import Array, at_hand
from onnxdtd.primitives.shaping import reduce_sum, slice_axes, unsqueeze
from onnxdtd.primitives.sides import greater
from onnxdtd.primitives.traced import Traced, Tracer, tracer_of
from onnxdtd.types import Dimension

Arrays = tuple[Array, ...]
Step = Callable[[Arrays, Arrays], tuple[Sequence[Array], Sequence[Array]]]
Branch = Callable[..., Sequence[Array]]


def scan(
    step: Step, states: Sequence[Array], sequences: Sequence[Array], *, reverse: bool = False
) -> tuple[Arrays, Arrays]:
    """(states, outputs) of step(states, slices) -> (states, outputs), taken at each place of the first axis of the
    sequences, from the last to the first one if `reverse`; outputs are stacked where their slices were read.

    A state keeps its shape and dtype. At length 0 the states stay, and outputs have length 0.
    """
    states, sequences = tuple(states), tuple(sequences)
    tracer = tracer_of(states, sequences)
    length = next((s.shape[0] for s in sequences if isinstance(s.shape[0], int)), None)
    if length == 0:
        return _nothing(step, states, sequences)
    if tracer is None:
        return repeat(step, states, sequences, reverse=reverse)
    if length is not None:
        return _trace_scan(tracer, step, states, sequences, reverse)
    # onnxruntime's Scan refuses a length of 0.
    longest = slice_axes(tracer.emit("Shape", sequences[0]), starts=[0], ends=[1], axes=[0], steps=[1])
    count = len(states)

    def some(*values: Array) -> Arrays:
        after, outputs = _trace_scan(values[count].tracer, step, values[:count], values[count:], reverse)
        return (*after, *outputs)

    def none(*values: Array) -> Arrays:
        after, outputs = _nothing(step, values[:count], values[count:])
        return (*after, *outputs)

    results = cond(greater(longest, np.asarray(0, np.int64)), some, none, *states, *sequences)
    return results[:count], results[count:]


def cond(condition: Array, then: Branch, otherwise: Branch, *values: Array) -> Arrays:
    """then(*values) where the condition, one boolean, holds, else otherwise(*values); of as many results each, alike
    in dtype and rank.

    A branch computes what it makes of `values`; what it reads besides is computed whether or not it is taken.
    """
    tracer = tracer_of(condition, values)
    if tracer is None or at_hand(condition):
        return tuple((then if np.asarray(condition).all() else otherwise)(*values))
    graphs, ends = [], []
    for branch in (then, otherwise):
        body = Body.within(tracer)
        graph, outputs = body.closed((), branch(*(body.captured(x) for x in values)))
        graphs.append(graph)
        ends.append(outputs)
    types = [_common(one, other) for one, other in zip(*ends, strict=True)]
    return _put(tracer, "If", [condition], types, then_branch=graphs[0], else_branch=graphs[1])


def repeat(
    step: Step, states: Sequence[Array], sequences: Sequence[Sequence[Array]], *, reverse: bool = False
) -> tuple[Arrays, Arrays]:
    """`scan` at hand: states may change their shape from step to step, and so may slices of sequences that are
    lists."""
    states = tuple(states)
    places = range(len(sequences[0]))
    rows: list[Sequence[Array]] = []
    for t in reversed(places) if reverse else places:
        after, outputs = step(states, tuple(s[t] for s in sequences))
        states = tuple(after)
        rows.append(outputs)
    columns = zip(*(reversed(rows) if reverse else rows), strict=True)
    return states, tuple(np.stack(column) for column in columns)


def _nothing(step: Step, states: Arrays, sequences: Arrays) -> tuple[Arrays, Arrays]:
    """What a step would give says which shapes are repeated no times."""
    numbers = [cast_like(s, np.zeros((), np.int64)) if s.dtype == np.bool_ else s for s in sequences]
    sums = (reduce_sum(s, axes=(0,), keepdims=False) for s in numbers)
    slices = tuple(cast_like(total, s) for total, s in zip(sums, sequences, strict=True))
    _, outputs = step(states, slices)
    none = {"starts": [0], "ends": [0], "axes": [0], "steps": [1]}
    return states, tuple(slice_axes(unsqueeze(o, axes=(0,)), **none) for o in outputs)


def _trace_scan(
    tracer: Tracer, step: Step, states: Arrays, sequences: Arrays, reverse: bool
) -> tuple[Arrays, Arrays]:
    body = Body.within(tracer)
    read = [x if isinstance(x, Traced) else tracer.constant(x) for x in (*states, *sequences)]
    shapes = [x.shape if i < len(states) else x.shape[1:] for i, x in enumerate(read)]
    inputs = [body.input(i, x.dtype, shape) for i, (x, shape) in enumerate(zip(read, shapes, strict=True))]
    after, outputs = step(tuple(inputs[: len(states)]), tuple(inputs[len(states) :]))
    graph, ends = body.closed(inputs, (*after, *outputs))
    length = read[-1].shape[0]
    types = [
        _common(end, begin) if i < len(states) else (end.dtype, (length, *end.shape))
        for i, (end, begin) in enumerate(zip(ends, [*read[: len(states)], *outputs], strict=True))
    ]
    order: dict[str, Any] = {"scan_input_directions": [int(reverse)] * len(sequences)}
    if outputs:
        order["scan_output_directions"] = [int(reverse)] * len(outputs)
    results = _put(tracer, "Scan", read, types, body=graph, num_scan_inputs=len(sequences), **order)
    return results[: len(states)], results[len(states) :]


def _common(one: Traced, other: Traced) -> tuple[np.dtype[Any], tuple[Dimension, ...]]:
    """The type of a value that is either of the two."""
    if (one.dtype, one.ndim) != (other.dtype, other.ndim):
        raise UnsupportedError(
            f"a value is {one.dtype} of rank {one.ndim} here and {other.dtype} of rank {other.ndim} there: "
            "a step keeps what its states are, and both branches make the same"
        )
    sizes = tuple(a if a == b else None for a, b in zip(one.shape, other.shape, strict=True))
    return one.dtype, sizes


def _put(tracer: Tracer, op: str, inputs: Sequence[Traced], types: Any, **attributes: Any) -> Arrays:
    """A node with bodies, of which inference knows less than they say."""
    label = f"{tracer.prefix}{op}_{len(tracer.nodes)}"
    names = [f"{label}_{i}" for i in range(len(types))]
    bodies = [graph for graph in attributes.values() if isinstance(graph, onnx.GraphProto)]
    captured = tuple(dict.fromkeys(name for graph in bodies for name in captures(graph)))
    ordered = dict(sorted(attributes.items()))
    return tracer.put(Call(op, [x.name for x in inputs], names, label, ordered, captured), types)
