"""A step merged into the weighted sum beside it, whatever op that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.affine import Affine, per_channel
from onnxdtd.model.canonise.contraction import Contraction, fits
from onnxdtd.model.canonise.draft import Draft, static
from onnxdtd.model.canonise.steps import Step
from onnxdtd.model.graph import Node
from onnxdtd.types import Array


def may_sum(node: Node) -> bool:
    """Whether the node may be a weighted sum that a step can be merged into."""
    return not node.domain and node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")


def after(node: Node, step: Step, draft: Draft) -> Node | None:
    """scale * node(x) + shift as one node; None where the node is no weighted sum, or the step does not fit it."""
    affine = Affine.read(node, draft)
    merged = None if affine is None else _after(affine, step, draft)
    if merged is None and (contraction := Contraction.read(node, draft)) is not None:
        return contraction.after(step, draft)
    return merged


def before(node: Node, step: Step, draft: Draft) -> Node | None:
    """node(scale * x + shift) as one node; None where the node is no weighted sum, the step does not fit it, or
    padding meets the shift and the sizes are not known."""
    affine = Affine.read(node, draft)
    merged = None if affine is None else _before(affine, step, draft)
    if merged is None and (contraction := Contraction.read(node, draft)) is not None:
        return contraction.before(step, draft)
    return merged


def _after(affine: Affine, step: Step, draft: Draft) -> Node | None:
    scale = per_channel(step.scale, affine.channels, affine.rank)
    shift = per_channel(step.shift, affine.channels, affine.rank)
    if scale is None:
        return None
    if shift is None and not fits(step.shift.shape, draft.value(affine.node.output).shape):
        return None
    own = np.zeros(affine.channels) if shift is None else shift
    merged = replace(affine, bias=affine.bias + own) if step.only_shifts else affine.after(scale, own)
    by_position = np.zeros(()) if shift is not None else step.shift
    if affine.node.bias:
        column = scale.reshape(-1, *[1] * (affine.rank - 2))
        by_position = by_position + draft.constants[affine.node.bias] * column
    return _written(merged, by_position, draft)


def _before(affine: Affine, step: Step, draft: Draft) -> Node | None:
    scale = per_channel(step.scale, affine.channels_in, affine.rank)
    shift = per_channel(step.shift, affine.channels_in, affine.rank)
    if scale is None:
        return None
    by_position = draft.constants[affine.node.bias] if affine.node.bias else np.zeros(())
    if shift is not None and not (affine.pads and shift.any()):
        return _written(affine.before(scale, shift), by_position, draft)
    shape = draft.value(affine.node.inputs[0]).shape or (None,) * affine.rank
    sizes = static(shape[2:])
    if affine.rank < 3 or sizes is None or (shift is None and not fits(step.shift.shape, shape)):
        return None
    by_pixel = step.shift.reshape((1,) * (affine.rank - step.shift.ndim) + step.shift.shape)
    moved = affine.moved(by_pixel if shift is None else shift, sizes)
    if moved is None:
        return None
    merged = affine.before(scale, np.zeros_like(scale))
    return _written(merged, moved + by_position, draft)


def _written(merged: Affine, by_position: Array, draft: Draft) -> Node | None:
    """The node of the map, with a bias by position unless that is zero."""
    with np.errstate(over="ignore"):
        stored = by_position.astype(merged.weight.dtype)
    if not merged.is_finite or not np.isfinite(stored).all():
        return None
    if not stored.any():
        return replace(merged.written(draft), bias="")
    name = draft.constant(f"{merged.node.name}/bias_by_position", stored)
    return replace(merged.written(draft), bias=name)
