"""Pictures of which it is known where the evidence lies: digits on texture, and mosaics of four."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SIDE = 28
# From this share of full ink on, a pixel belongs to the stroke.
INK = 0.25
# Of the texture; and the least of a digit.
BRIGHTEST, FAINTEST = 0.4, 0.8


class Textured(NamedTuple):
    """pictures: (N, 1, 28, 28) in [0, 1]. strokes: (N, 28, 28), whether a pixel is the digit's. labels: (N,)."""

    pictures: Array
    strokes: Array
    labels: Array


class Mosaics(NamedTuple):
    """pictures: (N, C, 2 h, 2 w), of 2 x 2 cells. classes: (N, 4), of the cells row by row, all different."""

    pictures: Array
    classes: Array


def textures(rng: np.random.Generator, count: int, side: int = SIDE) -> Array:
    """(N, side, side) in [0, BRIGHTEST]: three gratings of random direction, width and phase, and coarse noise."""
    at = np.arange(side)
    wave = rng.uniform(-1.2, 1.2, (count, 3, 2))
    phase = rng.uniform(0, 2 * np.pi, (count, 3))
    along = wave[..., 0, None, None] * at[:, None] + wave[..., 1, None, None] * at + phase[..., None, None]
    coarse = np.kron(rng.standard_normal((count, side // 4, side // 4)), np.ones((1, 4, 4)))
    mixed = np.sin(along).sum(axis=1) + coarse
    low, high = mixed.min(axis=(1, 2), keepdims=True), mixed.max(axis=(1, 2), keepdims=True)
    return BRIGHTEST * rng.uniform(0.5, 1, (count, 1, 1)) * (mixed - low) / (high - low)


def textured(images: Array, labels: Array, rng: np.random.Generator) -> Textured:
    """Digits uint8 (N, 28, 28) laid over texture: ink t, brightness b, texture u give t b + (1 - t) u."""
    ink = images.astype(np.float64) / 255
    bright = rng.uniform(FAINTEST, 1, (len(ink), 1, 1))
    pictures = ink * bright + (1 - ink) * textures(rng, len(ink))
    return Textured(pictures[:, None].astype(np.float32), ink >= INK, labels)


def mosaics(pictures: Array, labels: Array, count: int, rng: np.random.Generator) -> Mosaics:
    """Four pictures (C, h, w) of four different classes in a square, drawn at random, so many times."""
    squares, classes = [], []
    for _ in range(count):
        four = rng.choice(np.unique(labels), 4, replace=False)
        chosen = [pictures[rng.choice(np.flatnonzero(labels == label))] for label in four]
        rows = [np.concatenate(chosen[i : i + 2], axis=2) for i in (0, 2)]
        squares.append(np.concatenate(rows, axis=1))
        classes.append(four)
    return Mosaics(np.stack(squares), np.stack(classes))
