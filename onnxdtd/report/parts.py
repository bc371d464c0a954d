"""The picture of one sample, input by input: each as the kind of data that it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import asked, box_in, by_sample, column_names, columns, parts, shows, unit, words
from onnxdtd.reading.shows import IMAGES
from onnxdtd.render.heatmap import time_rows
from onnxdtd.report import waterfall
from onnxdtd.report.curves import curves
from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.report.picture import LARGEST, image
from onnxdtd.report.tokens import reading
from onnxdtd.tokens import by_ids, words_of
from onnxdtd.types import Array

INPUTS = 12


def images(e: Explanation) -> int:
    """How many pictures a sample has, those of values inside the model counted."""
    inputs = [r.shape[1:] for r in list(by_sample(e).relevance.values())[:INPUTS] if r.ndim]
    return sum(layout_of(shape) in IMAGES for shape in inputs) + sum(r.ndim == 4 for r in e.kept.values())


def drawn(e: Explanation, sample: int, picture: Any = None, largest: int = LARGEST) -> list[Markup]:
    """Every input of a sample. picture: what the first one's map is laid over, if it is an image. largest: pixels of
    a picture's side."""
    e = by_sample(e)
    together = columns(e)
    if together:
        relevance, values = (
            np.concatenate([a[n][sample] for n in together]) for a in (e.relevance, e.inputs)
        )
        return [*_words(e, sample, None), _row(e, sample, relevance, values)]
    several, pieces = len(e.relevance) > 1, list[Markup]()
    for name in list(e.relevance)[:INPUTS]:
        own = _rows(e, name)
        heading = [tag("h3", name)] if several else []
        if own is None:
            pieces += [*heading, _unshared(e, name)]
            continue
        relevance, values = own[0][sample], own[1][sample]
        pieces += heading + _words(e, sample, name if several else None)
        pieces.append(_one(e, sample, name, relevance, values, picture, largest))
        picture = None
    if len(e.relevance) > INPUTS:
        pieces.append(tag("p", f"{len(e.relevance) - INPUTS} more inputs are not shown", class_="faint"))
    return pieces


def _rows(e: Explanation, name: str) -> tuple[Array, Array] | None:
    """Relevance and values with one row for each sample; None where the input is not told apart by sample."""
    relevance, values = e.relevance[name], e.inputs[name]
    if relevance.ndim and len(relevance) == len(e.target):
        return relevance, values
    return (relevance[None], values[None]) if not relevance.ndim and len(e.target) == 1 else None


def _unshared(e: Explanation, name: str) -> Markup:
    total = float(e.relevance[name].sum(dtype=np.float64))
    return tag("p", f"shared by all samples, relevance {amount(total)} in all", class_="faint")


def _words(e: Explanation, sample: int, name: str | None) -> list[Markup]:
    fits = all(r.ndim and len(r) == len(e.target) for r in e.relevance.values())
    return [tag("p", line) for line in (shows(e, sample, image=name) if fits else [])]


def _one(
    e: Explanation, sample: int, name: str, relevance: Array, values: Array, picture: Any, largest: int
) -> Markup:  # fmt: skip
    if not relevance.size or not np.isfinite(relevance).all():
        return tag("p", "relevance is empty or not finite: there is nothing to draw", class_="warning")
    layout = layout_of(relevance.shape) if relevance.ndim else None
    if layout in IMAGES:
        return image(relevance, values, picture, box_in(e, sample, name), f"input '{name}'", largest)
    if layout in ("NCT", "NTC"):
        return curves(time_rows(relevance, layout), time_rows(values, layout))
    if layout == "NF" and values.dtype.kind in "iu" and not e.features:
        listed = words(e, sample, name) if name in e.texts else words_of(by_ids(values).rows(relevance))
        return reading(listed)
    flat, cells = relevance.reshape(-1), values.reshape(-1)
    return _row(e, sample, flat, cells, None if layout == "NF" else [f"[{i}]" for i in range(flat.size)])


def _row(
    e: Explanation, sample: int, relevance: Array, values: Array, names: list[str] | None = None
) -> Markup:
    """A table's row; where all of the number comes from it and constants, the bars add up to the number."""
    names = names or column_names(e) or []
    names = names if len(names) == relevance.size else [f"[{i}]" for i in range(relevance.size)]
    made = parts(e, sample)
    whole = sum(size for _, size in made[:1])
    adds_up = bool(made) and bool(np.isclose(whole, relevance.sum(dtype=np.float64), rtol=1e-4, atol=1e-6))
    if not adds_up:
        return waterfall.row(relevance, values, names, [], "")
    return waterfall.row(relevance, values, names, made[1:], f"{unit(e, sample)} of {asked(e, sample)}")
