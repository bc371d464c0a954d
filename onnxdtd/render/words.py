"""Coloured text: HTML, and a picture of words in reading order; of a long text a strip of all of it first.

The ground of a word is what all its tokens were given; special tokens are set apart in a frame, padding is left out.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxdtd.explanation import Explanation
from onnxdtd.reading import words
from onnxdtd.render.canvas import BAR_SPACE, GAP, HEADER, HEADING, MARGIN, Page, text_width, wrapped
from onnxdtd.render.colours import FAINT, INK, Scale, number
from onnxdtd.render.library import matplotlib
from onnxdtd.tokens import Word
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONG = 150
"""Words from which on a strip shows where in the text relevance lies."""
MOST = 600  # words that a picture spells out, those around the strongest
PIECES = 200  # of a strip
WIDE, PITCH, _LINE, _STRIP = (
    1500,
    52,
    38,
    44,
)  # pixels: of the text, from line to line, of a line's ground, of a strip
Line = list[tuple[int, str, float, float]]
"""Words: number, text, left edge and width in pixels."""


def scale_of(listed: Sequence[Word]) -> Scale:
    """The colours of a text: the strongest word has the last one."""
    return Scale.of(np.array([word.relevance for word in listed]), 100)


def colours(scale: Scale, amounts: Array) -> list[tuple[str, str]]:
    """The ground and the ink of each amount, as #rrggbb."""
    rows = scale.colours(np.asarray(amounts, np.float64))
    light = rows @ [0.299, 0.587, 0.114] > 0.55
    return [(_hex(row), INK if bright else "#ffffff") for row, bright in zip(rows, light, strict=True)]


def _hex(row: Array) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in row)


def pieces_of(listed: Sequence[Word]) -> Array:
    """A long text in so many pieces: the sum of each."""
    amounts = np.array([word.relevance for word in listed])
    return np.array([part.sum() for part in np.array_split(amounts, min(PIECES, len(amounts)))])


def coloured_html(e: Explanation, sample: int = 0, name: str = "") -> str:
    """A fragment of HTML: the words of one sample in reading order on grounds by their relevance, the numbers of
    their tokens on hovering; of a long text a strip above. name: the input of tokens, by default the first. "" where
    the model reads no tokens, or what they were given is not finite."""
    listed = words(e, sample, name)
    if not listed or not all(math.isfinite(word.relevance) for word in listed):
        return ""
    scale = scale_of(listed)
    inks = colours(scale, np.array([word.relevance for word in listed]))
    spans = [_span(word, *ink) for word, ink in zip(listed, inks, strict=True)]
    style = "line-height: 1.9; white-space: pre-wrap; overflow-wrap: anywhere; color: " + INK
    text = f'<div class="onnxdtd-text" style="{style}">{"".join(spans)}</div>'
    return (_strip_html(listed) if len(listed) > LONG else "") + text


def _span(word: Word, ground: str, ink: str) -> str:
    numbers = [f"{token.token} {number(token.relevance)}" for token in word.tokens]
    title = number(word.relevance) + (f" = {' , '.join(numbers)}" if len(numbers) > 1 else "")
    frame = f"; border: 1px solid {FAINT}; font-size: 80%" if word.special else ""
    style = f"background: {ground}; color: {ink}; padding: 1px 2px; border-radius: 3px{frame}"
    space = word.space or (" " if word.special else "")
    shown = html.escape(word.text)
    return f'{html.escape(space)}<span style="{style}" title="{html.escape(title)}">{shown}</span>'


def _strip_html(listed: Sequence[Word]) -> str:
    sums = pieces_of(listed)
    cells = [
        f'<i style="flex: 1; background: {ground}"></i>' for ground, _ in colours(Scale.of(sums, 100), sums)
    ]
    style = f"display: flex; height: 18px; border: 1px solid {FAINT}; margin-bottom: 6px"
    label = f"where in its {len(listed)} words relevance lies"
    return f'<div class="onnxdtd-strip" style="{style}" title="{label}">{"".join(cells)}</div>'


