"""Text for people: aligned, wrapped, and without what a stranger's file might smuggle into a terminal."""

from __future__ import annotations

import math
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from onnxdtd.printing import printable, shortened

WIDEST = 100
NARROWEST = 8  # of a column that gives way
LONGEST_LINE = 2000


def message(text: str) -> None:
    """Each line to stderr, under our name; nothing of an empty text."""
    for line in text.split("\n") if text else ():
        print(f"onnxdtd: {shortened(printable(line), LONGEST_LINE)}", file=sys.stderr)


def say(text: str) -> int:
    """Print to stdout and return the exit code: a reader that has gone away is no error, a full disk is."""
    if sys.stdout is None:
        return 0
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print("\n".join(map(printable, text.split("\n"))), flush=True)
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own last flush
        if isinstance(error, BrokenPipeError):
            return 0
        message(f"the result cannot be printed: {error.strerror}")
        return 2


def page() -> int:
    """How wide running text may be: as the terminal, 80 where there is none."""
    return min(shutil.get_terminal_size().columns, WIDEST)


def screen() -> int | None:
    """How wide a table may be: as the terminal; a pipe takes any width, one line a row."""
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None


def paragraph(text: str) -> str:
    """Running text, wrapped."""
    return "\n".join(_wrap(printable(text), page()))


def sections(rows: Sequence[tuple[str, Sequence[str]]], width: int) -> str:
    """A label and its items, wrapped behind a margin; of several, what continues one is set in a little."""
    margin = max(len(label) for label, _ in rows) + 2
    lines = []
    for label, texts in rows:
        indent = " " * (margin + 2 * (len(texts) > 1))
        for i, text in enumerate(texts):
            lines += _wrap(f"{'' if i else label:<{margin}}{printable(text)}", width, indent)
    return "\n".join(lines)


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None, wraps: bool = False
) -> str:
    """Aligned columns. Beyond `width` the widest columns give way: their cells wrap, or lose their middle."""
    cells = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    while width is not None and sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        parts = [
            _wrap(c, w, breaks=True) if wraps else [shortened(c, w)] for c, w in zip(row, widths, strict=True)
        ]
        for i in range(max(map(len, parts))):
            pieces = [part[i] if i < len(part) else "" for part in parts]
            lines.append("  ".join(f"{p:<{w}}" for p, w in zip(pieces, widths, strict=True)).rstrip())
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of cells as lines, each column to its side, `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{c:{s}{w}}" for c, s, w in zip(row, sides, widths, strict=True) if w).rstrip()
        for row in rows
    ]


def numbers(values: Sequence[float], digits: int = 4) -> list[str]:
    """The largest with so many digits, the others with as many decimals, so that they line up."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if largest and not 1e-3 <= largest < 1e6:
        return [f"{v:.{digits}g}" for v in values]
    exponent = int(f"{largest:.{digits - 1}e}".partition("e")[2])  # of the rounded number: 0.99999 is 1.000
    decimals = max(0, digits - 1 - exponent) if largest else 0
    return [f"{v:.{decimals}f}" for v in values]


def _wrap(text: str, width: int, margin: str = "", breaks: bool = False) -> list[str]:
    """Lines of at most `width`; a longer word, such as a path, is broken only if asked for."""
    lines = textwrap.TextWrapper(
        width, subsequent_indent=margin, break_long_words=breaks, break_on_hyphens=False
    ).wrap(text)
    return lines or [""]
