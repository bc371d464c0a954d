"""What a picture shows, in words that a newcomer can act on: what speaks for the explained class and what against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading.caption import asked, unit
from onnxdtd.reading.samples import by_sample
from onnxdtd.reading.words import beside, text_input, word_labels, words
from onnxdtd.registry import METHODS
from onnxdtd.types import Array

IMAGES = ("NCHW", "NHWC", "NHW")
MOST_IMAGES = 8
MOST = 3
"""Columns, tokens or steps that are named."""
FAINT = 0.005  # of |relevance|: a colour that is not seen
SMALL = 0.05  # of the largest: what is not worth naming
SPREAD = 0.2  # of what one ninth of the picture would hold .11 if all were alike
PIECES = 32  # of a longer sequence
PLACES = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the centre", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)


def shows(
    e: Explanation, sample: int = 0, names: Sequence[str] | None = None, image: str | None = None
) -> list[str]:
    """Sentences on one sample. names: of a table's columns. image: the input to tell of, by default the first one, or
    all columns of a table."""
    e = by_sample(e)
    name = text_input(e) if image is None else image if image in e.texts else ""
    if name and np.isfinite(e.relevance[name][sample]).all() and e.relevance[name][sample].any():
        listed = [word for word in words(e, sample, name) if not word.special]
        amounts = np.array([word.relevance for word in listed])
        labels = word_labels(e, sample, name, listed)
        return [*_against(e, sample), *_row(e, sample, amounts, labels), *beside(e, sample, name)]
    together = columns(e) if image is None else ()
    drawn = together or (tuple(e.relevance)[:1] if image is None else (image,))
    if not all(e.relevance[name].ndim for name in drawn):  # one number, which has no samples
        return []
    parts = [[arrays[name][sample] for name in drawn] for arrays in (e.relevance, e.inputs)] if drawn else []
    if not parts or not all(np.isfinite(r).all() for r in parts[0]):
        return []
    relevance, values = (np.concatenate(part) if together else np.asarray(part[0]) for part in parts)
    if not relevance.any():
        return [f"There is nothing to see: all relevance for {asked(e, sample)} is zero."]
    layout = layout_of(relevance.shape)
    first = _against(e, sample)
    if layout == "NF":
        names = names or (column_names(e) if e.features or together else None)
        return [*first, *_row(e, sample, relevance, _labels(values, names, relevance.size))]
    if layout in IMAGES:
        net = (
            relevance
            if layout == "NHW"
            else relevance.sum(axis=0 if layout == "NCHW" else -1, dtype=np.float64)
        )
        return [*first, *_colours(e, sample, net), *_places(e, sample, net, drawn[0])]
    if layout in ("NCT", "NTC"):
        steps = relevance.sum(axis=0 if layout == "NCT" else 1, dtype=np.float64)
        pieces = np.array_split(steps, min(PIECES, len(steps)))
        ends = np.cumsum([0, *map(len, pieces)])
        labels = [f"step {a}" if b == a + 1 else f"steps {a} to {b - 1}" for a, b in pairwise(ends)]
        return [*first, *_row(e, sample, np.array([piece.sum() for piece in pieces]), labels)]
    return [*first, *_colours(e, sample, relevance)]


def images(explanation: Explanation) -> tuple[str, ...]:
    """The inputs that are images, where there are several: each has a picture and words of its own."""
    names = tuple(n for n, r in by_sample(explanation).relevance.items() if layout_of(r.shape[1:]) in IMAGES)
    return names[:MOST_IMAGES] if len(names) > 1 else ()


def box_in(explanation: Explanation, sample: int, name: str) -> tuple[float, float, float, float] | None:
    """The explained box, where the input is the one in which it lies: the first."""
    first = next(iter(explanation.relevance), None) == name
    return explanation.corners[sample] if explanation.corners and first else None


def columns(explanation: Explanation) -> tuple[str, ...]:
    """The inputs, where there are several and each is one or more columns of a table; else none."""
    if explanation.texts:
        return ()
    rows = [r.ndim == 2 for r in by_sample(explanation).relevance.values()]
    return tuple(explanation.relevance) if len(rows) > 1 and all(rows) else ()


def headings(explanation: Explanation, names: tuple[str, ...]) -> list[str]:
    """The name of an input, with the number of the column where it has several."""
    relevance = by_sample(explanation).relevance
    sizes = {name: relevance[name].shape[1] for name in names}
    return [name if sizes[name] == 1 else f"{name}[{i}]" for name in names for i in range(sizes[name])]


def column_names(e: Explanation) -> list[str]:
    """The names of a table's columns: the user's or the metadata's, else those of inputs, else [0], [1], ...; none
    for what is no table."""
    if e.texts:
        return []
    together, relevance = columns(e), by_sample(e).relevance
    if not together and [r.ndim for r in relevance.values()] != [2]:
        return []
    size = sum(r[0].size for r in relevance.values())
    if e.features is not None and len(e.features) == size:
        return list(e.features)
    return headings(e, together) if together else [f"[{i}]" for i in range(size)]


def verbs(e: Explanation) -> tuple[str, str]:
    """What positive and what negative relevance does, by the method."""
    if e.method in METHODS:
        entry = METHODS[e.method]
        local = entry.seed == "one" and entry.finish != "times_input"
    else:
        local = e.method == "smoothgrad"
    return ("would raise", "would lower") if local else ("speak for", "speak against")


def _against(e: Explanation, sample: int) -> list[str]:
    value = float(e.target_value[sample])
    if value >= 0 or verbs(e)[0] != "speak for":
        return []
    return [
        f"The {unit(e, sample)} of {asked(e, sample)} is negative ({value:.4g}): this is evidence against it."
    ]


def _colours(e: Explanation, sample: int, net: Array) -> list[str]:
    up, down = verbs(e)
    share = float(np.maximum(net, 0).sum(dtype=np.float64) / np.abs(net).sum(dtype=np.float64))
    what = asked(e, sample)
    if share > 1 - FAINT:
        return [f"Red {_sings(up)} {what}; nothing {_sings(down)} it."]
    if share < FAINT:
        return [f"Blue {_sings(down)} {what}; nothing {_sings(up)} it."]
    return [
        f"Red {_sings(up)} {what}, blue {_other(down)}: {share:.0%} of |relevance| is red, {1 - share:.0%} blue."
    ]


def _sings(verb: str) -> str:
    """The verb for one thing: speak for, speaks for."""
    return verb.replace("speak ", "speaks ")


def _other(verb: str) -> str:
    return "against it" if verb == "speak against" else f"{_sings(verb)} it"


def _places(e: Explanation, sample: int, net: Array, name: str) -> list[str]:
    total = np.abs(net).sum(dtype=np.float64)
    phrases = []
    for colour, part in (("red", np.maximum(net, 0)), ("blue", np.maximum(-net, 0))):
        whole = part.sum(dtype=np.float64)
        if whole <= FAINT * total:
            continue
        cells = [
            [c.sum(dtype=np.float64) for c in np.array_split(row, 3, 1)] for row in np.array_split(part, 3, 0)
        ]
        row, column = np.unravel_index(int(np.argmax(cells)), (3, 3))
        share = cells[row][column] / whole
        if share < SPREAD:
            phrases.append(f"the {colour} is spread over the whole picture")
        else:
            phrases.append(f"the strongest {colour} lies {PLACES[row][column]} ({share:.0%} of the {colour})")
    sentences = [f"{'; '.join(phrases)}."] if phrases else []
    sentences = [s[0].upper() + s[1:] for s in sentences]
    corners = box_in(e, sample, name)
    if corners is not None:
        left, top, right, bottom = in_pixels(corners, net.shape)
        inside = np.maximum(net, 0)[top:bottom, left:right]
        red = np.maximum(net, 0).sum(dtype=np.float64)
        if red:
            sentences.append(
                f"{inside.sum(dtype=np.float64) / red:.0%} of the red lies in the box, which is "
                f"{inside.size / net.size:.0%} of the picture."
            )
    return sentences


def in_pixels(corners: tuple[float, float, float, float], size: Sequence[int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box inside a picture (H, W); corners between 0 and 1 are parts of its sides."""
    height, width = size
    across, down = (width, height) if max(corners) <= 1 else (1, 1)
    left, top, right, bottom = corners
    xs = np.clip(np.rint([left * across, right * across]), 0, width).astype(int)
    ys = np.clip(np.rint([top * down, bottom * down]), 0, height).astype(int)
    return int(xs[0]), int(ys[0]), int(xs[1]), int(ys[1])


