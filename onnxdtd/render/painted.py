"""Pages of pictures alone, painted by Pillow: they are there before matplotlib would be imported."""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from onnxdtd.render.canvas import BAR, DPI, HEADER, HEADING, SMALL, Board, Box, wrapped
from onnxdtd.render.colours import FAINT, INK, SIGNED, Scale, number
from onnxdtd.render.library import matplotlib
from onnxdtd.types import Array

RISE = 0.76  # of a font's size, from the line that letters stand on to the top of an l
EXTENDED = 0.03  # of a colour bar's length, for each end that goes on
TICK, PAD, LABEL_PAD = 7, 10, 17  # pixels
DASH, SPACE, WIDTH = 11, 6, 3
FINE = 4  # slanted edges are drawn so many times as large, and made smaller


class Painted(Board):
    """A page painted by Pillow; `savefig` writes a PNG."""

    def begin(self) -> None:
        """The page, empty."""
        self.canvas = Image.new("RGB", (self.width, self.height), "white")
        self._draw = ImageDraw.Draw(self.canvas)

    @property
    def drawing(self) -> Painted:
        """What is saved."""
        return self

    def savefig(self, file: Any, *, dpi: float = DPI, format: str | None = None) -> None:
        """Write a PNG."""
        self.canvas.save(file, format="PNG", dpi=(dpi, dpi))

    @staticmethod
    def text_width(words: str, size: float) -> float:
        """The width of a line in pixels."""
        return float(_font(size).getlength(words))

    def text(self, left: float, top: float, words: str, size: float, color: str = INK) -> None:
        """A line of text whose top left is at (left, top)."""
        base = self.top + top + RISE * _pixels(size)
        self._draw.text((left, base), words, color, _font(size), anchor="ls")

    def image(self, left: float, top: float, width: int, height: int, pixels: Array, heading: str = "",
              box: Box | None = None) -> None:  # fmt: skip
        """RGB in 0..1 in a frame below a heading."""
        self.text(left, top, heading, HEADER, FAINT)
        corner = int(left), int(self.top + top + HEADING)
        crisp = pixels.shape[1] <= width
        how = Image.Resampling.NEAREST if crisp else Image.Resampling.HAMMING
        self.canvas.paste(Image.fromarray(_bytes(pixels)).resize((width, height), how), corner)
        x, y = corner
        self._draw.rectangle((x - 1, y - 1, x + width, y + height), outline=FAINT)
        if box is not None:
            across, down = width / pixels.shape[1], height / pixels.shape[0]
            a, b, c, d = (
                float(np.clip(p * s, 0, end))
                for p, s, end in zip(
                    box, (across, down) * 2, (width - WIDTH, height - WIDTH) * 2, strict=True
                )
            )
            for ends in ((a, b, c, b), (a, d, c, d), (a, b, a, d), (c, b, c, d)):
                self._dashed(x, y, ends)

    def _dashed(self, x: int, y: int, ends: Box) -> None:
        a, b, c, d = ends
        length = max(c - a, d - b)
        along = ((c - a) / (length or 1), (d - b) / (length or 1))
        for start in range(0, math.ceil(length), DASH + SPACE):
            stop = min(start + DASH, length)
            first = [round(p + q * start) for p, q in zip((x + a, y + b), along, strict=True)]
            last = [round(p + q * stop) + WIDTH - 1 for p, q in zip((x + a, y + b), along, strict=True)]
            self._draw.rectangle((*first, *last), fill=INK)

    def bar(self, scale: Scale, left: float, top: float, height: float) -> None:
        """A vertical colour bar."""
        tall, x, y = int(height), int(left), int(self.top + top)
        tip = round(EXTENDED * tall / (1 + EXTENDED * (scale.low + scale.high)))
        above, below = tip * scale.high, tip * scale.low
        self.canvas.paste(_ramp(tall, above, below), (x, y))
        inner = tall - above - below
        widest = 0.0
        for value in _ticks(scale.end):
            at = y + above + (inner - 1) * (1 - value / scale.end) / 2
            self._draw.line((x + BAR, round(at), x + BAR + TICK - 1, round(at)), FAINT)
            words, start = number(value), x + BAR + TICK + PAD
            self._draw.text((start, at), words, INK, _font(SMALL), anchor="lm")
            widest = max(widest, self.text_width(words, SMALL))
        lines = [line for words in scale.label for line in wrapped(words, tall, SMALL, 2, self.text_width)]
        self._label(lines, round(x + BAR + TICK + PAD + widest + LABEL_PAD), y + tall / 2)

    def _label(self, lines: list[str], left: int, middle: float) -> None:
        """Lines that are read from below, the first on the left, around a height."""
        pitch = round(1.2 * _pixels(SMALL))
        for i, line in enumerate(lines):
            mask = Image.new("L", (math.ceil(self.text_width(line, SMALL)), pitch + 4))
            base = RISE * _pixels(SMALL)
            ImageDraw.Draw(mask).text((0, base), line, 255, _font(SMALL), anchor="ls")
            turned = mask.transpose(Image.Transpose.ROTATE_90)
            self.canvas.paste(INK, (left + i * pitch, round(middle - turned.height / 2)), turned)


