"""Figures laid out in pixels: every box has its place, every text is measured before it is set."""

from __future__ import annotations

import textwrap
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, MaxNLocator

from onnxdtd.render.colours import FAINT, GREY, INK, SIGNED, Scale, number

DPI = 200
MARGIN, GAP = 44, 40
HEADING = 40  # above each panel
BAR, BAR_SPACE = 26, 246  # a colour bar, and with its ticks and label up to the edge of the page
TITLE, HEADER, SMALL = 11, 9, 8  # points


class Page:
    """A white figure with a title and a grey line below it; boxes are placed in pixels from the top left of the space
    below them. Both wrap."""

    def __init__(self, width: int, height: int, title: str, caption: str = "") -> None:
        lines = wrapped(title, width - 2 * MARGIN, TITLE, 2)
        notes = wrapped(caption, width - 2 * MARGIN, SMALL, 3)
        heading = 46 * len(lines) + 34 * len(notes)
        self.width, self.top = width, MARGIN + heading + (14 if heading else 0)
        self.height = self.top + height + MARGIN
        self.figure = Figure((self.width / DPI, self.height / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        for i, line in enumerate(lines):
            self.text(MARGIN, 46 * i - self.top + MARGIN, line, TITLE)
        for i, line in enumerate(notes):
            self.text(MARGIN, 46 * len(lines) + 34 * i - self.top + MARGIN, line, SMALL, GREY)

    def text(self, left: float, top: float, words: str, size: float, color: str = INK) -> None:
        """A line of text whose top left is at (left, top); a dollar sign is a dollar sign."""
        x, y = left / self.width, 1 - (self.top + top) / self.height
        style: dict[str, Any] = {
            "fontsize": size,
            "color": color,
            "va": "top",
            "ha": "left",
            "parse_math": False,
        }
        self.figure.text(x, y, words, **style)

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes that fill a box."""
        bottom = self.height - self.top - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def panel(self, left: float, top: float, width: float, height: float, heading: str) -> Axes:
        """Framed axes without ticks, below a heading; `top` is the heading's."""
        self.text(left, top, heading, HEADER, FAINT)
        axes = self.place(left, top + HEADING, width, height)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(linewidth=0.5, color=FAINT)
        return axes


def draw_bar(page: Page, scale: Scale, left: float, top: float, height: float) -> None:
    """A vertical colour bar; its label says where the colours end."""
    axes = page.place(left, top, BAR, height)
    bar = page.figure.colorbar(
        ScalarMappable(Normalize(-scale.end, scale.end), SIGNED),
        cax=axes,
        extend={(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[scale.low, scale.high],
        extendfrac=0.03,
        ticks=MaxNLocator(5, symmetric=True),
        format=FuncFormatter(lambda value, _: number(value)),
    )
    bar.outline.set(linewidth=0.5, edgecolor=FAINT)
    axes.tick_params(labelsize=SMALL, length=2.5, width=0.5, color=FAINT, labelcolor=INK)
    lines = [line for words in scale.label for line in wrapped(words, height, SMALL, 2)]
    bar.set_label("\n".join(lines), fontsize=SMALL, color=INK, labelpad=6)


def text_width(words: str, size: float) -> float:
    """The width of a line in pixels."""
    return float(_renderer().get_text_width_height_descent(words, FontProperties(size=size), False)[0])


@cache
def _renderer() -> Any:
    canvas: Any = FigureCanvasAgg(Figure(dpi=DPI))
    return canvas.get_renderer()


def wrapped(words: str, width: float, size: float, lines: int) -> list[str]:
    """The words in at most so many lines of at most so many pixels; what does not fit ends in an ellipsis."""
    average = text_width(words, size) / max(1, len(words))
    for characters in range(max(1, int(1.2 * width / (average or 1))), 0, -1):
        broken = textwrap.wrap(words, characters, max_lines=lines, placeholder=" …")
        if all(text_width(line, size) <= width for line in broken):
            return broken
    return []
