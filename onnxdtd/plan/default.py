"""What is explained where nothing is asked: by the shape of an output and by what makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxdtd.errors import TargetError
from onnxdtd.model.graph import Graph
from onnxdtd.plan.boxes import Corners, detections
from onnxdtd.plan.positions import last_positions, vocabularies
from onnxdtd.types import Array

PICTURE = 8
"""Height and width from which on an output that is as large as an input is a picture."""
NEXT = "the next token: the arg-max of the last position that is no padding"


@dataclass(frozen=True)
class Default:
    """coefficients (N, ...): what is explained. said: in words, where a number a sample does not say it.
    corners: of each sample's box, if one is explained."""

    coefficients: Array
    said: str = ""
    corners: tuple[Corners | None, ...] = ()


def default(
    graph: Graph,
    output: str,
    values: Mapping[str, Array],
    y: Array,
    logits: Array,
    feeds: Mapping[str, Array],
) -> Default:
    """The question for an output y (N, ...) whose explained values are `logits` (N, ...).

    One number: itself. (N, K): the arg-max. A detector: the best box's class score. A picture's map behind a Sigmoid:
    its elements above 0, else the largest. (N, C, H, W): the class of most positions, where it is the largest.
    (N, T, K): the arg-max of each position; of a language model, that of the last one that is no padding. Raises
    TargetError, with three targets to choose from, for an output that is a picture itself.
    """
    behind = logits.shape[1:]
    if not behind:
        return Default(np.ones(logits.shape))
    if len(behind) == 1:
        return Default(_largest(logits, -1))
    if len(behind) == 2 and behind[1] in vocabularies(graph):
        last = last_positions(graph, output, feeds, logits.shape)
        at_last = np.arange(behind[0])[:, None] == last[:, None, None]
        return Default(_largest(logits, -1) * at_last, NEXT)
    boxes = detections(graph, output, values, y, feeds)
    if boxes is not None and all(b.elements for b in boxes):
        coefficients = np.zeros(logits.shape)
        for sample, candidates in enumerate(boxes):
            coefficients[(sample, *candidates.elements[0])] = 1
        return Default(coefficients, "the best box's class score", tuple(b.corners[0] for b in boxes))
    shapes = pictures(feeds)
    head = graph.heads.get(output)
    if head is not None and head.kind == "sigmoid" and head.whole and shapes:
        return Default(_above_zero(logits), "the elements above 0 (probability above 1/2)")
    if len(behind) == 2:
        return Default(_largest(logits, -1), f"the arg-max of each of {behind[0]} positions")
    if head is None and behind in shapes and sorted(behind)[-2] >= PICTURE:
        raise TargetError(undecided(output, behind))
    axis = class_axis(behind, graph, output, shapes)
    return Default(_most_frequent(logits, axis))


def ranks_positions(
    graph: Graph, output: str, sizes: Sequence[int | None], feeds: Mapping[str, Array]
) -> bool:
    """Whether the default is the arg-max of the last axis at each position, as the graph alone tells: of an output of
    these sizes (None: not told) that is neither a map nor a detector's nor a language model's."""
    rank, tokens = len(sizes), vocabularies(graph)
    if rank == 3 and tokens and (sizes[-1] is None or sizes[-1] in tokens):
        return False
    head = graph.heads.get(output)
    one_map = head is not None and head.kind == "sigmoid" and head.whole
    return rank == 2 or (rank == 3 and not one_map and not pictures(feeds))


def by_interest(graph: Graph) -> tuple[str, ...]:
    """The outputs, those first that are scores: what a Softmax or Sigmoid makes, or a suppression has selected;
    corners of boxes last."""

    def rank(name: str) -> int:
        head, sizes = graph.heads.get(name), graph.value(name).shape or ()
        if head is not None and head.kind == "selected" and sizes[-1:] == (4,):
            return 2
        return 1 if head is None else 0

    return tuple(sorted(graph.outputs, key=rank))


def pictures(feeds: Mapping[str, Array]) -> list[tuple[int, ...]]:
    """The shapes, behind the batch axis, of the inputs that are pictures or volumes."""
    return [x.shape[1:] for x in feeds.values() if x.ndim >= 4 and x.dtype.kind == "f"]


def class_axis(behind: tuple[int, ...], graph: Graph, output: str, shapes: list[tuple[int, ...]]) -> int:
    """The axis of (N, ...) along which the classes lie: the last one up to rank 3; of a map the channels', which come
    first unless the model's pictures have them last. A final Softmax tells it."""
    head = graph.heads.get(output)
    if (
        head is not None
        and head.kind == "softmax"
        and head.axis is not None
        and head.axis % (len(behind) + 1)
    ):
        return head.axis % (len(behind) + 1)
    if len(behind) < 3:
        return len(behind)
    last = bool(shapes) and all(shape[-1] <= 4 < shape[0] for shape in shapes)
    return len(behind) if last else 1


def undecided(output: str, behind: tuple[int, ...]) -> str:
    """Why there is no default, and three targets ready to paste."""
    middle = ",".join(str(size // 2) for size in behind)
    row = ",".join(["0", *":" * (len(behind) - 1)])
    return (
        f"output '{output}' is as large as the picture, {behind}, and no Softmax or Sigmoid makes it: say what is to "
        f"be explained, such as --target {middle} (one element), --target {row} (a channel) or "
        "--target mask:FILE.npy (elements of your own)"
    )


def _largest(logits: Array, axis: int) -> Array:
    """1 at the largest element along the axis, the first of equal ones."""
    best = np.expand_dims(logits.argmax(axis=axis), axis)
    coefficients = np.zeros(logits.shape)
    np.put_along_axis(coefficients, best, 1, axis)
    return coefficients


def _above_zero(logits: Array) -> Array:
    coefficients = (logits > 0).astype(np.float64)
    for sample, chosen in enumerate(coefficients):
        if not chosen.any():
            chosen[np.unravel_index(logits[sample].argmax(), chosen.shape)] = 1
    return coefficients


def _most_frequent(logits: Array, axis: int) -> Array:
    classes, coefficients = logits.argmax(axis=axis), np.zeros(logits.shape)
    moved = np.moveaxis(coefficients, axis, 1)
    for sample, positions in enumerate(classes):
        top = int(np.bincount(positions.reshape(-1)).argmax())
        moved[sample, top] = positions == top
    return coefficients
