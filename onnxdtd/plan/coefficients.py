"""Each form of a question as coefficients: a number for each element of the explained output, the samples first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.model.graph import Graph
from onnxdtd.plan.batch import as_it_was, samples_first
from onnxdtd.plan.boxes import Corners, detections
from onnxdtd.plan.default import class_axis, pictures
from onnxdtd.plan.positions import last_positions
from onnxdtd.plan.target import Against, Box, Function, Index, Last, Part, Target, Weights, checked, counted
from onnxdtd.types import Array, Dimension

NEEDS_VALUES = (
    "this target depends on the values of a forward pass, so it cannot be compiled in: compile with target "
    "'coefficients', which takes them as an input"
)


@dataclass(frozen=True, eq=False)
class Answers:
    """What one forward pass says of an output, the samples first: y as the model returns it, the explained logits;
    axis: along which the samples lie in the output itself; and what else a question may look at."""

    graph: Graph
    output: str
    values: Mapping[str, Array]
    feeds: Mapping[str, Array]
    y: Array
    logits: Array
    axis: int | None
    corners: list[Corners | None] = field(default_factory=list)


def fixed_coefficients(target: Target, sizes: tuple[int, ...]) -> Array:
    """The coefficients (1, ...) of a target in an output of these sizes behind the batch axis, without its values.

    Raises UnsupportedError for a question that only a forward pass answers: an arg-max, a box, the rest.
    """
    nothing = np.zeros((1, *sizes))
    match target.form:
        case None if target.shared is not None:
            return _at(target, nothing)
        case Part(entries) if None not in entries:
            return _part(entries, nothing)
        case Weights(coefficients):
            return _weights(coefficients, nothing)
        case Against(plus, Target() as minus):
            return _different(fixed_coefficients(plus, sizes), fixed_coefficients(minus, sizes))
    raise UnsupportedError(NEEDS_VALUES)


def seed_mask(target: Target, logits: Array) -> npt.NDArray[np.bool_]:
    """True at the elements of an output (N, ...) that a plain index, or one for each sample, or the arg-max of the
    last axis explains. Raises TargetError out of range."""
    if target.index is not None:
        return np.asarray(
            _at(target, logits[None] if logits.ndim == 0 else logits).reshape(logits.shape) != 0
        )
    if logits.ndim < 2:
        return np.ones(logits.shape, bool)
    return np.asarray(logits.argmax(axis=-1)[..., None] == np.arange(logits.shape[-1]))


def coefficients_of(target: Target, answers: Answers) -> tuple[Array, str]:
    """The coefficients of a target (N, ...), and the question in words where indices do not say it."""
    match target.form:
        case None:
            return _at(target, answers.logits), ""
        case Part(entries):
            return _part(entries, answers.logits), ""
        case Box(which):
            return _box(which, answers)
        case Last(index):
            return _last(index, answers)
        case Weights(coefficients, said):
            whole = np.shape(coefficients) == as_it_was(answers.logits, answers.axis).shape
            moved = samples_first(coefficients, answers.axis) if whole else coefficients
            return _weights(moved, answers.logits), said
        case Against(plus, minus, said):
            return _against(plus, minus, answers), said
        case Function():
            raise TargetError("a function of the outputs' shapes is asked by the Explainer itself")


def _at(target: Target, logits: Array) -> Array:
    coefficients = np.zeros(logits.shape)
    index: Any = target.index
    if target.per_sample and len(index) != len(logits):
        raise TargetError(f"{len(index)} targets for {len(logits)} samples; give one each, or one for all")
    if not logits.shape[1:] and index != ():
        raise TargetError("the output is a single number: the only target is top")
    rows: Sequence[Index] = index if target.per_sample else [index] * len(logits)
    for sample, place in enumerate(rows):
        coefficients[(sample, *checked(place, logits.shape[1:]))] = 1
    return coefficients


def _part(entries: tuple[int | slice | None, ...], logits: Array) -> Array:
    """1 at the chosen elements. An arg-max is taken among those that the other entries leave, in each of them."""
    counted(entries, logits.shape[1:])
    chosen = np.ones(logits.shape, bool)
    for axis, (entry, size) in enumerate(zip(entries, logits.shape[1:], strict=True), 1):
        if entry is None:
            continue
        places = entry if isinstance(entry, slice) else checked((entry,), (size,))[0]
        along = np.zeros(size, bool)
        along[places] = True
        if not along.any():
            raise TargetError(f"the slice {entry.start or 0}:{entry.stop} of an axis of {size} is empty"
                              if isinstance(entry, slice) else f"target {entry} is out of range")  # fmt: skip
        chosen &= along.reshape([size if i == axis else 1 for i in range(logits.ndim)])
    tops = [axis for axis, entry in enumerate(entries, 1) if entry is None]
    if tops:
        values = np.where(chosen, logits, -np.inf)
        chosen &= values == values.max(axis=tuple(tops), keepdims=True)
    return chosen.astype(np.float64)


def _box(which: int, answers: Answers) -> tuple[Array, str]:
    boxes = detections(answers.graph, answers.output, answers.values, answers.y, answers.feeds)
    if boxes is None:
        raise TargetError(
            f"output '{answers.output}' of shape {answers.y.shape} does not look like a detector's: it has no boxes; "
            "give an index"
        )
    coefficients = np.zeros(answers.logits.shape)
    for sample, of_sample in enumerate(boxes):
        count = len(of_sample.elements)
        if which >= count:
            raise TargetError(
                f"box {which} is not there: sample {sample} has {count} boxes, the best is box:0"
            )
        coefficients[(sample, *of_sample.elements[which])] = 1
        answers.corners.append(of_sample.corners[which])
    return coefficients, f"box {which}'s class score"


def require_positions(output: str, shape: Sequence[Dimension]) -> None:
    """Raise TargetError for an output without positions behind its batch axis."""
    if len(shape) < 3:
        raise TargetError(
            f"output '{output}' of shape {tuple(shape)} has no positions of which one is the last: give an index"
        )


def _last(index: int | None, answers: Answers) -> tuple[Array, str]:
    logits = answers.logits
    require_positions(answers.output, logits.shape)
    coefficients = np.zeros(logits.shape)
    for sample, position in enumerate(
        last_positions(answers.graph, answers.output, answers.feeds, logits.shape)
    ):
        row = logits[sample, position]
        place = np.unravel_index(row.argmax(), row.shape) if index is None else checked((index,), row.shape)
        coefficients[(sample, position, *place)] = 1
    return coefficients, ""


def _weights(coefficients: Array, logits: Array) -> Array:
    array = np.asarray(coefficients, np.float64)
    if array.shape not in (logits.shape, logits.shape[1:], (1, *logits.shape[1:])):
        raise TargetError(
            f"coefficients of shape {array.shape} do not fit the output {logits.shape}: give one for each element "
            f"of a sample {logits.shape[1:]}, or of all"
        )
    if not np.isfinite(array).all() or not array.any():
        raise TargetError("the coefficients must be finite, and not all of them zero")
    return np.broadcast_to(array, logits.shape).copy()


def _against(plus: Target, minus: Target | None, answers: Answers) -> Array:
    """A - B; A - the softmax-weighted others (Gu et al. 2018)."""
    for_it, _ = coefficients_of(plus, answers)
    if minus is not None:
        return _different(for_it, coefficients_of(minus, answers)[0])
    axis = class_axis(answers.logits.shape[1:], answers.graph, answers.output, pictures(answers.feeds))
    others = np.where(for_it == 0, answers.logits, -np.inf).astype(np.float64)
    rows = for_it.any(axis=axis, keepdims=True)
    if np.isneginf(others.max(axis=axis, keepdims=True)).any():
        raise TargetError("all classes are explained already: there is no rest")
    odds = np.exp(
        others - others.max(axis=axis, keepdims=True), where=np.isfinite(others), out=np.zeros(others.shape)
    )
    total = odds.sum(axis=axis, keepdims=True)
    return np.asarray(for_it - rows * odds / total)


def _different(plus: Array, minus: Array) -> Array:
    if not (plus - minus).any():
        raise TargetError("both sides of the difference are the same: nothing is left to explain")
    return np.asarray(plus - minus)
