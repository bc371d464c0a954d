"""Detected boxes in an output: which elements are a box's class scores, and where in the picture it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxdtd.model.graph import Graph
from onnxdtd.types import Array

Corners = tuple[float, float, float, float]

FEWEST = 12
"""Anchors: of fewer, rows of numbers between 0 and 1 may be anything."""
OVERLAP = 0.45
"""Boxes of one class that overlap by more (intersection over union) are one detection, as YOLO counts them."""


@dataclass(frozen=True)
class Detections:
    """Of one sample, the best first. elements: of each box's class score, behind the batch axis. scores: the class
    score, times the box's own where there is one. corners: left, top, right, bottom, in pixels of the input."""

    elements: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    corners: tuple[Corners | None, ...]


def detections(
    graph: Graph, output: str, values: Mapping[str, Array], y: Array, feeds: Mapping[str, Array]
) -> list[Detections] | None:
    """The boxes of each sample of a detector's output y (N, ...); None for any other output.

    A detector looks at pictures. Its output is (N, 4 + C, A), (N, A, 4 + C) or (N, A, 5 + C) with the scores of C
    classes, which lie between 0 and 1, behind four numbers that do not all (and one score of the box itself); or it
    is made of what a suppression of overlapping boxes has selected, its boxes being another output.
    """
    head = graph.heads.get(output)
    if head is not None and head.kind == "selected":
        return _selected(graph, output, values, y) if _looks_at_pictures(feeds) else None
    classes = class_rows(graph, output, y, feeds)
    if classes is None:
        return None
    axis, first = classes
    anchors = y if axis == 1 else y.swapaxes(1, 2)
    return [_ranked(rows[:, :4], rows[:, 4:], first == 5, axis == 1) for rows in anchors]


def class_rows(graph: Graph, output: str, y: Array, feeds: Mapping[str, Array]) -> tuple[int, int] | None:
    """Where the classes lie in a detector's output y (N, ...) that has numbers of the box beside them: the axis
    behind the batch axis, and the first class on it. None for any other output."""
    head = graph.heads.get(output)
    if not _looks_at_pictures(feeds) or (head is not None and head.kind == "selected"):
        return None
    if output in graph.targets and head is not None and head.whole:
        return None
    if y.ndim != 3 or max(y.shape[1:]) < FEWEST or min(y.shape[1:]) < 5:
        return None
    rows_last = y.shape[1] > y.shape[2]
    anchors = y if rows_last else y.swapaxes(1, 2)
    boxes, scores = anchors[..., :4], anchors[..., 4:]
    if scores.min() < 0 or scores.max() > 1 or (boxes.min() >= 0 and boxes.max() <= 1):
        return None
    own = rows_last and scores.shape[-1] > 1
    return int(rows_last), 4 + own


def _looks_at_pictures(feeds: Mapping[str, Array]) -> bool:
    return any(x.ndim == 4 and x.dtype.kind == "f" for x in feeds.values())


def _ranked(boxes: Array, scores: Array, own: bool, rows_last: bool) -> Detections:
    """The best class of each anchor, overlapping ones of one class dropped."""
    classes = scores[:, 1:] * scores[:, :1] if own else scores
    best = classes.argmax(axis=1)
    certain = classes[np.arange(len(best)), best]
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    kept: list[int] = []
    for a in np.argsort(-certain, kind="stable")[:300]:
        rivals = [b for b in kept if best[b] == best[a]]
        if all(_overlap(corners[a], corners[b]) <= OVERLAP for b in rivals):
            kept.append(int(a))
    first = 5 if own else 4
    rows = [first + int(best[a]) for a in kept]
    elements = [(a, row) if rows_last else (row, a) for a, row in zip(kept, rows, strict=True)]
    places = [(float(c[0]), float(c[1]), float(c[2]), float(c[3])) for c in corners[kept]]
    return Detections(tuple(elements), tuple(float(certain[a]) for a in kept), tuple(places))


def _selected(graph: Graph, output: str, values: Mapping[str, Array], y: Array) -> list[Detections] | None:
    """What is left after suppression: scores (..., boxes), whose corners another output has."""
    if (y.shape[-1:] == (4,) and y.ndim > 1) or (y.size and (y.min() < 0 or y.max() > 1)):
        return None
    per_sample = []
    for sample, scores in enumerate(y):
        order = np.argsort(-scores, axis=None, kind="stable")
        elements = [tuple(int(k) for k in np.unravel_index(i, scores.shape)) for i in order]
        places = _corners(graph, output, values, sample, scores.size)
        corners = tuple(places[i] if places is not None else None for i in order)
        per_sample.append(Detections(tuple(elements), tuple(float(scores[e]) for e in elements), corners))
    return per_sample


def _corners(
    graph: Graph, output: str, values: Mapping[str, Array], sample: int, count: int
) -> list[Corners] | None:
    for name in graph.outputs:
        head = graph.heads.get(name)
        chosen = name != output and head is not None and head.kind == "selected"
        if chosen and values[name].shape[-1:] == (4,):
            boxes = values[name] if values[name].ndim == 2 else values[name][sample]
            if boxes.shape == (count, 4):
                return [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in boxes]
    return None


def _overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes."""
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    areas = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()
    return float(inner / (areas - inner)) if areas > inner else 0.0
