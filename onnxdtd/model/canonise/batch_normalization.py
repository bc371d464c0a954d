"""BatchNormalization at inference: a scale and a shift per channel, folded into the affine map beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.affine import Affine
from onnxdtd.model.canonise.draft import Array, Draft, nodes
from onnxdtd.model.graph import Graph, Node


def batch_normalization(graph: Graph) -> Graph:
    """BN(y) = a y + c with a = gamma / sqrt(var + epsilon), c = beta - a mean, computed in float64.

    BN(W x + b) = (a W) x + (a b + c), if the BN alone reads the map before it; else W BN(x) + b =
    (W a) x + (b + sum W c), if all that reads the BN are such maps and no padding hides c; else the BN stays,
    linear on its own.
    """
    draft = Draft(graph)
    folded: Counter[str] = Counter()
    for node in graph.nodes:
        folded += _into_before(node, draft)
    for node in reversed(graph.nodes):  # so that the first of two in a row sees the map behind the second
        if node.name in draft.nodes:
            folded += _into_after(draft.nodes[node.name], draft)
    notes = [f"BatchNormalization folded into {op}: {nodes(n)}" for op, n in folded.items()]
    return draft.graph(*notes) if notes else graph


def _scale_and_shift(node: Node, draft: Draft) -> tuple[Array, Array] | None:
    """a and c as float64 [channels]; None if this is no BatchNormalization at inference with constants."""
    if node.op != "BatchNormalization" or node.domain or draft.opset < 7 or any(node.outputs[1:]):
        return None
    if node.attributes.get("training_mode", 0) or not node.attributes.get("spatial", 1):
        return None
    constant = [array for slot in (1, 2, 3, 4) if (array := draft.array(node, slot)) is not None]
    if len(constant) < 4 or len({array.shape for array in constant}) > 1:
        return None
    gamma, beta, mean, variance = (array.astype(np.float64) for array in constant)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        shift = beta - scale * mean
    return (scale, shift) if np.isfinite(scale).all() and np.isfinite(shift).all() else None


def _into_before(node: Node, draft: Draft) -> Counter[str]:
    found = _scale_and_shift(node, draft)
    affine = Affine.read(draft.maker(node.inputs[0]), draft) if found else None
    if not found or affine is None or affine.channels != found[0].size or not draft.only_user(node.inputs[0]):
        return Counter()
    merged = affine.after(*found)
    if not merged.is_finite:
        return Counter()
    draft.remove(node)
    draft.put(replace(merged.written(draft), outputs=node.outputs[:1]))
    return Counter([affine.node.op])


def _into_after(node: Node, draft: Draft) -> Counter[str]:
    found = _scale_and_shift(node, draft)
    if not found or draft.is_end(node.output):
        return Counter()
    readers = [Affine.read(user, draft) for user in draft.users(node.output)]
    affines = [affine for affine in readers if affine is not None and _is_exact(affine, node.output, *found)]
    merged = [affine.before(*found) for affine in affines] if len(affines) == len(readers) else []
    if not merged or not all(affine.is_finite for affine in merged):
        return Counter()
    draft.remove(node)
    for affine in merged:
        written = affine.written(draft)
        draft.put(replace(written, inputs=(node.inputs[0], *written.inputs[1:])))
    return Counter([merged[0].node.op])


def _is_exact(affine: Affine, value: str, scale: Array, shift: Array) -> bool:
    fits = affine.node.inputs[0] == value and affine.channels_in == scale.size
    return fits and not (affine.pads and shift.any())
