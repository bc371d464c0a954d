"""The walk, traced: forward pass and relevance pass written as one ONNX model.

The model's own nodes and names stay as they are; what is added is named `onnxdtd/...`. It takes the model's inputs
and, unless the target is fixed, `target` or `seed` (see `start`); it returns the model's outputs and `relevance/NAME`
for each explained input. What depends on no input is computed here, once, and stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from onnxdtd.compiled.constants import CONSTANTS, Constants
from onnxdtd.compiled.derive import Weights, derive
from onnxdtd.compiled.order import walk_last
from onnxdtd.compiled.start import RUNTIME, Start, masks_inside, start, starts_inside
from onnxdtd.compiled.steps import plain_steps
from onnxdtd.compiled.valid import VALID, valid
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Claim, Site
from onnxdtd.model.graph import Graph
from onnxdtd.model.loops import recording
from onnxdtd.model.point import Point
from onnxdtd.plan.faults import describe
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.step import Step
from onnxdtd.primitives import Traced, Tracer, at_hand
from onnxdtd.primitives.body import alive
from onnxdtd.primitives.call import renamed
from onnxdtd.primitives.traced import PREFIX
from onnxdtd.types import Dimension
from onnxdtd.walk.backward import walk

LOWEST_OPSET = 13


@dataclass(frozen=True)
class Compiled:
    """model: without initializers; constants: its initializers; logits: the name of the explained value; relevance:
    the output that holds the relevance of each input, and of each value that is kept; target_input: the input that
    names the target or carries the seed, "" where there is none; shape: of the explained value; starts, masks: the
    inputs that carry the relevance which begins at a value inside, and where it goes on. kinds: of constants, one
    for each column of the output `CONSTANTS`."""

    model: onnx.ModelProto
    constants: Mapping[str, npt.NDArray[Any]]
    logits: str
    relevance: Mapping[str, str]
    target_input: str
    shape: tuple[Dimension, ...]
    starts: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()


def compile_plan(
    plan: Plan, what: Start = RUNTIME, weights: Weights = "all", constants: bool = False
) -> Compiled:
    """Trace the walk of a plan.

    what: is explained, see `start`. weights: which of those that rules make are stored, see `derive`. constants:
    whether the graph tells what constants take, see `Constants`. Raises
    UnsupportedError where an op cannot be traced, a rank or a size that the walk needs is not known, or the opset is
    too old.
    """
    _check(plan)
    graph = plan.graph
    tracer = Tracer(graph.opsets[""])
    for name, array in graph.constants.items():
        if array.dtype != object:  # strings
            tracer.constant(array, name)
    values = {name: _traced(plan, tracer, name) for name in needed(plan)}
    model = recording(graph, [*values, *graph.all_conditions]).to_proto(constants=False)
    plain_steps(model, graph)
    starts, masks = starts_inside(plan, tracer, values), masks_inside(plan, tracer, values)
    asked, seed = [*starts.values(), *masks.values()], dict(starts)
    target_input = None
    if not starts:
        seed[plan.target], target_input = start(plan, tracer, values[plan.target], what)
        asked += [target_input] if target_input is not None else []
    kept: dict[Any, Any] = {}
    seen: dict[Any, Any] = {}
    steps = tuple(_folding(step, seen) for step in plan.steps)
    begin = seed if starts else seed[plan.target]
    books = Constants(plan, *next(iter(seed.items())))
    arrived = _walked(replace(plan, steps=steps), values, begin, kept, masks, books)
    derive(tracer, kept, seen, weights)
    relevance = {name: f"relevance/{name}" for name in arrived}
    for name, r in arrived.items():
        tracer.nodes.append(renamed(r.name, relevance[name]))
        kind = helper.np_dtype_to_tensor_dtype(r.dtype)
        shape = values[name].shape
        model.graph.output.append(helper.make_tensor_value_info(relevance[name], kind, shape))
    ends = [*relevance.values()]
    if graph.all_conditions:
        ends.append(VALID)
        model.graph.output.append(valid(graph, tracer))
    if constants and books.kinds:
        ends.append(CONSTANTS)
        model.graph.output.append(books.write(tracer))
    begins = [traced.name for traced in seed.values()]
    nodes, used = alive(walk_last(tracer, tracer.nodes, begins), ends)
    for node in nodes:
        node.write(model.graph)
    model.graph.input.extend(helper.make_value_info(traced.name, traced.type_proto) for traced in asked)
    stored = {name: a for name, a in tracer.constants.items() if name in used} | dict(graph.constants)
    tracer.forget()
    target_name = target_input.name if target_input is not None else ""
    begun, restricted = ({value: traced.name for value, traced in group.items()} for group in (starts, masks))
    shape = values[plan.target].shape
    return Compiled(model, stored, plan.target, relevance, target_name, shape, begun, restricted, books.kinds)


def _walked(
    plan: Plan,
    values: Mapping[str, Traced],
    seed: Any,
    kept: MutableMapping[Any, Any],
    masks: Mapping[str, Traced],
    books: Constants,
) -> dict[str, Any]:
    """The walk, and what it keeps inside; whatever cannot be traced is refused by the node where that happens."""
    reached: list[Step] = []

    def note(step: Step, output: str) -> Claim:
        reached.append(step)
        return books.listen(step, output)

    inner: dict[str, Any] = {}
    ways: dict[str, Any] = {"kept": kept, "free": False, "masks": masks, "inner": inner}
    try:
        return walk(plan, dict(values), seed, ledger=note, rows=books, **ways) | inner
    except (RuntimeError, ValueError, IndexError) as error:  # onnx's inference raises the first
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        where = describe(plan.graph, reached[-1].node)
        raise UnsupportedError(
            f"{where}: the walk through it cannot be compiled: {line}; use engine='numpy'"
        ) from error


def _check(plan: Plan) -> None:
    graph, faults = plan.graph, []
    opset = graph.opsets.get("", 0)
    if opset < LOWEST_OPSET:
        faults.append(f"the model's opset is {opset}; compiling needs {LOWEST_OPSET} or newer")
    taken = [v for node in graph.nodes for v in node.outputs if v.startswith((PREFIX, "relevance/"))]
    if taken:
        faults.append(
            f"the model computes '{taken[0]}': it is compiled already; compile the model it explains"
        )
    faults += _untraceable(graph, plan.steps)
    if faults:
        raise UnsupportedError(faults)


def _untraceable(graph: Graph, steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        where = f"{describe(graph, step.node)}:"
        if not step.op.compiles:
            yield f"{where} the walk through it branches on values, which a graph cannot; use engine='numpy'"
        if step.trail is not None and not step.trail.steady:
            yield f"{where} a value inside may change its shape from one iteration to the next, and a graph stacks "\
                  "equal ones only; use engine='numpy'"  # fmt: skip
        if step.trail is not None:
            yield from _untraceable(step.trail.graph, step.trail.steps)


def _traced(plan: Plan, tracer: Tracer, name: str) -> Traced:
    value = plan.graph.value(name)
    if value.shape is None or not value.elem_type:
        raise UnsupportedError(
            f"the rank of '{name}' is not known before run time, so the walk cannot be compiled; "
            "run onnx.shape_inference on the model, or use engine='numpy'"
        )
    return tracer.value(name, value.dtype, value.shape)


def _folding(step: Step, seen: MutableMapping[Any, Any]) -> Step:
    """The step, whose site computes at once what depends on no input; its weights, by node and map, are seen."""
    build = step.op.site
    if build is None or step.op.kind != "linear":
        return step

    def site(point: Point) -> Site:
        made: Site = build(point)
        keeps_batch = made.output.shape[:1] == point.x.shape[:1]
        seen.update({(made.name, i): m.structure for i, m in enumerate(made.maps) if m.constant})
        maps = (replace(m, apply=partial(_apply, m.apply, keeps_batch)) for m in made.maps)
        return replace(made, maps=tuple(maps))

    return replace(step, op=replace(step.op, site=site))


def _apply(apply: Callable[[Any, Any], Any], keeps_batch: bool, w: Any, x: Any) -> Any:
    """apply(w, x), computed at once where x is a constant that was expanded to an input's shape (the ones of a
    rule that does not look at the input, the bounds of its domain): of a symbolic batch one sample is, which
    broadcasts."""
    if at_hand(w) and not at_hand(x):
        array = x.tracer.expanded(x)
        one = (1, *x.shape[1:]) if keeps_batch and x.ndim and isinstance(x.shape[0], str) else x.shape
        if array is not None and all(isinstance(size, int) for size in one):
            return apply(w, np.broadcast_to(array, one))
    return apply(w, x)
