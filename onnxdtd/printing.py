"""Text that comes from files, made fit to be shown: names of models, values and classes are a stranger's."""

from __future__ import annotations


def printable(text: str) -> str:
    """Control characters, and marks that turn the direction of reading, written out, since names come from files."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_whole(text: str) -> bool:
    """Whether a text is a whole number from 0 on, as an index or a length is: of 18 digits at most, since more fit
    no integer of NumPy, and of thousands Python makes no number at all."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


def shortened(text: str, most: int) -> str:
    """At most so many characters: of a longer text the beginning and the end."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
