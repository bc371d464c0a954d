"""A question put to the values of one forward pass: a coefficient for each element of the explained output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError
from onnxdtd.model.graph import Graph
from onnxdtd.plan.batch import as_it_was, batch_axis, samples_first
from onnxdtd.plan.boxes import Corners, class_rows
from onnxdtd.plan.coefficients import Answers, coefficients_of
from onnxdtd.plan.default import class_axis, default, pictures
from onnxdtd.plan.target import Index, Target
from onnxdtd.types import Array

NO_DIFFERENCE = (
    "this method starts from max(0, logit), of which no difference can be taken; take dtd_head or another method "
    "that starts from the logit with its sign"
)


@dataclass(frozen=True, eq=False)
class Seed:
    """coefficients: like the explained value; what is explained is the sum of coefficient * value. axis: along which
    the samples lie, None if all is one sample's. class_axis: behind it, along which classes lie. said: the question
    in words, where indices do not say it. corners: of each sample's box, if one is explained."""

    coefficients: Array
    axis: int | None = 0
    class_axis: int = -1
    said: str = ""
    corners: tuple[Corners | None, ...] = ()

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """True at the elements that are explained."""
        return np.asarray(self.coefficients != 0)

    @property
    def elements(self) -> tuple[tuple[Index, ...], ...]:
        """The explained indices of each sample, behind the batch axis."""
        mask = samples_first(self.mask, self.axis)
        indices: list[list[Index]] = [[] for _ in mask]
        for sample, *index in zip(*(places.tolist() for places in np.nonzero(mask)), strict=True):
            indices[sample].append(tuple(index))
        return tuple(map(tuple, indices))

    def per_sample(self, values: Array) -> npt.NDArray[np.float64]:
        """(N,), the sum over each sample's elements."""
        rows = samples_first(values, self.axis)
        return np.asarray(rows.reshape(len(rows), -1).sum(axis=1, dtype=np.float64))


def ask(
    target: Target, graph: Graph, output: str, values: Mapping[str, Array], feeds: Mapping[str, Array]
) -> Seed:
    """The seed of a target at the values of one forward pass, which hold all outputs and the explained value.

    Raises TargetError for an element that is not there, and where nothing is asked and nothing decides.
    """
    name = graph.target(output)
    logits = values[name]
    if not logits.size:
        raise TargetError(f"the output is empty, of shape {logits.shape}: nothing to explain")
    axis = batch_axis(graph, name, logits.shape, feeds)
    if target.per_sample and axis is None and logits.ndim and len(target.index or ()) == len(logits):
        axis = 0  # who gives one index for each sample says where the samples are
    y = values[output] if values[output].shape == logits.shape else logits
    first = samples_first(logits, axis)
    answers = Answers(graph, output, values, feeds, samples_first(y, axis), first, axis)
    rows = class_rows(graph, output, answers.y, feeds)
    classes = rows[0] if rows else class_axis(answers.logits.shape[1:], graph, output, pictures(feeds)) - 1
    if target.is_top:
        chosen = default(graph, output, values, answers.y, answers.logits, feeds)
        return Seed(as_it_was(chosen.coefficients, axis), axis, classes, chosen.said, chosen.corners)
    coefficients, said = coefficients_of(target, answers)
    return Seed(as_it_was(coefficients, axis), axis, classes, said, tuple(answers.corners))


def start_of(kind: Literal["value", "positive", "one"], seed: Seed, logits: Array) -> Array:
    """The relevance that the walk starts with: coefficient times the logit, its positive part, or the coefficient.

    Zero where the coefficient is, whatever the logit there. Raises TargetError for the positive part of a difference.
    """
    coefficients = seed.coefficients.astype(logits.dtype)
    if kind == "one":
        return coefficients
    asked = np.where(coefficients != 0, logits, np.zeros((), logits.dtype))
    if kind == "value":
        return np.asarray(coefficients * asked)
    if (coefficients < 0).any():
        raise TargetError(NO_DIFFERENCE)
    return np.asarray(coefficients * np.maximum(asked, 0))