class Small(Painted):
    """Half as wide and high, and packed less: a fraction of the time, where pictures are many."""

    def savefig(self, file: Any, *, dpi: float = DPI, format: str | None = None) -> None:
        """Write a PNG."""
        self.canvas.reduce(2).save(file, format="PNG", dpi=(dpi / 2, dpi / 2), compress_level=1)


def _ramp(tall: int, above: int, below: int) -> Image.Image:
    """The colours of a bar in its outline, with a pointed end where they go on."""
    inner = tall - above - below
    rows = SIGNED(np.linspace(1, 0, inner))
    ends = SIGNED(np.array([1.0, 0.0]))
    rows = np.concatenate([ends[:1].repeat(above, 0), rows, ends[1:].repeat(below, 0)])
    colours = Image.fromarray(_bytes(rows[:, None].repeat(BAR, 1)))
    size = BAR * FINE, tall * FINE
    right, middle, bottom = size[0] - 1, size[0] // 2, size[1] - 1
    upper = [(0, above * FINE), (middle, 0), (right, above * FINE)] if above else [(0, 0), (right, 0)]
    lower = [(right, bottom - below * FINE), (middle, bottom), (0, bottom - below * FINE)]
    edge = [*upper, *(lower if below else [(right, bottom), (0, bottom)])]
    shape, line = Image.new("L", size), Image.new("L", size)
    ImageDraw.Draw(shape).polygon(edge, fill=255)
    ImageDraw.Draw(line).line([*edge, edge[0], edge[1]], fill=255, width=FINE)
    made = Image.new("RGB", (BAR, tall), "white")
    made.paste(colours, mask=shape.reduce(FINE))
    made.paste(FAINT, mask=line.reduce(FINE))
    return made


def _ticks(end: float) -> list[float]:
    """At most five round numbers from -end to end, zero in their middle."""
    size = 10.0 ** math.floor(math.log10(end / 3))
    step = next(size * k for k in (1, 2, 2.5, 5, 10, 20) if size * k > end / 3)
    return [step * i for i in range(-2, 3) if abs(step * i) <= end * (1 + 1e-9)]


def _bytes(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(255 * np.clip(pixels, 0, 1)), np.uint8)


def _pixels(points: float) -> float:
    return points * DPI / 72


@cache
def _font(points: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_file(), _pixels(points))


@cache
def _file() -> str:
    """matplotlib's own font, which its charts are lettered in: found without importing it, where that is possible."""
    spec = importlib.util.find_spec("matplotlib")
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [Path(place) / "mpl-data/fonts/ttf/DejaVuSans.ttf" for place in places]
    return next((str(file) for file in files if file.is_file()), "") or str(
        matplotlib("font_manager").findfont("DejaVu Sans")
    )
