"""Shapes are believed once a forward pass has shown them: what a file states, and what onnx infers, may be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnxdtd.errors import InputError
from onnxdtd.model.graph import Graph
from onnxdtd.model.node import Value
from onnxdtd.model.shapes import UNKNOWN
from onnxdtd.plan.categories import taking_any
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.types import Arrays, Dimension
from onnxdtd.walk.forward import Forward

TRIES = ((1, 2), (2, 3), (1, 32), (2, 64), (1, 224), (2, 288))
"""Lengths of the first axis and of any other, where they are open; models refuse those that are too small. Strides
make short lengths alike (2 and 3 both end as 1), so from 32 on they are far apart."""

CLASH = -1


@dataclass(frozen=True)
class Trial:
    """A forward pass. sizes: the length of each named dimension where it is met first; shapes, types: of every
    value."""

    sizes: Mapping[Dimension, int]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, np.dtype[Any]]

    def contradicts(self, size: Dimension, length: int) -> bool:
        """Whether a dimension that is said to be `size` has another length."""
        return length != (size if isinstance(size, int) else self.sizes.get(size, length) if size else length)


def confirmed(plan: Plan) -> Plan:
    """The plan with the shapes that onnxruntime computes on random inputs; a note tells of each that was wrong.

    A wrong size becomes what two passes of different inputs agree on, and in doubt a third, longer one, if the model
    takes it; where they do not agree, and where the rank was wrong or not known, sizes are left open. A model that
    refuses all that is tried keeps its shapes. Raises ModelError where onnxruntime does not load the model.
    """
    graph = plan.graph
    names = list(dict.fromkeys((*needed(plan), *graph.outputs)))
    passes = _trials(graph, Forward(taking_any(graph), names, ["CPUExecutionProvider"], optimise=False))
    trials = list(islice(passes, 2))
    if not trials:
        return plan
    if any(_doubtful(graph.value(name), trials) for name in trials[0].shapes):
        trials += islice(passes, 1)
    values, notes = dict(graph.values), []
    for name in trials[0].shapes:
        value = graph.value(name)
        shape = _shown(value, trials)
        if not value.elem_type:
            values[name] = value = replace(
                value, elem_type=helper.np_dtype_to_tensor_dtype(trials[0].types[name])
            )
        if shape != value.shape:
            values[name] = replace(value, shape=shape)
            notes.append(f"the shape of '{name}' is {shape} in a run, not {value.shape}")
    return replace(plan, graph=replace(graph, values=values).noting(*notes))


def ranks(graph: Graph) -> list[onnx.ValueInfoProto]:
    """The values whose rank nobody has said, as one forward pass shows them, every size left open."""
    untold = [
        name for node in graph.nodes for name in node.outputs if name and graph.value(name).shape is None
    ]
    if not untold:
        return []
    forward = Forward(taking_any(graph), untold, ["CPUExecutionProvider"], optimise=False)
    shown = next(_trials(graph, forward), None)
    if shown is None:
        return []
    return [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(shown.types[name]), [None] * len(shape)
        )
        for name, shape in shown.shapes.items()
        if name in untold
    ]


def drawn(graph: Graph, first: int, other: int, seed: int = 0) -> Arrays:
    """Random inputs: floats from 0 to 1, integers and texts 0 or 1. first, other: lengths of the axes that are left
    open; those of one name have one length."""
    rng = np.random.default_rng(seed)
    sizes: dict[Dimension, int] = {}
    feeds = {}
    for name in graph.inputs:
        value = graph.value(name)
        shape = []
        for axis, size in enumerate(value.shape or ()):
            length = other if axis else first
            shape.append(
                size if isinstance(size, int) else sizes.setdefault(size, length) if size else length
            )
        x = rng.random(shape) if value.is_float else rng.integers(0, 2, shape)
        feeds[name] = x.astype(str).astype(object) if value.dtype == object else np.asarray(x, value.dtype)
    return feeds


def _trials(graph: Graph, forward: Forward) -> Iterator[Trial]:
    """Forward passes, each of other numbers and other sizes, as far as the model takes them."""
    for seed, (first, other) in enumerate(TRIES):
        feeds = drawn(graph, first, other, seed)
        try:
            run = forward(feeds)
        except InputError:
            continue
        yield _trial(graph, {**run, **feeds})


def _trial(graph: Graph, run: Arrays) -> Trial:
    sizes: dict[Dimension, int] = {}
    for name in (*graph.inputs, *run):
        for symbol, length in zip(graph.value(name).shape or (), run[name].shape, strict=False):
            # Two sizes that onnx cannot infer may have one name.
            clash = sizes.setdefault(symbol, length) != length and str(symbol).startswith(UNKNOWN)
            sizes[symbol] = CLASH if clash else sizes[symbol]
    shapes = {name: array.shape for name, array in run.items()}
    return Trial(sizes, shapes, {name: array.dtype for name, array in run.items()})


def _doubtful(value: Value, trials: Sequence[Trial]) -> bool:
    """Whether the trials put a number in place of a wrong size, or a size has a name that onnx may give to two."""
    pairs = zip(_shown(value, trials), value.shape or (), strict=False)
    return any(
        str(size).startswith(UNKNOWN) or (isinstance(size, int) and size != was) for size, was in pairs
    )


def _shown(value: Value, trials: Sequence[Trial]) -> tuple[Dimension, ...]:
    """The value's shape, corrected by what the trials show."""
    shapes = [trial.shapes[value.name] for trial in trials]
    if value.shape is None or any(len(shape) != len(value.shape) for shape in shapes):
        return (None,) * len(shapes[0])
    # Of a loop that did not run, no size is known.
    telling = [(trial, shape) for trial, shape in zip(trials, shapes, strict=True) if 0 not in shape]
    corrected = []
    for axis, size in enumerate(value.shape):
        lengths = [shape[axis] for _, shape in telling]
        wrong = any(trial.contradicts(size, n) for (trial, _), n in zip(telling, lengths, strict=True))
        agreed = lengths[0] if len(telling) > 1 and len(set(lengths)) == 1 else None
        corrected.append(agreed if wrong else size)
    return tuple(corrected)
