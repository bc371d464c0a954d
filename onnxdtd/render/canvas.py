"""Pages laid out in pixels: every box has its place, every text is measured before it is set."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from onnxdtd.render.colours import FAINT, GREY, INK, SIGNED, Scale, number
from onnxdtd.render.library import matplotlib
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
MARGIN, GAP = 44, 40
HEADING = 40  # above each panel
BAR, BAR_SPACE = 26, 246  # a colour bar, and with its ticks and label up to the edge of the page
TITLE, HEADER, SMALL = 11, 9, 8  # points
_LONGEST = 600  # letters of a text

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Drawing(Protocol):
    """What can be saved, as a figure of matplotlib can."""

    def savefig(self, file: Any, *, dpi: float, format: str | None = None) -> None:
        """Write it to a path or an open file."""


class Board(ABC):
    """A white page with a title and a grey line below it; boxes are placed in pixels from the top left of the space
    below them. Both wrap. What draws on it is left open: see `Page`, and `Painted` for pictures."""

    def __init__(self, width: int, height: int, title: str, caption: str = "") -> None:
        lines = wrapped(title, width - 2 * MARGIN, TITLE, 2, self.text_width)
        notes = wrapped(caption, width - 2 * MARGIN, SMALL, 3, self.text_width)
        heading = 46 * len(lines) + 34 * len(notes)
        self.width, self.top = width, MARGIN + heading + (14 if heading else 0)
        self.height = self.top + height + MARGIN
        self.begin()
        for i, line in enumerate(lines):
            self.text(MARGIN, 46 * i - self.top + MARGIN, line, TITLE)
        for i, line in enumerate(notes):
            self.text(MARGIN, 46 * len(lines) + 34 * i - self.top + MARGIN, line, SMALL, GREY)

    @abstractmethod
    def begin(self) -> None:
        """The page, empty."""

    @property
    @abstractmethod
    def drawing(self) -> Any:
        """What is saved."""

    @staticmethod
    @abstractmethod
    def text_width(words: str, size: float) -> float:
        """The width of a line in pixels."""

    @abstractmethod
    def text(self, left: float, top: float, words: str, size: float, color: str = INK) -> None:
        """A line of text whose top left is at (left, top)."""

    @abstractmethod
    def image(self, left: float, top: float, width: int, height: int, pixels: Array, heading: str = "",
              box: Box | None = None) -> None:  # fmt: skip
        """RGB in 0..1 in a frame below a heading; `top` is the heading's. box: a dashed line, in these pixels."""

    @abstractmethod
    def bar(self, scale: Scale, left: float, top: float, height: float) -> None:
        """A vertical colour bar; its label says where the colours end."""


class Page(Board):
    """Drawn by matplotlib: charts, and whatever becomes a figure. It stands alone (no pyplot, no global state)."""

    figure: Figure

    def begin(self) -> None:
        """The page, empty."""
        size = self.width / DPI, self.height / DPI
        self.figure = matplotlib("figure").Figure(size, dpi=DPI, facecolor="white")
        matplotlib("backends.backend_agg").FigureCanvasAgg(self.figure)

    @property
    def drawing(self) -> Any:
        """What is saved."""
        return self.figure

    @staticmethod
    def text_width(words: str, size: float) -> float:
        """The width of a line in pixels."""
        return text_width(words, size)

    def text(self, left: float, top: float, words: str, size: float, color: str = INK) -> None:
        """A line of text; a dollar sign is a dollar sign."""
        x, y = left / self.width, 1 - (self.top + top) / self.height
        style: dict[str, Any] = {
            "fontsize": size,
            "color": color,
            "va": "top",
            "ha": "left",
            "parse_math": False,
        }
        self.figure.text(x, y, words[:_LONGEST], **style)

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

    def image(self, left: float, top: float, width: int, height: int, pixels: Array, heading: str = "",
              box: Box | None = None) -> None:  # fmt: skip
        """RGB in 0..1 in a frame below a heading."""
        axes = self.panel(left, top, width, height, heading)
        crisp = pixels.shape[1] <= width
        axes.imshow(pixels, interpolation="nearest" if crisp else "antialiased", aspect="auto")
        axes.set(xticks=[], yticks=[])
        if box is not None:
            x, y, right, bottom = box
            style = {"fill": False, "edgecolor": INK, "linewidth": 1.0, "linestyle": (0, (4, 2))}
            axes.add_patch(
                matplotlib("patches").Rectangle((x - 0.5, y - 0.5), right - x, bottom - y, **style)
            )

    def bar(self, scale: Scale, left: float, top: float, height: float) -> None:
        """A vertical colour bar."""
        axes, ticker = self.place(left, top, BAR, height), matplotlib("ticker")
        colours = matplotlib("colors")
        shades = matplotlib("cm").ScalarMappable(
            colours.Normalize(-scale.end, scale.end), colours.ListedColormap(SIGNED.table)
        )
        bar = self.figure.colorbar(
            shades,
            cax=axes,
            extend={(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[scale.low, scale.high],
            extendfrac=0.03,
            ticks=ticker.MaxNLocator(5, symmetric=True),
            format=ticker.FuncFormatter(lambda value, _: number(value)),
        )
        bar.outline.set(linewidth=0.5, edgecolor=FAINT)
        axes.tick_params(labelsize=SMALL, length=2.5, width=0.5, color=FAINT, labelcolor=INK)
        lines = [line for words in scale.label for line in wrapped(words, height, SMALL, 2)]
        bar.set_label("\n".join(lines), fontsize=SMALL, color=INK, labelpad=6)


def text_width(words: str, size: float) -> float:
    """The width of a line in pixels, as matplotlib sets it."""
    font = matplotlib("font_manager").FontProperties(size=size)
    return float(_renderer().get_text_width_height_descent(words, font, False)[0])


@cache
def _renderer() -> Any:
    figure = matplotlib("figure").Figure(dpi=DPI)
    return matplotlib("backends.backend_agg").FigureCanvasAgg(figure).get_renderer()


def wrapped(
    words: str, width: float, size: float, lines: int, measure: Callable[[str, float], float] = text_width
) -> list[str]:
    """The words in at most so many lines of at most so many pixels; what does not fit ends in an ellipsis."""
    words = words[:_LONGEST]  # a stranger's name may be as long as a book, which takes minutes to measure
    average = measure(words, size) / max(1, len(words))
    for characters in range(max(1, int(1.2 * width / (average or 1))), 0, -1):
        broken = textwrap.wrap(words, characters, max_lines=lines, placeholder=" …")
        if all(measure(line, size) <= width for line in broken):
            return broken
    return []
