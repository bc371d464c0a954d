"""Where a compiled walk starts: at a target that it is given, at a fixed one, or with a relevance of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from onnxdtd.compiled.asked import asked
from onnxdtd.errors import TargetError, UsageError
from onnxdtd.model.graph import Graph
from onnxdtd.plan.masks import LOWEST, counting_of
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.positions import masks_of, vocabularies
from onnxdtd.plan.seed import NO_DIFFERENCE
from onnxdtd.plan.target import Against, Form, Index, Last, Target
from onnxdtd.primitives import (
    Traced,
    Tracer,
    at_hand,
    cast_like,
    count_up,
    equal,
    expand_like,
    greater,
    less,
    product,
    reduce_max,
    relu,
    reshape,
    sizes,
    unsqueeze,
    where,
)
from onnxdtd.primitives.traced import PREFIX

LISTED = 1024  # Of more elements, the numbers are counted in the graph instead of stored.


@dataclass(frozen=True)
class Start:
    """kind: `runtime`, an input `target` names what is explained: int64, one flat index behind the batch axis per
    sample, or one for all; -1 is the arg-max (`_best`). `fixed`: index, behind the batch axis, or None for
    the arg-max; or form: several elements, each with its coefficient. `coefficients`: an input of that name, of the
    explained value's type and shape: their sum, each times the value, is explained. `seed`: an input of that type and
    shape is the relevance that starts."""

    kind: Literal["runtime", "fixed", "coefficients", "seed"]
    index: Index | None = None
    form: Form | None = None


RUNTIME = Start("runtime")
COEFFICIENTS = Start("coefficients")
SEED = Start("seed")


def start(plan: Plan, tracer: Tracer, logits: Traced, what: Start) -> tuple[Traced, Traced | None]:
    """The relevance of the explained value (N, ...), and the input that it depends on, if any.

    An output of one number per sample has nothing to choose: without the arg-max, all of it is explained.
    """
    if 0 in logits.shape:
        raise TargetError(f"the output is empty, of shape {logits.shape}: nothing to explain")
    seed, target_input = _seed(plan, tracer, logits, what)
    # Ones in a shape that is fixed are an array: the walk goes back from a value of the graph all the same. Its shape
    # is that of the explained value, whatever the number of targets is called.
    traced = tracer.tensor(seed)
    return tracer.value(traced.name, traced.dtype, logits.shape), target_input


def _seed(plan: Plan, tracer: Tracer, logits: Traced, what: Start) -> tuple[Any, Traced | None]:
    if what.kind == "seed":
        seed = tracer.value(free_name(plan.graph, "seed"), logits.dtype, logits.shape)
        return seed, seed
    begin: Any = logits
    if plan.seed == "positive":
        begin = relu(logits)
    elif plan.seed == "one":
        begin = expand_like(np.ones((1,) * logits.ndim, logits.dtype), logits)
    if what.kind == "coefficients" or what.form is not None:
        return _weighed(plan, tracer, logits, begin, what)
    if logits.ndim < 2:
        if what.index:
            raise TargetError(f"output '{plan.output}' is one number a sample: the only target is top")
        return begin, None
    target_input: Traced | None = None
    mask: Any
    if what.kind == "runtime":
        count = 1 if logits.shape[0] == 1 else f"{PREFIX}targets"
        target_input = tracer.value(free_name(plan.graph, "target"), np.int64, (count,))
        if logits.ndim == 2:  # one arg-max a sample, so an index like any other: fewer nodes
            mask = _chosen(_or_top(target_input, logits), logits)
        else:
            best = _best(plan, tracer, logits)
            mask = tracer.emit("Or", _if_negative(target_input, best), _chosen(target_input, logits))
    elif what.index is None:
        mask = _best(plan, tracer, logits)
    else:
        mask = equal(asked(Target(index=what.index), logits), np.ones((), logits.dtype))
    return where(mask, begin, np.zeros((), logits.dtype)), target_input


def _weighed(
    plan: Plan, tracer: Tracer, logits: Traced, begin: Any, what: Start
) -> tuple[Any, Traced | None]:
    """Coefficients times the value; zero where they are, whatever the value there."""
    runtime: Traced | None = None
    coefficients: Any
    if what.form is None:
        coefficients = runtime = tracer.value(
            free_name(plan.graph, "coefficients"), logits.dtype, logits.shape
        )
    else:
        fixed = asked(Target(form=what.form), logits, _masks(plan, tracer))
        if plan.seed == "positive" and (
            isinstance(what.form, Against) or (at_hand(fixed) and (fixed < 0).any())
        ):
            raise TargetError(NO_DIFFERENCE)
        coefficients = expand_like(fixed, logits)
    if plan.seed == "one":
        return coefficients, runtime
    zero = np.zeros((), logits.dtype)
    return where(equal(coefficients, zero), zero, coefficients * begin), runtime


def _masks(plan: Plan, tracer: Tracer) -> list[Traced]:
    """What the inputs say of each token (N, S): 0 where it does not count."""
    masks = []
    for name in masks_of(plan.graph, plan.output):
        value = plan.graph.value(name)
        mask: Any = tracer.value(name, value.dtype, value.shape or ())
        match counting_of(plan.graph, name):
            case "zero":
                mask = equal(mask, np.zeros((), mask.dtype))
            case "summand":
                mask = greater(mask, np.asarray(LOWEST, mask.dtype))
        if mask.ndim > 2:  # of scores (N, heads, queries, S): where any query sees it
            number = cast_like(mask, np.zeros((), np.float32))
            mask = reshape(reduce_max(number, axes=tuple(range(1, mask.ndim - 1))), shape=[0, -1])
        masks.append(mask)
    return masks


def starts_inside(plan: Plan, tracer: Tracer, values: Mapping[str, Traced]) -> dict[str, Traced]:
    """The inputs whose relevance begins at values inside, each shaped like its value."""
    return {
        name: tracer.value(f"{PREFIX}start/{name}", values[name].dtype, values[name].shape)
        for name in plan.inside.starts
    }


def masks_inside(plan: Plan, tracer: Tracer, values: Mapping[str, Traced]) -> dict[str, Traced]:
    """The inputs that say where relevance goes on at values inside: True there, 1 long on the axes that do not
    matter. Raises UsageError for an axis that is not there."""
    masks = {}
    for name, axes in plan.inside.masked:
        shape = values[name].shape
        for axis in axes:
            if not -len(shape) <= axis < len(shape):
                raise UsageError(f"only: '{name}' of shape {shape} has no axis {axis}")
        kept = [size if {a, a - len(shape)} & {*axes} else 1 for a, size in enumerate(shape)]
        masks[name] = tracer.value(f"{PREFIX}only/{name}", np.bool_, kept)
    return masks


def free_name(graph: Graph, name: str) -> str:
    """The name, under our prefix where the model has it already."""
    taken = {*graph.inputs, *graph.constants, *(v for node in graph.nodes for v in node.outputs)}
    return PREFIX + name if name in taken else name


def _best(plan: Plan, tracer: Tracer, logits: Traced) -> Any:
    """True at the arg-max of the last axis, at each position; of a language model at the last that is no padding."""
    if logits.ndim == 3 and logits.shape[-1] in vocabularies(plan.graph):
        return equal(asked(Target(form=Last()), logits, _masks(plan, tracer)), np.ones((), logits.dtype))
    best = logits.tracer.emit("ArgMax", logits, axis=-1, keepdims=1)
    return equal(best, _range(logits, logits.ndim - 1))


def _or_top(target: Traced, logits: Traced) -> Any:
    """The target of each sample, where it is negative the arg-max."""
    best = logits.tracer.emit("ArgMax", logits, axis=-1, keepdims=0)
    return where(less(target, np.asarray(0, np.int64)), best, target)


def _if_negative(target: Traced, best: Traced) -> Any:
    negative = less(unsqueeze(target, axes=tuple(range(1, best.ndim))), np.asarray(0, np.int64))
    return best.tracer.emit("And", negative, best)


def _chosen(target: Traced, logits: Traced) -> Any:
    """True at the flat index of each sample."""
    chosen = equal(unsqueeze(target, axes=(1,)), _range(logits, 1))
    return chosen if logits.ndim == 2 else reshape(chosen, shape=(-1, *sizes(logits, 1)))


def _range(logits: Traced, first: int) -> Any:
    """0, 1, ... as many as there are elements on the axes from `first` on."""
    count = product(sizes(logits, first))
    if not at_hand(count) or count <= LISTED:
        return count_up(count)
    ends = (np.asarray(end, np.int64) for end in (0, count, 1))
    return logits.tracer.emit("Range", *ends)
