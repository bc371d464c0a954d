"""One meaning of colour for every picture: red speaks for the target, blue against it, white not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.types import Array

INK, GREY, FAINT = "#222222", "#6b6b6b", "#8a8a8a"
RED, BLUE = "#c81e1e", "#1d4fb8"


class Ramp:
    """Colours that go over into each other, evenly spread. table: (count, 3), RGB in 0..1."""

    def __init__(self, colours: Sequence[str], count: int) -> None:
        knots = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
        at, places = np.linspace(0, 1, count), np.linspace(0, 1, len(colours))
        self.table = np.stack([np.interp(at, places, channel) for channel in knots.T], axis=1)

    def __call__(self, shares: npt.ArrayLike) -> Array:
        """RGB for numbers in 0..1, one axis more than they have."""
        places = np.asarray(np.asarray(shares) * len(self.table), np.int64)
        return np.asarray(self.table[np.clip(places, 0, len(self.table) - 1)])


# An odd number of colours puts white on exactly zero; both halves fall in lightness alike.
SIGNED = Ramp(
    ["#0a1f5c", BLUE, "#6f9be8", "#c9dbf8", "#ffffff", "#fbd0c8", "#f08070", RED, "#5e0a12"], count=513
)


@dataclass(frozen=True)
class Scale:
    """Colours for -limit..limit, a percentile of |relevance|, so that one pixel cannot pale the rest.

    low, high: whether values lie beyond that end. largest: the value of largest magnitude.
    """

    limit: float
    low: bool
    high: bool
    largest: float
    percentile: float

    @classmethod
    def of(cls, relevance: Array, percentile: float) -> Scale:
        """The scale of an array; UsageError for NaN, infinity, or a percentile that is none."""
        if not np.isfinite(relevance).all():
            raise UsageError("the relevance holds NaN or infinity: it cannot be drawn")
        if not 0 < percentile <= 100:
            raise UsageError(f"percentile {percentile:g} is not above 0 and at most 100")
        size = np.abs(relevance)
        largest = float(relevance.flat[size.argmax()])
        # Where nearly everything is zero, the percentile is too: then the largest is the limit.
        limit = float(np.percentile(size, percentile, method="higher")) or abs(largest) or 1.0
        return cls(limit, bool(relevance.min() < -limit), bool(relevance.max() > limit), largest, percentile)

    def normal(self, relevance: Array) -> Array:
        """-1..1."""
        return np.clip(relevance / self.limit, -1.0, 1.0)

    def colours(self, relevance: Array) -> Array:
        """RGB in 0..1, one axis more than `relevance`."""
        return SIGNED(0.5 + 0.5 * self.normal(relevance))

    @property
    def end(self) -> float:
        """The limit as a share of the largest |relevance|: where the colour bar ends."""
        return self.limit / (abs(self.largest) or self.limit)

    @property
    def label(self) -> tuple[str, ...]:
        """What the ticks are; a second line tells where the colours end, if values lie beyond."""
        if not (self.low or self.high):
            return ("relevance, the largest being 1",)
        return "relevance, the largest being 1", f"all beyond {number(self.end)} in the last colour"


def number(value: float) -> str:
    """Three digits, a true minus sign, no "-0"."""
    return f"{value:.3g}".replace("-", "−") if value else "0"
