"""A scale and a shift per channel, by BatchNormalization or written out, folded into the affine map beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.affine import Affine, per_channel
from onnxdtd.model.canonise.draft import Draft, free, nodes, static
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.units import is_step, units
from onnxdtd.types import Array


def batch_normalization(graph: Graph) -> Graph:
    """BN(y) = a y + c with a = gamma / sqrt(var + epsilon), c = beta - a mean, computed in float64; so too a product
    with a constant, a quotient, a sum, a difference.

    BN(W x + b) = (a W) x + (a b + c); else W BN(x) + b = (W a) x + (b + sum W c), where padding makes the last sum
    differ from place to place. Where something else reads the value between, that keeps a copy. A change of units at
    the graph's inputs stays; so does what has no affine map beside it, linear on its own.
    """
    draft = Draft(graph)
    at_inputs = units(graph)
    folded: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        folded += _into_before(node, draft)
    for node in reversed(graph.nodes):  # so that the first of two in a row sees the map behind the second
        if node.name in draft.nodes and node.name not in at_inputs:
            folded += _into_after(draft.nodes[node.name], draft)
    notes = [f"{step} folded into {op}: {nodes(n)}" for (step, op), n in folded.items()]
    return draft.graph(*notes) if notes else graph


def _scale_and_shift(node: Node, affine: Affine, channels: int, draft: Draft) -> tuple[Array, Array] | None:
    """a and c as float64 [channels]; None if this is no such step."""
    if node.op == "BatchNormalization":
        found = _of_batch_normalization(node, draft)
    else:
        found = _of_arithmetic(node, affine, channels, draft)
    fits = found is not None and found[0].size == channels and all(np.isfinite(part).all() for part in found)
    return found if fits else None


def _of_batch_normalization(node: Node, draft: Draft) -> tuple[Array, Array] | None:
    """At inference with constants."""
    if node.domain or draft.opset < 7 or any(node.outputs[1:]):
        return None
    if node.attributes.get("training_mode", 0) or not node.attributes.get("spatial", 1):
        return None
    constant = [array for slot in (1, 2, 3, 4) if (array := draft.array(node, slot)) is not None]
    if len(constant) < 4 or len({array.shape for array in constant}) > 1:
        return None
    gamma, beta, mean, variance = (array.astype(np.float64) for array in constant)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        return scale, beta - scale * mean


def _of_arithmetic(node: Node, affine: Affine, channels: int, draft: Draft) -> tuple[Array, Array] | None:
    """Of a Mul, Div, Add or Sub with one constant."""
    if node.op not in ("Mul", "Div", "Add", "Sub") or draft.opset < 7 or not is_step(node, draft.constants):
        return None
    slot = 1 if draft.array(node, 1) is not None else 0
    constant = per_channel(draft.constants[node.inputs[slot]], channels, affine.rank)
    if constant is None:
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    with np.errstate(all="ignore"):
        match node.op:
            case "Mul":
                return constant, zero
            case "Div":
                return 1 / constant, zero
            case "Add":
                return one, constant
    return (one, -constant) if slot == 1 else (-one, constant)


def _data(node: Node, draft: Draft) -> str:
    """The one value that the step reads."""
    return next((value for value in node.inputs if value not in draft.constants), "")


def _into_before(node: Node, draft: Draft) -> Counter[tuple[str, str]]:
    x = _data(node, draft)
    affine = Affine.read(draft.maker(x), draft)
    found = (
        None if affine is None or affine.node.bias else _scale_and_shift(node, affine, affine.channels, draft)
    )
    if affine is None or found is None or not (merged := affine.after(*found)).is_finite:
        return Counter()
    draft.remove(node)
    is_read = draft.users(x) or draft.is_end(x)
    name = free(f"{affine.node.name}/scaled", draft.nodes) if is_read else affine.node.name
    bias = affine.node.bias
    if bias:  # by position, times the scale of its channel
        by_channel = found[0].reshape(-1, *[1] * (affine.rank - 2))
        array = np.asarray(draft.constants[bias] * by_channel, affine.weight.dtype)
        bias = draft.constant(f"{affine.node.name}/bias_by_position", array)
    written = replace(merged.written(draft), name=name, outputs=node.outputs[:1], bias=bias)
    draft.put(written, at=affine.node)
    return Counter([(node.op, affine.node.op)])


def _into_after(node: Node, draft: Draft) -> Counter[tuple[str, str]]:
    folded: Counter[tuple[str, str]] = Counter()
    for user in draft.users(node.output):
        affine = Affine.read(user, draft)
        if affine is None or user.inputs[0] != node.output:
            continue
        found = _scale_and_shift(node, affine, affine.channels_in, draft)
        merged = None if found is None else _before(affine, *found, draft)
        if merged is not None:
            draft.put(replace(merged, inputs=(_data(node, draft), *merged.inputs[1:])))
            folded[node.op, user.op] += 1
    if folded and not draft.users(node.output) and not draft.is_end(node.output):
        draft.remove(node)
    return folded


def _before(affine: Affine, scale: Array, shift: Array, draft: Draft) -> Node | None:
    """W (a x + c) + b as one node; None where padding meets c and the sizes are not known."""
    if not (affine.pads and shift.any()):
        merged = affine.before(scale, shift)
        return merged.written(draft) if merged.is_finite else None
    merged = affine.before(scale, np.zeros_like(shift))
    sizes = static((draft.value(affine.node.inputs[0]).shape or (None,) * affine.rank)[2:])
    moved = None if sizes is None else affine.moved(shift, sizes)
    if moved is None or not merged.is_finite or not np.isfinite(moved).all():
        return None
    if affine.node.bias:
        moved = np.asarray(moved + draft.constants[affine.node.bias], moved.dtype)
    return replace(merged.written(draft), bias=draft.constant(f"{affine.node.name}/bias_by_position", moved))
