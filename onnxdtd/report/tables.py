"""Rows and columns, limited, so that a page stays a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest

from onnxdtd.report.markup import Markup, amount, joined, sentence, tag

MOST = 100
"""Rows of a table, and lines of a list."""
NONE = "–"
_LONG = 60
"""Letters from which a cell is a sentence."""
_NUMBER = re.compile(r"[−-]?[\d.,]+(e[−+-]?\d+)? ?(%|s|ms)?")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], count: int, most: int = MOST) -> Markup:
    """Columns of numbers stand to the right; of `count` rows the first are shown, and what is left out is told."""
    lines = [[_text(value) for value in row] for row in islice(rows, most)]
    right = [all(map(_is_number, column)) for column in zip_longest(*lines, fillvalue=NONE)]
    kinds = ["number" if own and lines else None for own in right] or [None] * len(head)
    titles = tag("tr", *(tag("th", title, class_=kind) for title, kind in zip(head, kinds, strict=False)))
    body = [
        tag(
            "tr",
            *(tag("td", text, class_=kind or _kind(text)) for text, kind in zip(line, kinds, strict=False)),
        )
        for line in lines
    ]
    framed = tag("div", tag("table", tag("thead", titles), tag("tbody", *body)), class_="scroll")
    return joined(framed, rest(len(lines), count, "rows"))


def lines(texts: Sequence[object], most: int = MOST) -> Markup:
    """A list, of which the first are shown."""
    items = tag("ul", *(tag("li", sentence(text)) for text in texts[:most]))
    return joined(items, rest(min(most, len(texts)), len(texts), "lines")) if texts else Markup()


def pairs(rows: Iterable[tuple[str, object]]) -> Markup:
    """Names and what they are; what is empty is left out."""
    shown = [(name, value) for name, value in rows if value not in ("", None)][:MOST]
    return tag("dl", *(part for name, value in shown for part in (tag("dt", name), tag("dd", value))))


def rest(shown: int, count: int, what: str) -> Markup:
    """What is left out, in words."""
    words = f"The first {shown:,} of {count:,} {what} are shown."
    return tag("p", words, class_="faint") if count > shown else Markup()


def _text(value: object) -> object:
    if isinstance(value, float):
        return amount(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return NONE if value is None else value


def _kind(text: object) -> str | None:
    """Of a cell that takes several lines, so that the others leave it room."""
    return "long" if len(str(text)) > _LONG else None


def _is_number(text: object) -> bool:
    return text == NONE or bool(_NUMBER.fullmatch(str(text)))