def word_picture(listed: Sequence[Word], title: str, caption: str = "") -> Figure:
    """The words in lines, on grounds by their relevance; above those of a long text a strip of all of it, and of a
    very long one only the words around the strongest."""
    long = len(listed) > LONG
    shown = around(listed, MOST)
    scale = scale_of(listed)
    lines = word_lines(shown)
    top = 2 * HEADING + _STRIP + GAP if long else HEADING
    tall = top + PITCH * len(lines)
    page = Page(MARGIN + WIDE + GAP + BAR_SPACE, max(tall, HEADING + 240), title, caption)
    heading = (
        "words" if len(shown) == len(listed) else f"{len(shown)} words around the strongest, of {len(listed)}"
    )
    if long:
        sums = pieces_of(listed)
        axes = page.panel(MARGIN, 0, WIDE, _STRIP, f"all {len(listed)} words in {len(sums)} pieces")
        axes.imshow(Scale.of(sums, 100).colours(sums[None]), aspect="auto", interpolation="nearest")
    page.text(MARGIN, top - HEADING, heading, HEADER, FAINT)
    lay_words(page, top, shown, lines, scale)
    page.bar(scale, MARGIN + WIDE + GAP, HEADING, max(tall, HEADING + 240) - HEADING)
    return page.figure


def lay_words(
    page: Page, top: float, shown: Sequence[Word], lines: Sequence[Line], scale: Scale | None = None
) -> None:
    """Words in their lines on a page, on grounds by their relevance. scale: by default that of these words."""
    axes = page.place(0, top, MARGIN + WIDE + GAP, PITCH * len(lines))
    axes.set(xlim=(0, MARGIN + WIDE + GAP), ylim=(PITCH * len(lines), 0))
    axes.set_axis_off()
    inks = colours(scale or scale_of(shown), np.array([word.relevance for word in shown]))
    for row, line in enumerate(lines):
        for place, text, left, width in line:
            ground, ink = inks[place]
            edge = FAINT if shown[place].special else ground
            box = matplotlib("patches").Rectangle(
                (left, PITCH * row), width, _LINE, facecolor=ground, edgecolor=edge, linewidth=0.6
            )
            axes.add_patch(box)
            middle = PITCH * row + _LINE / 2
            axes.text(left + width / 2, middle, text, fontsize=HEADER, color=ink, ha="center",
                      va="center_baseline", parse_math=False)  # fmt: skip


def word_lines(shown: Sequence[Word]) -> list[Line]:
    """Where the words stand."""
    return _lines([(_fitting(word.text, HEADER), bool(word.space) or word.special) for word in shown])


def around(listed: Sequence[Word], most: int) -> Sequence[Word]:
    """So many words at most, those around the strongest."""
    strongest = max(range(len(listed)), key=lambda i: abs(listed[i].relevance))
    first = min(max(0, strongest - most // 2), max(0, len(listed) - most))
    return listed[first : first + most]


def _fitting(text: str, size: float) -> str:
    """The word in one line: control characters written out, the end of a long one cut off."""
    plain = "".join(c if c.isprintable() else " " for c in text).strip() or "·"
    if text_width(plain, size) <= WIDE / 3:
        return plain
    return "".join(wrapped(plain, WIDE / 3, size, 1)) or plain[:24] + "…"


def _lines(texts: Sequence[tuple[str, bool]]) -> list[Line]:
    """The words of each line. texts: and whether a space comes before."""
    lines: list[Line] = [[]]
    left = float(MARGIN)
    for place, (text, apart) in enumerate(texts):
        width = text_width(text, HEADER) + 12
        left += 8 if apart and lines[-1] else 0
        if lines[-1] and left + width > MARGIN + WIDE:
            lines.append([])
            left = float(MARGIN)
        lines[-1].append((place, text, left, width))
        left += width
    return lines
