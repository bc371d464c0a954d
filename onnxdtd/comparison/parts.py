"""An input cut into parts that are shown or covered together: superpixels, stretches of time, columns."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.inputs.layout import layout_of
from onnxdtd.render import picture_of
from onnxdtd.types import Array

IMAGES = ("NCHW", "NHWC", "NHW")


@dataclass(frozen=True, eq=False)
class Parts:
    """x, cover: one sample and what covers it, (...). labels: the part of each element, 0 .. count - 1. words: what
    the parts are and what covers them."""

    x: Array
    cover: Array
    labels: npt.NDArray[np.intp]
    words: str

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1

    def at(self, shown: Array) -> Array:
        """(M, ...): the sample with the parts covered where `shown` (M, parts) is 0."""
        return np.where(np.asarray(shown, bool)[:, self.labels], self.x, self.cover)

    def spread(self, weights: Array, share: bool = False) -> Array:
        """Each element has the weight of its part (share: divided by the part's size, so that sums stay)."""
        weights = np.asarray(weights, np.float64)
        return np.asarray((weights / np.bincount(self.labels.ravel()) if share else weights)[self.labels])


def cut(x: Array, layout: str | None = None, count: int = 60, cover: Array | None = None) -> Parts:
    """The parts of one sample (without the batch axis), at most about `count`.

    An image: superpixels by SLIC (Achanta et al. 2012). A sequence: stretches of equal length. A table: its columns.
    cover: what covers, shaped like x; by default the mean of the input in each channel, and 0 for a column.
    Raises UsageError where the shape has no such meaning, or scikit-image is missing.
    """
    if type(count) is not int or count < 2:
        raise UsageError(f"superpixels is a whole number of at least 2, not {count!r}")
    meaning = layout_of(x.shape, layout)
    if meaning is None:
        raise UsageError(
            f"an input of shape {x.shape} is no image, sequence or table whose parts could be covered"
        )
    if meaning == "NF":
        labels, what, by = np.arange(x.size), "columns", "0"
    else:
        places, what = _superpixels(x, meaning, count) if meaning in IMAGES else _stretches(x, meaning, count)
        labels = np.broadcast_to(np.expand_dims(places, _channel(meaning)), x.shape)
        by = "the input's mean" + (" in each channel" if "C" in meaning else "")
    if cover is None:
        cover = np.zeros_like(x) if meaning == "NF" else _mean(x, meaning)
    else:
        cover, by = np.broadcast_to(np.asarray(cover, x.dtype), x.shape), "what was given"
    parts = Parts(x, cover, np.asarray(labels, np.intp), "")
    return Parts(x, cover, parts.labels, f"{parts.count} {what}, each covered by {by}")


def _superpixels(x: Array, meaning: str, count: int) -> tuple[Array, str]:
    try:
        segmentation: Any = importlib.import_module("skimage.segmentation")
    except ImportError:
        raise UsageError('superpixels need scikit-image: pip install "onnxdtd[compare]"') from None
    segments = segmentation.slic(picture_of(x, meaning), n_segments=count, compactness=10, start_label=0)
    return np.unique(segments, return_inverse=True)[1].reshape(segments.shape), "superpixels"


def _stretches(x: Array, meaning: str, count: int) -> tuple[Array, str]:
    steps = x.shape[meaning.index("T") - 1]
    return np.arange(steps) * min(count, steps) // steps, "stretches of time"


def _channel(meaning: str) -> tuple[int, ...]:
    return (meaning.index("C") - 1,) if "C" in meaning else ()


def _mean(x: Array, meaning: str) -> Array:
    """Not each part's own mean: superpixels follow the edges, so those alone would still draw the picture."""
    axes = tuple(i for i in range(x.ndim) if i not in _channel(meaning))
    return np.asarray(
        np.broadcast_to(x.mean(axis=axes, keepdims=True, dtype=np.float64), x.shape).astype(x.dtype)
    )
