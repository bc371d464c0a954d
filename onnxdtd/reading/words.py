"""A text and what its words were given, in sentences and in the order of reading."""

from __future__ import annotations

import math

from onnxdtd.explanation import Explanation
from onnxdtd.tokens import Word, words_of


def text_input(e: Explanation) -> str:
    """The input of tokens that is read; "" where there is none."""
    return next(iter(e.texts), "")


def words(e: Explanation, sample: int = 0, name: str = "") -> list[Word]:
    """The words of one sample in reading order, special tokens apart; empty where the model reads no tokens."""
    name = name or text_input(e)
    return words_of(e.tokens(sample=sample, name=name)) if name else []


def written(e: Explanation, sample: int, name: str) -> bool:
    """Whether the tokens' names are known, and not their numbers only."""
    return list(e.texts[name][sample].tokens) != [str(i) for i in e.inputs[name][sample].tolist()]


def word_labels(e: Explanation, sample: int, name: str, listed: list[Word]) -> list[str]:
    """Each word as sentences name it: with its place, where it comes up more than once."""
    if not written(e, sample, name):
        return [f"token {word.text} at position {word.tokens[0].position}" for word in listed]
    texts = [word.text for word in listed]
    return [
        _quoted(text) if texts.count(text) == 1 else f"{_quoted(text)} (word {place})"
        for place, text in enumerate(texts, 1)
    ]


def _quoted(text: str) -> str:
    """In quotes that are not its own: an apostrophe is a word of its own to many tokenizers."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def beside(e: Explanation, sample: int, name: str) -> list[str]:
    """What special tokens were given, and further inputs at the same places, in one sentence."""
    rows = e.tokens(sample=sample, name=name)
    special = [row for row in rows if row.special and not row.padding]
    amounts = []
    if special:
        names = ", ".join(dict.fromkeys(row.token for row in special))
        amounts.append((f"special tokens ({names})", math.fsum(row.relevance for row in special)))
    for other, r in e.relevance.items():
        if other != name and other not in e.texts and r.shape == e.relevance[name].shape:
            amounts.append((f"input '{other}'", float(r[sample].sum())))
    listing = ", ".join(f"{what} {amount:+.3g}" for what, amount in amounts)
    return [f"Beside the words: {listing}."] if listing else []
