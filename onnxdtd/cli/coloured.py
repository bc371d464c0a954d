"""A text in the terminal: its words on coloured grounds, where the terminal shows colours."""

from __future__ import annotations

import math
import os
import sys

import numpy as np

from onnxdtd.cli.text import page
from onnxdtd.explanation import Explanation
from onnxdtd.printing import printable
from onnxdtd.reading import words
from onnxdtd.render.words import LONG, colours, pieces_of, scale_of
from onnxdtd.tokens import Word

RESET = "\x1b[0m"


def shows_colour() -> bool:
    """Whether stdout is a terminal that takes colours, and the user has not said no (https://no-color.org)."""
    terminal = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return terminal and not os.environ.get("NO_COLOR")


def coloured(e: Explanation, sample: int = 0) -> str:
    """The words of one sample in reading order; of a long text a strip first. "" where the model reads no tokens."""
    listed = words(e, sample)
    if not listed or not all(math.isfinite(word.relevance) for word in listed):
        return ""
    shades = colours(scale_of(listed), np.array([word.relevance for word in listed]))
    lines, left = [""], 0
    for word, (ground, ink) in zip(listed, shades, strict=True):
        text = _shown(word)
        space = " " if left and (word.space or word.special) else ""
        if left and left + len(space) + len(text) > page():
            lines.append("")
            space, left = "", 0
        lines[-1] += space + _painted(text, ground, ink)
        left += len(space) + len(text)
    return "\n".join([*([_strip(listed)] if len(listed) > LONG else []), *lines])


def _strip(listed: list[Word]) -> str:
    pieces = pieces_of(listed)
    sums = np.array([part.sum() for part in np.array_split(pieces, min(page(), len(pieces)))])
    shades = colours(scale_of([Word("", "", float(s), False, ()) for s in sums]), sums)
    return "".join(_painted(" ", ground, ink) for ground, ink in shades)


def _shown(word: Word) -> str:
    """The word without line breaks, and without what would steer the terminal."""
    return printable(" ".join(word.text.split()) or "·")


def _painted(text: str, ground: str, ink: str) -> str:
    """In 24-bit colours, after ECMA-48's SGR 38 and 48."""
    codes = [";".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5)) for colour in (ink, ground)]
    return f"\x1b[38;2;{codes[0]};48;2;{codes[1]}m{text}{RESET}"
