"""The figure of a comparison: the input in the first column, one method a column, one target a row.

Many methods wrap into several blocks of rows. Every map has colours, or bars, of its own scale, since methods differ
in their units: what can be compared is where relevance lies and what sign it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxdtd.comparison.agreement import seen
from onnxdtd.inputs.layout import layout_of
from onnxdtd.render.canvas import DPI, MARGIN, SMALL, Page, text_width, wrapped
from onnxdtd.render.charts import ROWS
from onnxdtd.render.colours import BLUE, FAINT, INK, RED, SIGNED, Scale, number
from onnxdtd.render.images import picture_of
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 7  # methods in one row, at most
LINE, SPACE = 30, 28  # pixels of a line of text, and between panels
BAND = 3 * LINE + 8  # above the first row of a block; a further one has as many lines as its target needs
LEGEND = 84
IMAGE, LONGEST, STRIP, BARS, PITCH = 310, 560, 420, 250, 34
PERCENTILE = 99.5
GREY = "#6b6b6b"


@dataclass(frozen=True, eq=False)
class Sheet:
    """x: one sample of the input. targets: in words. maps: relevance by (target's number, method), where there is.
    captions: below each method's name. picture: an image as it was. names: of a table's columns."""

    x: Array
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    maps: Mapping[tuple[int, str], Array]
    captions: Mapping[str, str]
    title: str = ""
    picture: npt.ArrayLike | None = None
    layout: str | None = None
    names: Sequence[str] | None = None


class _Images:
    """Relevance as red and blue, beside the image."""

    def __init__(self, sheet: Sheet, layout: str) -> None:
        self._layout = layout
        picture = picture_of(sheet.x, layout) if sheet.picture is None else np.asarray(sheet.picture)
        self._picture = np.stack([picture] * 3, -1) if picture.ndim == 2 else picture
        height, width = picture.shape[:2]
        zoom = IMAGE / max(width, height * IMAGE / LONGEST)
        zoom = round(zoom) if zoom >= 4 else zoom
        self.width, self.height = max(IMAGE // 2, round(width * zoom)), round(height * zoom)
        self.first = self.width
        self._style: dict[str, Any] = {
            "interpolation": "nearest" if zoom >= 2 else "antialiased",
            "aspect": "auto",
        }

    def input(self, axes: Axes) -> None:
        axes.imshow(self._picture, **self._style)

    def map(self, axes: Axes, relevance: Array) -> None:
        flat = seen(relevance, self._layout)
        axes.imshow(Scale.of(flat, PERCENTILE).colours(flat), **self._style)


class _Strips:
    """A sequence's relevance, channels above each other, beside its signal."""

    def __init__(self, sheet: Sheet, layout: str) -> None:
        self._layout = layout
        self._x = self._rows(sheet.x)
        self.first = self.width = STRIP
        self.height = min(max(120, 24 * len(self._x)), LONGEST)

    def input(self, axes: Axes) -> None:
        for row in self._x:
            axes.plot(row, linewidth=0.7, color=INK, alpha=max(0.15, 1 / len(self._x)))
        axes.set(xlim=(-0.5, self._x.shape[1] - 0.5))

    def map(self, axes: Axes, relevance: Array) -> None:
        rows = self._rows(relevance)
        axes.imshow(Scale.of(rows, PERCENTILE).colours(rows), aspect="auto", interpolation="antialiased")

    def _rows(self, array: Array) -> Array:
        return array[None] if array.ndim == 1 else array.T if self._layout == "NTC" else array


class _Bars:
    """A table's columns as bars, those with the most relevance over all maps; their names and values first."""

    def __init__(self, sheet: Sheet) -> None:
        sizes = [np.abs(r) / (np.abs(r).max() or 1.0) for r in sheet.maps.values() if np.isfinite(r).all()]
        order = np.argsort(-np.sum(sizes, axis=0), kind="stable") if sizes else np.arange(sheet.x.size)
        self._shown = np.sort(order[:ROWS])
        names = sheet.names if sheet.names and len(sheet.names) == sheet.x.size else None
        self._labels = [
            "".join(
                wrapped(f"{names[i] if names else f'[{i}]'} = {number(float(sheet.x[i]))}", 560, SMALL, 1)
            )
            for i in self._shown
        ]
        self.first = max(IMAGE, round(max(text_width(label, SMALL) for label in self._labels)) + 8)
        self.width, self.height = BARS, PITCH * len(self._shown)

    def input(self, axes: Axes) -> None:
        axes.spines[:].set_visible(False)
        axes.set(xlim=(0, 1), ylim=(len(self._labels) - 0.5, -0.5))
        for row, label in enumerate(self._labels):
            style: dict[str, Any] = {"fontsize": SMALL, "color": INK, "parse_math": False}
            axes.text(1, row, label, ha="right", va="center_baseline", **style)

    def map(self, axes: Axes, relevance: Array) -> None:
        sizes = relevance[self._shown] / (np.abs(relevance).max() or 1.0)
        axes.barh(range(len(sizes)), sizes, height=0.66, color=[RED if size > 0 else BLUE for size in sizes])
        axes.axvline(0, color=FAINT, linewidth=0.6)
        axes.spines[:].set_visible(False)
        low, high = min(0.0, *sizes), max(0.0, *sizes)
        axes.set(xlim=(low - 0.03, high + 0.03 or 1.0), ylim=(len(sizes) - 0.5, -0.5))


def draw(sheet: Sheet, path: Path) -> Path | None:
    """Draw the sheet into `path`; None, and nothing drawn, where the input's shape has no picture."""
    layout = layout_of(sheet.x.shape, sheet.layout)
    if layout is None or not sheet.methods:
        return None
    painter: _Images | _Strips | _Bars
    if layout == "NF":
        painter = _Bars(sheet)
    else:
        painter = _Strips(sheet, layout) if layout in ("NCT", "NTC", "NT") else _Images(sheet, layout)
    blocks = math.ceil(len(sheet.methods) / ACROSS)
    across = math.ceil(len(sheet.methods) / blocks)
    width = 2 * MARGIN + painter.first + across * (SPACE + painter.width)
    words = [wrapped(target, painter.first, SMALL, 3) for target in sheet.targets]
    bands = [BAND, *(LINE * len(lines) + 8 for lines in words[1:])]
    tall = sum(bands) + len(bands) * (painter.height + SPACE // 2) + SPACE
    page = Page(width, blocks * tall + LEGEND, sheet.title)
    for block in range(blocks):
        methods, top = sheet.methods[block * across : (block + 1) * across], block * tall
        for place, band in enumerate(bands):
            _band(page, MARGIN, top + band, words[place], INK)
            painter.input(_panel(page, MARGIN, top + band, painter.first, painter.height))
            for i, method in enumerate(methods):
                left = MARGIN + painter.first + SPACE + i * (painter.width + SPACE)
                if place == 0:
                    _band(page, left, top + band - LINE, broken(method, painter.width), INK)
                    _band(page, left, top + band, [sheet.captions[method]], GREY)
                axes = _panel(page, left, top + band, painter.width, painter.height)
                _fill(axes, painter, sheet.maps.get((place, method)))
            top += band + painter.height + SPACE // 2
    _legend(page, blocks * tall + 10, isinstance(painter, _Bars))
    page.figure.savefig(path, dpi=DPI)
    return path


def _fill(axes: Axes, painter: _Images | _Strips | _Bars, relevance: Array | None) -> None:
    missing = _why_blank(relevance)
    if relevance is None or missing:
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "color": GREY}
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, **style)
    else:
        painter.map(axes, relevance)
    axes.set(xticks=[], yticks=[])