def _labels(values: Array, names: Sequence[str] | None, count: int) -> list[str]:
    """Columns with their values; tokens with their positions."""
    if names is not None and len(names) == count:
        return [f"{name} = {_written(value)}" for name, value in zip(names, values, strict=True)]
    if values.dtype.kind in "iu":
        return [f"token {value} at position {i}" for i, value in enumerate(values)]
    return [f"[{i}] = {_written(value)}" for i, value in enumerate(values)]


def _written(value: Any) -> str:
    """A measurement in three digits, a category as it is."""
    return value if isinstance(value, str) else f"{value:.3g}"


def _row(e: Explanation, sample: int, relevance: Array, labels: Sequence[str]) -> list[str]:
    """The strongest on each side, of columns, tokens or pieces of a sequence."""
    up, down = verbs(e)
    what, largest = asked(e, sample), float(np.abs(relevance).max(initial=0))
    phrases: list[str] = []
    for verb, side in ((up, relevance), (down, -relevance)):
        order = [i for i in np.argsort(-side, kind="stable")[:MOST] if side[i] > SMALL * largest]
        whom = "it" if phrases else what
        named = ", ".join(f"{labels[i]} ({relevance[i]:+.3g})" for i in order)
        phrases.append(
            f"what {_sings(verb)} {whom} most: {named}" if order else f"nothing much {_sings(verb)} {whom}"
        )
    sentence = "; ".join(phrases) + "."
    return [sentence[0].upper() + sentence[1:]]
