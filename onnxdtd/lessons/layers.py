"""Which values inside a model have channels, whose relevance can be told apart; and which of them is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxdtd.errors import UsageError
from onnxdtd.model.names import values_named
from onnxdtd.plan.inside import below
from onnxdtd.plan.plan import Plan

WEIGHTED = ("convolution", "dense")
"""Families of ops that read features and make others of them."""


@dataclass(frozen=True)
class Layer:
    """name: of the value. axis: on which its channels lie. channels: how many. why: in words, where nobody named
    it."""

    name: str
    axis: int
    channels: int
    why: str = ""


def layer_of(plan: Plan, name: str | None = None, axis: int | None = None) -> Layer:
    """The layer of this name; by default the last feature map (N, C, H, W), or where there is none the features that
    the last weighted op reads. axis: of its channels; by default 1, and the last one of (N, T, F).

    Raises UsageError for a name that is no layer, with those that are near and a list.
    """
    every = {layer.name: layer for layer in layers(plan)}
    if name is None:
        chosen = _default(plan, every)
    else:
        try:
            (value, *others) = values_named(plan.graph, [name])
        except UsageError as error:
            raise UsageError(f"{error}; {_listed(every)}") from None
        if others:
            raise UsageError(f"'{name}' means {len(others) + 1} values: name one; {_listed(every)}")
        if value not in every:
            raise UsageError(f"'{value}' is no layer whose channels get relevance; {_listed(every)}")
        chosen = every[value]
    if axis is None:
        return chosen
    shape = plan.graph.value(chosen.name).shape or ()
    if not 0 < axis % max(len(shape), 1) < len(shape) or not -len(shape) <= axis < len(shape):
        raise UsageError(f"'{chosen.name}' has no channels on axis {axis}; its shape is {tuple(shape)}")
    size = shape[axis]
    if not isinstance(size, int):
        raise UsageError(f"axis {axis} of '{chosen.name}' has an open size: channels need a number")
    return Layer(chosen.name, axis % len(shape), size, chosen.why)


def layers(plan: Plan) -> Iterator[Layer]:
    """The values inside that relevance comes to and that have several channels, in the order of the graph."""
    _, arrived = below(plan.steps, (plan.target,))
    for step in plan.steps:
        for value in step.node.outputs:
            if value not in arrived or value == plan.target:
                continue
            shape = plan.graph.value(value).shape
            if shape is None or len(shape) < 2:
                continue
            axis = len(shape) - 1 if len(shape) == 3 and not _convolved(plan) else 1
            size = shape[axis]
            if isinstance(size, int) and size > 1:
                yield Layer(value, axis, size)


def _default(plan: Plan, every: dict[str, Layer]) -> Layer:
    maps = [layer for layer in every.values() if _is_map(plan, layer.name)]
    if maps:
        return Layer(maps[-1].name, maps[-1].axis, maps[-1].channels, "the last feature map")
    read = [
        step.node.inputs[slot] for step in plan.steps if step.op.family in WEIGHTED for slot in step.slots
    ]
    features = [every[value] for value in read if value in every]
    if features:
        last = features[-1]
        return Layer(last.name, last.axis, last.channels, "what the last weighted node reads")
    if every:
        last = [*every.values()][-1]
        return Layer(last.name, last.axis, last.channels, "the last value with channels")
    raise UsageError("no value inside the model has several channels that get relevance")


def _is_map(plan: Plan, value: str) -> bool:
    shape = plan.graph.value(value).shape
    return shape is not None and len(shape) >= 4 and 1 not in shape[2:]


def _convolved(plan: Plan) -> bool:
    """Whether values of rank 3 are (N, C, T): where a convolution makes one of them."""
    return any(
        step.op.family == "convolution" and len(plan.graph.value(step.node.output).shape or ()) == 3
        for step in plan.steps
    )


def _listed(every: dict[str, Layer]) -> str:
    names = [f"'{layer.name}' ({layer.channels})" for layer in every.values()]
    shown = names if len(names) <= 12 else [*names[:6], "…", *names[-5:]]
    return f"layers with channels are {', '.join(shown)}" if names else "no value has channels"
