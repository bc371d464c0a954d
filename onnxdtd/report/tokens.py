"""Text in reading order: each word behind a colour, as strong as the relevance of all its tokens."""

from __future__ import annotations

from collections.abc import Sequence

from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.tokens import Word

LEVELS = 8
MOST = 2000


def reading(listed: Sequence[Word]) -> Markup:
    """The words as they stand in the text, special tokens in a frame; each with its number on hovering, and those of
    its tokens where it has several."""
    largest = max((abs(word.relevance) for word in listed), default=0.0) or 1.0
    shown: list[object] = []
    for word in listed[:MOST]:
        shown += [" " if word.space or word.special else "", _word(word, word.relevance / largest)]
    more = [tag("p", f"{len(listed) - MOST} more are not shown")] if len(listed) > MOST else []
    return tag("div", *shown, *more, class_="tokens")


def _word(word: Word, share: float) -> Markup:
    numbers = ", ".join(f"{token.token} {amount(token.relevance)}" for token in word.tokens)
    title = amount(word.relevance) + (f" = {numbers}" if len(word.tokens) > 1 else "")
    level = round(LEVELS * abs(share))
    tint = f"{'for' if share > 0 else 'against'}-{level}" if level else "level"
    return tag("span", word.text or "·", class_=f"{tint} special" if word.special else tint, title=title)