def _why_blank(relevance: Array | None) -> str:
    if relevance is None:
        return "not for\nthis target"
    if not np.isfinite(relevance).all():
        return "not finite"
    return "" if relevance.any() else "zero\neverywhere"


def _band(page: Page, left: float, bottom: float, lines: Sequence[str], color: str) -> None:
    """Lines that end just above a panel."""
    for i, line in enumerate(lines):
        page.text(left, bottom - 8 - LINE * (len(lines) - i), line, SMALL, color)


def _panel(page: Page, left: float, top: float, width: float, height: float) -> Axes:
    axes = page.place(left, top, width, height)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(linewidth=0.5, color=FAINT)
    return axes


def _legend(page: Page, top: float, bars: bool) -> None:
    """What red and blue mean, and that scales differ."""
    page.text(MARGIN, top, "against", SMALL, BLUE)
    left = MARGIN + text_width("against", SMALL) + 14
    axes = page.place(left, top + 7, 180, 14)
    axes.imshow(SIGNED(np.linspace(0, 1, 256))[None, :, :3], aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(linewidth=0.4, color=FAINT)
    page.text(left + 194, top, "for the target", SMALL, RED)
    rest = left + 194 + text_width("for the target", SMALL) + 40
    words = "each to its own largest" if bars else f"each to its own percentile {PERCENTILE:g} of |relevance|"
    for i, line in enumerate(wrapped(words, page.width - rest - MARGIN, SMALL, 2)):
        page.text(rest, top + LINE * i, line, SMALL, GREY)


def broken(name: str, width: float) -> list[str]:
    """A method's name in at most two lines, broken at an underscore where one is too narrow."""
    if text_width(name, SMALL) <= width:
        return [name]
    places = [i + 1 for i, letter in enumerate(name) if letter == "_"]
    fitting = [i for i in places if text_width(name[:i], SMALL) <= width]
    cut = max(fitting, default=len(name))
    rest = name[cut:]
    return [name[:cut], *("".join(wrapped(rest, width, SMALL, 1)) for _ in [0] if rest)]
