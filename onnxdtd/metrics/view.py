"""The floating-point inputs of one sample as one vector, and what belongs together: pixels, regions, channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.inputs.layout import layout_of
from onnxdtd.types import Array

Labels = npt.NDArray[np.intp]

FINENESS = 14
"""Regions along the longest axis, by default."""
BLUR = 7
"""A blur's standard deviation is the longest axis divided by this: what is left does not tell what was there."""
SPATIAL = "HWT"


class View:
    """D elements of all float inputs, one input behind the other.

    shapes: of one sample, by input name. layout: such as NCHW, where a shape does not tell. channel: (D,) which
    channel (of which input) an element is in; of a table, which column. tokens: each place is a unit, and no channel.
    spatial: whether any input has places.
    Raises UsageError where a layout is not known.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], layout: str | None = None, tokens: bool = False
    ) -> None:
        self.shapes, self._tokens = dict(shapes), tokens
        self._meanings = {name: _meaning(name, shape, layout) for name, shape in shapes.items()}
        self.size = sum(math.prod(shape) for shape in shapes.values())
        self.spatial = any(letter in SPATIAL for meaning in self._meanings.values() for letter in meaning)

    def join(self, arrays: Mapping[str, Array]) -> Array:
        """(N, D) from arrays (N, ...) by name; zero for an input that is not there."""
        count = len(next(iter(arrays.values())))
        parts = [
            np.reshape(arrays[name], (count, -1)) if name in arrays else np.zeros((count, math.prod(shape)))
            for name, shape in self.shapes.items()
        ]
        return np.concatenate(parts, axis=1)

    def split(self, rows: Array) -> dict[str, Array]:
        """The reverse of `join`."""
        parts, start = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            parts[name] = rows[:, start : start + size].reshape(len(rows), *shape)
            start += size
        return parts

    def units(self, patch: int) -> Labels:
        """(D,): which unit an element is in: a square of places over all channels, or a column of a table."""

        def unit(shape: tuple[int, ...], meaning: str) -> Labels:
            sides = [patch if letter in SPATIAL else 1 for letter in meaning]
            counts = [
                1 if letter == "C" else -(-n // s) for n, s, letter in zip(shape, sides, meaning, strict=True)
            ]
            places = np.indices(shape)
            label = np.zeros(shape, np.intp)
            for place, side, count, letter in zip(places, sides, counts, meaning, strict=True):
                label = label * count + (0 if letter == "C" else place // side)
            return label

        return self._labelled(unit)

    @cached_property
    def channel(self) -> Labels:
        """(D,)."""

        def channel(shape: tuple[int, ...], meaning: str) -> Labels:
            axis = next((i for i, letter in enumerate(meaning) if letter in "CF"), None)
            return np.zeros(shape, np.intp) if axis is None or self._tokens else np.indices(shape)[axis]

        return self._labelled(channel)

    @property
    def patch(self) -> int:
        """The default side of a region: a fourteenth of the longest axis, at least 2."""
        sides = [
            n
            for name, shape in self.shapes.items()
            for n, letter in zip(shape, self._meanings[name], strict=True)
            if letter in SPATIAL
        ]
        return max(2, round(max(sides) / FINENESS))

    def blurred(self, x: Array) -> Array:
        """(D,): every place the mean of those around, by a Gaussian of a seventh of the longest axis; columns
        of a table stay as they are."""
        blurred = {}
        for name, part in self.split(x[None]).items():
            array, meaning = part[0].astype(np.float64), self._meanings[name]
            sides = [n for n, letter in zip(array.shape, meaning, strict=True) if letter in SPATIAL]
            for axis, letter in enumerate(meaning):
                if letter in SPATIAL:
                    weights = _gaussian(array.shape[axis], max(1.0, max(sides) / BLUR))
                    array = np.moveaxis(np.tensordot(weights, array, (1, axis)), 0, axis)
            blurred[name] = array[None]
        return np.asarray(self.join(blurred)[0])

    @cached_property
    def places(self) -> dict[str, tuple[int, ...]]:
        """By input, the axes of a sample along which places lie; none of a table."""
        return {
            name: () if self._tokens else tuple(i for i, letter in enumerate(meaning) if letter in SPATIAL)
            for name, meaning in self._meanings.items()
        }

    def part(self, rng: np.random.Generator, side: int) -> npt.NDArray[np.bool_]:
        """(D,): a square of this side at a random place, in all channels; of what has no places, half of it."""
        parts = {}
        for name, shape in self.shapes.items():
            axes = self.places[name]
            inside = np.ones(shape, bool) if axes else rng.random(shape) < 0.5
            for axis in axes:
                start = int(rng.integers(0, max(shape[axis] - side, 0) + 1))
                along = np.arange(shape[axis])
                chosen = (along >= start) & (along < start + side)
                inside &= np.expand_dims(chosen, [i for i in range(len(shape)) if i != axis])
            parts[name] = inside[None]
        return np.asarray(self.join(parts)[0], bool)

    def _labelled(self, label: Any) -> Labels:
        """(D,) from labels of each input, those of one input behind those of the one before."""
        parts, start = [], 0
        for name, shape in self.shapes.items():
            part = label(shape, self._meanings[name]).ravel() + start
            parts.append(part)
            start = int(part.max(initial=start - 1)) + 1
        return np.concatenate(parts)


def _meaning(name: str, shape: tuple[int, ...], layout: str | None) -> str:
    fits = layout if layout is not None and len(layout) == len(shape) + 1 else None
    meaning = layout_of(shape, fits)
    if meaning is None:
        raise UsageError(
            f"input '{name}' of shape {shape}: give layout=, such as NCHW, since its shape does not tell"
        )
    return meaning[1:]


def _gaussian(n: int, sigma: float) -> Array:
    """(n, n), rows that sum to 1: at the border, of the places that are there."""
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
