"""The three games: whose cell, whose stroke, whose box? A question knows where the evidence for each target lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from onnxdtd import Explainer
from onnxdtd.errors import OnnxdtdError
from tools.ground_truth.candidates import Candidate
from tools.ground_truth.measures import CELLS, cell_mask, hit, share
from tools.ground_truth.scenes import Mosaics, Textured

Array = npt.NDArray[Any]
Scores = dict[str, dict[str, Array]]

# Pictures explained at a time: so many of digits, so many of photographs.
PIXELS = 4e5


class Question(NamedTuple):
    """pictures: (N, C, H, W). targets: the class or element asked of each. mask: where its evidence lies, (N, H, W).
    cells: the number of its cell, in the grid game."""

    pictures: Array
    targets: Sequence[Any]
    mask: Array
    cells: Array | None = None


def grid(mosaics: Mosaics, asked: Sequence[int] = range(CELLS)) -> Question:
    """Each mosaic is asked for the classes of these cells."""
    height, width = mosaics.pictures.shape[2:]
    cells = np.tile(np.asarray(asked), len(mosaics.pictures))
    targets = mosaics.classes[:, list(asked)].ravel()
    pictures = np.repeat(mosaics.pictures, len(asked), axis=0)
    return Question(pictures, [int(t) for t in targets], cell_mask(cells, height, width), cells)


def strokes(scene: Textured) -> Question:
    """Each picture is asked for its digit."""
    return Question(scene.pictures, [int(label) for label in scene.labels], scene.strokes)


def play(
    model: onnx.ModelProto,
    input_range: tuple[float, float],
    question: Question,
    candidates: Mapping[str, Candidate],
) -> Scores:
    """The scores of every candidate that this model allows: `share`, and `hit` where there are cells."""
    scores: Scores = {}
    for name, candidate in candidates.items():
        try:
            relevance = explained(model, input_range, question, candidate)
        except OnnxdtdError as error:
            print(f"  {name} is left out: {error}", flush=True)
            continue
        scores[name] = {"share": share(relevance, question.mask)}
        if question.cells is not None:
            scores[name]["hit"] = hit(relevance, question.cells)
    return scores


def explained(
    model: onnx.ModelProto, input_range: tuple[float, float], question: Question, candidate: Candidate
) -> Array:
    """Relevance (N, C, H, W); a picture whose relevance is not finite has none."""
    explainer = Explainer(
        model, candidate.method, rules=list(candidate.rules) or None, input_range=input_range
    )
    batch = max(1, int(PIXELS // question.pictures[0].size))
    parts = []
    for start in range(0, len(question.pictures), batch):
        some = slice(start, start + batch)
        e = explainer(question.pictures[some], list(question.targets[some]))
        parts.append(next(iter(e.relevance.values())))
    relevance = np.concatenate(parts)
    finite = np.isfinite(relevance).all(axis=(1, 2, 3), keepdims=True)
    return np.where(finite, relevance, 0.0)
