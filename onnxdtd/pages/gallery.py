"""Small pictures side by side, as many as one page can hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxdtd.printing import shortened
from onnxdtd.render.contact import Thumb
from onnxdtd.report.markup import Markup, amount, sign, small, tag, void

MOST = 36
"""Pictures on one page."""
BARS = 8
_LETTERS, _SHORT = 80, 18
_WIDE, _LABELS, _PITCH = 260, 118, 19  # of bars, in units of the drawing


def gallery(cells: Sequence[Markup], kind: str = "") -> Markup:
    """The cells, as many in a line as have room. kind: `wide` for larger ones."""
    return tag("div", *cells, class_=f"cells {kind}".strip())


def pictured(thumb: Thumb, which: int = -1) -> Markup:
    """One of a cell's pictures, by default the last, over its lines."""
    pixels = thumb.pictures[which]
    return _figure(_picture(pixels, thumb.lines[0]), thumb.lines)


def barred(lines: Sequence[str], names: Sequence[str], sizes: npt.ArrayLike, signed: bool = True) -> Markup:
    """The largest parts of a table's row or of another vector as bars, over the lines. signed: whether they speak for
    and against; else they are amounts."""
    amounts = np.asarray(sizes, np.float64).reshape(-1)
    order = np.argsort(-np.abs(amounts), kind="stable")[:BARS].tolist()
    low, high = min(0.0, *amounts[order].tolist()), max(0.0, *amounts[order].tolist())
    scale = (_WIDE - _LABELS) / ((high - low) or 1.0)
    zero = round(_LABELS - low * scale, 1)
    parts = [tag("line", x1=zero, x2=zero, y1=0, y2=_PITCH * len(order), class_="zero")]
    for line, i in enumerate(order):
        size, middle = float(amounts[i]), _PITCH * (line + 0.5)
        words = tag("title", f"{names[i]}: {amount(size)}")
        name = tag("text", words, shortened(names[i], _SHORT), x=_LABELS - 8, y=middle, class_="name")
        left, wide = zero + min(size, 0.0) * scale, max(abs(size) * scale, 0.75)
        bar = {"x": round(left, 1), "y": middle - 6, "width": round(wide, 1), "height": 12, "rx": 2}
        parts += [name, tag("rect", words, **bar, class_=f"bar {sign(size) if signed else 'constant'}")]
    drawing = tag("svg", *parts, viewBox=f"0 0 {_WIDE} {_PITCH * len(order)}", class_="mini", role="img")
    return _figure(drawing, lines)


def blank(lines: Sequence[str], why: str) -> Markup:
    """A cell that has no picture."""
    return _figure(tag("p", why, class_="blank"), lines)


def _picture(pixels: npt.NDArray[np.uint8], name: str) -> Markup:
    height, width = pixels.shape[:2]
    return void("img", src=small(pixels), alt=name, width=width, height=height, class_="layer crisp")


def _figure(shown: Markup, lines: Sequence[str]) -> Markup:
    first, *others = (shortened(line, _LETTERS) for line in lines)
    words = [tag("strong", first), *(tag("span", line) for line in others)]
    return tag("figure", shown, tag("figcaption", *words), class_="cell")
