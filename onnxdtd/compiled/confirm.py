"""Shapes are believed once a forward pass has shown them: what a file states, and what onnx infers, may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import onnx
from onnx import helper

from onnxdtd.compiled.trials import Names, Trial, trials, unnamed
from onnxdtd.model.graph import Graph
from onnxdtd.model.node import Value
from onnxdtd.plan.categories import taking_any
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.types import Dimension
from onnxdtd.walk.forward import Forward


def confirmed(plan: Plan) -> Plan:
    """The plan with the shapes that onnxruntime computes on random inputs; a note tells of each that was wrong.

    A wrong size becomes what two passes of different inputs agree on, and in doubt a third, longer one, if the model
    takes it; where they do not agree, and where the rank was wrong or not known, sizes are left open. Open sizes that
    nobody has named, and that all passes show alike, get one name, see `Names`. A model that refuses all that is
    tried keeps its shapes. Raises ModelError where onnxruntime does not load the model.
    """
    graph = plan.graph
    names = list(dict.fromkeys((*needed(plan), *graph.outputs)))
    runs = trials(graph, Forward(taking_any(graph), names, ["CPUExecutionProvider"], optimise=False))
    passes = list(islice(runs, 2))
    if not passes:
        return plan
    if any(_doubtful(graph.value(name), passes) for name in passes[0].shapes):
        passes += islice(runs, 1)
    values, notes, alike = dict(graph.values), [], Names(graph, passes)
    for name in passes[0].shapes:
        value = graph.value(name)
        shape = _shown(value, passes)
        if not value.elem_type:
            value = replace(value, elem_type=helper.np_dtype_to_tensor_dtype(passes[0].types[name]))
        if shape != value.shape:
            notes.append(f"the shape of '{name}' is {shape} in a run, not {value.shape}")
        if name not in graph.inputs:
            shape = tuple(alike.of(name, axis, size) for axis, size in enumerate(shape))
        values[name] = replace(value, shape=shape)
    return replace(plan, graph=replace(graph, values=values).noting(*notes))


def ranks(graph: Graph) -> list[onnx.ValueInfoProto]:
    """The values whose rank nobody has said, as one forward pass shows them, every size left open."""
    untold = [
        name for node in graph.nodes for name in node.outputs if name and graph.value(name).shape is None
    ]
    if not untold:
        return []
    forward = Forward(taking_any(graph), untold, ["CPUExecutionProvider"], optimise=False)
    shown = next(trials(graph, forward), None)
    if shown is None:
        return []
    return [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(shown.types[name]), [None] * len(shape)
        )
        for name, shape in shown.shapes.items()
        if name in untold
    ]


def _doubtful(value: Value, passes: Sequence[Trial]) -> bool:
    """Whether the trials put a number in place of a wrong size, or nobody has named a size that is open."""
    pairs = zip(_shown(value, passes), value.shape or (), strict=False)
    return any(unnamed(size) or (isinstance(size, int) and size != was) for size, was in pairs)


def _shown(value: Value, passes: Sequence[Trial]) -> tuple[Dimension, ...]:
    """The value's shape, corrected by what the trials show."""
    shapes = [trial.shapes[value.name] for trial in passes]
    if value.shape is None or any(len(shape) != len(value.shape) for shape in shapes):
        return (None,) * len(shapes[0])
    # Of a loop that did not run, no size is known.
    telling = [(trial, shape) for trial, shape in zip(passes, shapes, strict=True) if 0 not in shape]
    corrected = []
    for axis, size in enumerate(value.shape):
        lengths = [shape[axis] for _, shape in telling]
        wrong = any(trial.contradicts(size, n) for (trial, _), n in zip(telling, lengths, strict=True))
        agreed = lengths[0] if len(telling) > 1 and len(set(lengths)) == 1 else None
        corrected.append(agreed if wrong else size)
    return tuple(corrected)
