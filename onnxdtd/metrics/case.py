"""What a metric is given: one input, one explanation of it, and ways to ask the model and the method again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.metrics.sources import Ask, Source
from onnxdtd.metrics.view import View
from onnxdtd.plan.masks import counts
from onnxdtd.settings import MOST_PASSES
from onnxdtd.types import Array

FILLS = ("mean", "blur", "constant")


@dataclass(frozen=True)
class Settings:
    """steps: points of a removal curve behind its first. patch: side of a region, by default a fourteenth of the
    longest axis. fills: what removed elements become: the data's `mean` (by channel, or by column), the input's
    `blur`, or the `constant`. noise: half-width of the uniform noise, as a part of the input's range. draws: how
    often. layout: such as NCHW, where the shape does not tell. resamples: of the bootstrap."""

    steps: int = 20
    patch: int | None = None
    fills: tuple[str, ...] = FILLS
    constant: float = 0.0
    noise: float = 0.02
    draws: int = 10
    layout: str | None = None
    resamples: int = 2000

    def __post_init__(self) -> None:
        for name, least in (("steps", 2), ("patch", 1), ("draws", 1), ("resamples", 100)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or not least <= value <= MOST_PASSES):
                raise UsageError(f"{name} is a whole number from {least} to {MOST_PASSES:,}, not {value!r}")
        if not self.fills or not set(self.fills) <= set(FILLS):
            raise UsageError(f"fills are some of {', '.join(FILLS)}, not {', '.join(self.fills) or 'none'}")
        if not (np.isfinite(self.constant) and 0 < self.noise < np.inf):
            raise UsageError(f"constant is finite and noise above 0, not {self.constant} and {self.noise}")


@dataclass(frozen=True)
class Background:
    """What the data set says of each channel (of each column): its mean, and the ends of its range.

    low, high: the stated range, else the least and the largest value; stated: whether noise must stay inside.
    All are (D,).
    """

    mean: Array
    low: Array
    high: Array
    stated: bool


@dataclass(frozen=True)
class Measured:
    """scores: by name; NaN where the metric says nothing of this case. curves: (steps + 1,) by name, from nothing
    removed (or revealed) to everything."""

    scores: Mapping[str, float]
    curves: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Case:
    """x, relevance: (D,), float inputs side by side. feeds: all inputs, batch axis of one. target: the explained
    class; logits: (K,) at x. seed: what relevance started with, NaN where that is not known. kept: what metrics of
    this case share. index, entropy: of the input in the data, and the evaluation's seed. mask: (H, W), where the
    object is; None where nobody says."""

    index: int
    feeds: Mapping[str, Array]
    x: Array
    relevance: Array
    seed: float
    target: int
    logits: Array
    source: Source
    scorer: Scorer
    view: View
    background: Background
    settings: Settings
    entropy: int
    mask: npt.NDArray[np.bool_] | None = None
    kept: dict[Any, Any] = field(default_factory=dict)

    def rng(self, purpose: str) -> np.random.Generator:
        """The same for the same seed, input and purpose, whatever else runs; methods share it, so that they are
        compared under the same draws."""
        return np.random.default_rng([self.entropy, self.index, *purpose.encode()])

    def units(self, patch: int) -> Array:
        """(U,): relevance of each pixel (patch 1), region or column, summed over what belongs to it."""
        labels = self.view.units(patch)
        return np.bincount(labels, self.relevance, labels.max() + 1)

    @property
    def fills(self) -> tuple[str, ...]:
        """The fills of the settings that this input can have: a table has no blur, tokens only the constant."""
        if self.scorer.tokens:
            return ("constant",)
        return tuple(f for f in self.settings.fills if f != "blur" or self.view.spatial)

    @cached_property
    def counted(self) -> Array:
        """(D,): whether an element counts; of tokens, those that a mask of their shape lets through."""
        graph = self.scorer.graph
        masks = [counts(graph, name, self.feeds[name])[0].ravel() for name in self.scorer.masks]
        fitting = [mask for mask in masks if mask.shape == self.x.shape]
        return np.asarray(np.all([np.ones(self.x.shape, bool), *fitting], axis=0))

    def fill(self, name: str) -> Array:
        """(D,): what removed elements become."""
        if name == "blur":
            return self.blurred
        return self.background.mean if name == "mean" else np.full(self.x.shape, self.settings.constant)

    @cached_property
    def blurred(self) -> Array:
        """(D,)."""
        return self.view.blurred(self.x)

    @property
    def emptied(self) -> str:
        """The fill that a picture without its content has, from which parts are put back: its blur; of a table the
        data's mean, of tokens the constant."""
        return "constant" if self.scorer.tokens else "blur" if self.view.spatial else "mean"

    def values(self, points: Iterable[Array]) -> tuple[Array, Array]:
        """The target's logit (M,) and probability (M,), NaN where there is none, at M points (D,)."""
        logits = self.logits_at(points)
        probable = self.scorer.probabilities(logits)
        chances = np.full(len(logits), np.nan) if probable is None else probable[:, self.target]
        return logits[:, self.target], chances

    def logits_at(self, points: Iterable[Array]) -> Array:
        """(M, K) logits at M points (D,), of which a pass is held at a time."""
        stream, logits = iter(points), []
        while block := list(islice(stream, self.scorer.batch)):
            logits.append(self.scorer.logits(self.at(np.stack(block))))
        return np.concatenate(logits)

    def at(self, points: Array) -> dict[str, Array]:
        """Feeds (M, ...) whose float inputs are the points (M, D)."""
        parts = {name: np.repeat(array, len(points), axis=0) for name, array in self.feeds.items()}
        floats = self.view.split(points)
        return parts | {name: a.astype(self.feeds[name].dtype) for name, a in floats.items()}

    def again(self, points: Array, target: int, purpose: str) -> tuple[Array, Array]:
        """Explanations (M, D) and their seeds (M,) at M points, by the same method, for a class."""
        ask = Ask(
            feeds=self.at(points),
            classes=np.full(len(points), target),
            indices=np.full(len(points), self.index),
            rngs=[
                np.random.default_rng([self.entropy, self.index, k, *purpose.encode()])
                for k in range(len(points))
            ],
        )
        relevance, seeds = self.source(ask)
        return self.view.join(relevance), seeds
