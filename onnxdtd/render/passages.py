"""Several texts on one page, each in coloured words below what was explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxdtd.render.canvas import MARGIN, SMALL, Page, wrapped
from onnxdtd.render.colours import FAINT, GREY, INK
from onnxdtd.render.words import PITCH, WIDE, around, lay_words, word_lines
from onnxdtd.tokens import Word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 120
"""Words of a text, those around the strongest."""
_LINE, _GAP = 30, 26


@dataclass(frozen=True)
class Passage:
    """lines: above the words, first the most important one."""

    lines: tuple[str, ...]
    words: Sequence[Word]


def passages(texts: Sequence[Passage], title: str, caption: str = "") -> Figure:
    """The texts one below the other, the strongest word of each in the last colour."""
    parts = [(text.lines, shown := around(text.words, MOST), word_lines(shown)) for text in texts]
    heights = [_LINE * len(lines) + 6 + PITCH * len(rows) + _GAP for lines, _, rows in parts]
    page = Page(MARGIN + WIDE + MARGIN, sum(heights), title, caption)
    top = 0
    for (lines, shown, rows), height in zip(parts, heights, strict=True):
        for i, (line, colour) in enumerate(zip(lines, (INK, GREY, FAINT), strict=False)):
            page.text(MARGIN, top + i * _LINE, "".join(wrapped(line, WIDE, SMALL, 1)), SMALL, colour)
        lay_words(page, top + _LINE * len(lines) + 6, shown, rows)
        top += height
    return page.figure


def is_finite(words: Sequence[Word]) -> bool:
    """Whether words can be coloured."""
    return bool(words) and all(math.isfinite(word.relevance) for word in words)
