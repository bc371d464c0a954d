"""Where explanations come from: an Explainer, a user's function or arrays, and the controls that look at nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.registry import METHODS
from onnxdtd.runs.batches import chunks, filled, taken
from onnxdtd.types import Array

Arrays = dict[str, Array]
RelevanceAndSeed = tuple[Arrays, Array]
"""Relevance (N, ...) by input name, and the seed (N,) that scales all of it, NaN where there is none such."""

CONTROLS = ("random", "constant")


@dataclass(frozen=True)
class Ask:
    """N inputs to explain, the class of each, its place in the data, and what it may draw from."""

    feeds: Mapping[str, Array]
    classes: npt.NDArray[np.intp]
    indices: npt.NDArray[np.intp]
    rngs: Sequence[np.random.Generator]


class Source(Protocol):
    """repeats: whether it explains other points than those of the data."""

    repeats: bool

    def __call__(self, ask: Ask) -> RelevanceAndSeed:
        """Explain."""


class Native:
    """An Explainer, as many inputs at a time as the scorer takes."""

    repeats = True

    def __init__(self, explainer: Explainer, scorer: Scorer) -> None:
        self.explainer, self._scorer = explainer, scorer

    def __call__(self, ask: Ask) -> RelevanceAndSeed:
        """Explain."""
        scorer, parts, seeds = self._scorer, [], []
        for rows in chunks(len(ask.classes), scorer.batch):
            whole = filled(rows, scorer.fixed)
            e = self.explainer(taken(ask.feeds, whole), scorer.target(ask.classes[whole]))
            parts.append({name: r[: len(rows)] for name, r in e.relevance.items()})
            scaled = e.method in METHODS and METHODS[e.method].seed != "one"
            seeds.append(e.seed[: len(rows)] if scaled else np.full(len(rows), np.nan))
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}, np.concatenate(seeds)


class Called:
    """f(x, target) -> relevance like x. x: (N, ...), or a dict by name where the model has several inputs; target:
    (N,) integers, the explained class of each."""

    repeats = True

    def __init__(self, name: str, function: Callable[..., Any], scorer: Scorer) -> None:
        self._name, self._function, self._scorer = name, function, scorer

    def __call__(self, ask: Ask) -> RelevanceAndSeed:
        """Explain."""
        feeds = dict(ask.feeds)
        returned = self._function(feeds if len(feeds) > 1 else next(iter(feeds.values())), ask.classes)
        return _like(self._name, returned, feeds, self._scorer), np.full(len(ask.classes), np.nan)


class Stored:
    """Relevance (count, ...) of the whole data set, in its order; it cannot be asked about another point."""

    repeats = False

    def __init__(self, name: str, arrays: Any, scorer: Scorer) -> None:
        self._name, self._scorer = name, scorer
        by_input = arrays if isinstance(arrays, Mapping) else {scorer.inputs[0]: arrays}
        self._arrays = {key: np.asarray(array) for key, array in by_input.items()}

    def __call__(self, ask: Ask) -> RelevanceAndSeed:
        """Look up."""
        if any(ask.indices.max() >= len(array) for array in self._arrays.values()):
            raise UsageError(f"method '{self._name}' holds relevance of fewer inputs than the data")
        chosen = {name: array[ask.indices] for name, array in self._arrays.items()}
        return _like(self._name, chosen, dict(ask.feeds), self._scorer), np.full(len(ask.classes), np.nan)


class Control:
    """`random`: normal numbers, drawn anew each time it is asked; `constant`: ones."""

    repeats = True

    def __init__(self, name: str, scorer: Scorer) -> None:
        self._name, self._scorer = name, scorer

    def __call__(self, ask: Ask) -> RelevanceAndSeed:
        """Draw."""
        relevance = {}
        for name in self._scorer.inputs:
            shape = ask.feeds[name].shape
            draws = [rng.standard_normal(shape[1:]) for rng in ask.rngs]
            relevance[name] = np.stack(draws) if self._name == "random" else np.ones(shape)
        return relevance, np.full(len(ask.classes), np.nan)


def _like(name: str, returned: Any, feeds: Arrays, scorer: Scorer) -> Arrays:
    """What a user's method returned, if it is relevance of the inputs."""
    by_input = returned if isinstance(returned, Mapping) else {scorer.inputs[0]: returned}
    arrays = {key: np.asarray(array) for key, array in by_input.items()}
    for key, array in arrays.items():
        shape = feeds[key].shape if key in scorer.inputs else None
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise UsageError(
                f"method '{name}' returned {array.dtype} {array.shape} for '{key}'; wanted are numbers of the "
                f"shape {shape} of a floating-point input"
            )
    return arrays
