"""The equation of an Einsum with every letter written out."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters


def letters(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The terms and the result of an equation, `...` and an implicit result written out."""
    operands, _, result = equation.replace(" ", "").partition("->")
    terms = operands.split(",")
    free = [c for c in ascii_letters if c not in equation]
    widths = [
        rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True) if "..." in term
    ]
    hidden = "".join(free[: max(widths, default=0)])
    if "->" not in equation:
        counts = operands.replace("...", "").replace(",", "")
        result = ("..." if widths else "") + "".join(sorted(c for c in set(counts) if counts.count(c) == 1))
    shown = []
    for term, rank in zip(terms, ranks, strict=True):
        width = rank - len(term.replace("...", ""))
        shown.append(term.replace("...", hidden[len(hidden) - width :]))
    return shown, result.replace("...", hidden)
