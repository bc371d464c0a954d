"""A step merged into the weighted sum beside it, whatever op that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.affine import Affine, per_channel
from onnxdtd.model.canonise.contraction import Contraction, fits
from onnxdtd.model.canonise.draft import Draft, static
from onnxdtd.model.canonise.offset import Offset, of_open_sizes, offset_of, plus, times
from onnxdtd.model.canonise.steps import Step
from onnxdtd.model.graph import Node
from onnxdtd.types import Array


def may_sum(node: Node) -> bool:
    """Whether the node may be a weighted sum that a step can be merged into."""
    return not node.domain and node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")


def after(node: Node, step: Step, draft: Draft) -> Node | None:
    """scale * node(x) + shift as one node; None where the node is no weighted sum, or the step does not fit it."""
    affine = Affine.read(node, draft)
    if affine is not None and not step.only_shifts and draft.keeps(affine.weight):
        return None
    merged = None if affine is None else _after(affine, step, draft)
    if merged is None and (contraction := Contraction.read(node, draft)) is not None:
        return contraction.after(step, draft)
    return merged


def before(node: Node, step: Step, draft: Draft) -> Node | None:
    """node(scale * x + shift) as one node; None where the node is no weighted sum, the step does not fit it, or
    padding meets a shift that varies from place to place and the sizes are not known."""
    affine = Affine.read(node, draft)
    if affine is not None and draft.keeps(affine.weight):
        return None
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
    column = scale.reshape(-1, *[1] * (affine.rank - 2))
    offset = times(offset_of(affine.node, draft), column, affine.node, draft)
    by_position = np.zeros(()) if shift is not None else step.shift
    return _written(merged, plus(offset, by_position, affine.node, draft), draft)


def _before(affine: Affine, step: Step, draft: Draft) -> Node | None:
    scale = per_channel(step.scale, affine.channels_in, affine.rank)
    shift = per_channel(step.shift, affine.channels_in, affine.rank)
    if scale is None:
        return None
    offset = offset_of(affine.node, draft)
    if shift is not None and not (affine.pads and shift.any()):
        return _written(affine.before(scale, shift), offset, draft)
    merged = affine.before(scale, np.zeros_like(scale))
    by_pixel = step.shift.reshape((1,) * (affine.rank - step.shift.ndim) + step.shift.shape)
    moved = _moved(affine, by_pixel if shift is None else shift, draft) if merged.is_finite else None
    return None if moved is None else _written(merged, plus(moved, offset, affine.node, draft), draft)


def _moved(affine: Affine, shift: Array, draft: Draft) -> Offset | None:
    """W c by position, for c by channel (one axis) or by pixel (all axes of x); None where a size that counts is not
    known, or onnx cannot compute it."""
    shape = draft.value(affine.node.inputs[0]).shape or (None,) * affine.rank
    sizes = static(shape[2:])
    if affine.rank < 3 or (shift.ndim > 1 and (sizes is None or not fits(shift.shape, shape))):
        return None
    return of_open_sizes(affine, shift, draft) if sizes is None else affine.moved(shift, sizes)


def _written(merged: Affine, offset: Offset, draft: Draft) -> Node | None:
    """The node of the map, with a bias beyond its operator unless that is zero."""
    if not merged.is_finite:
        return None
    if isinstance(offset, str):
        return replace(merged.written(draft), bias=offset)
    with np.errstate(over="ignore"):
        stored = offset.astype(merged.weight.dtype)
    if not np.isfinite(stored).all():
        return None
    if not stored.any():
        return replace(merged.written(draft), bias="")
    name = draft.constant(f"{merged.node.name}/bias_by_position", stored)
    return replace(merged.written(draft), bias=name)
