"""Methods that say the same of a model are one: shown once, the others by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnxdtd.comparison.comparison import Cell

ALIKE = 1e-5
"""Of the largest |relevance|: what rounding leaves between two ways of one computation."""


def folded(named: Mapping[str, bool], cells: Mapping[tuple[int, str], Cell], targets: int) -> dict[str, str]:
    """By method that need not be shown, the one that stands for it: it gives every target the same relevance.

    named: the methods in order, each with whether it was asked for by name; such a one is always shown. Of several
    that are equal, the one stands for them whose name their results bear, else the first.
    """
    groups: list[list[str]] = []
    for method in named:
        own = [cells.get((number, method)) for number in range(targets)]
        if not any(own):
            continue
        for group in groups:
            if all(map(_equal, own, [cells.get((number, group[0])) for number in range(targets)])):
                group.append(method)
                break
        else:
            groups.append([method])
    stands: dict[str, str] = {}
    for group in groups:
        shown = [m for m in group if named[m]]
        bear = [m for m in group if any(cells[n, m].method == m for n in range(targets) if (n, m) in cells)]
        first = [*shown, *bear, *group][0]
        stands |= {method: first for method in group if method != first and not named[method]}
    return stands


def _equal(one: Cell | None, other: Cell | None) -> bool:
    if one is None or other is None:
        return one is other
    pairs = [(r, other.relevance[name]) for name, r in one.relevance.items() if name in other.relevance]
    largest = max((float(np.abs(r).max(initial=0.0)) for pair in pairs for r in pair), default=0.0)
    same: Sequence[bool] = [np.allclose(a, b, rtol=0, atol=ALIKE * largest, equal_nan=True) for a, b in pairs]
    return one.relevance.keys() == other.relevance.keys() and all(same)
