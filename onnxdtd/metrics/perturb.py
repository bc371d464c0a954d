"""Removal curves: what the model says while units of the input are replaced, the most relevant or the least first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.metrics.case import Case
from onnxdtd.types import Array

Curve = tuple[Array, Array]
"""The explained logit and its probability, (steps + 1,) each."""

ORDERS = ("most", "least")


def ranking(relevance: Array, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """(U,): 0 for the most relevant unit, U - 1 for the least; equal ones in random order, not by their place."""
    order = np.lexsort((rng.permutation(relevance.size), -relevance))
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    return places


def counts(units: int, steps: int) -> npt.NDArray[np.intp]:
    """How many units are removed at each point: 0, U / steps, ..., U; every one where there are fewer."""
    return np.unique(np.linspace(0, units, min(steps, units) + 1).round().astype(np.intp))


def placed(case: Case, patch: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
    """(D,) the unit of each element; (U,) its place by relevance, 0 for the most; and how many units count. What does
    not count, such as padding, has a place behind all others."""
    labels = case.view.units(patch)
    counted = np.bincount(labels, case.counted) > 0
    place = np.full(counted.size, counted.size)
    place[counted] = ranking(case.units(patch)[counted], case.rng("ties"))
    return labels, place, int(counted.sum())


def curves(case: Case, patch: int, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Curve]:
    """The curves for pairs (order, fill) of units with sides of `patch`; `least` is `most` reversed.

    Metrics of one case share them, and the points that several of them share are asked once.
    """
    labels, place, count = placed(case, patch)
    places = {"most": place, "least": np.where(place < count, count - 1 - place, place)}
    removed = counts(count, case.settings.steps)
    keys: list[Any] = []
    for order, fill in pairs:
        # Where nothing, or everything, is replaced, the order (and with nothing, the fill) does not matter.
        inner = [(patch, order, fill, int(k)) for k in removed[1:-1]]
        keys += ["start", *inner, ("end", fill)]
    missing = [key for key in dict.fromkeys(keys) if key not in case.kept]

    def points() -> Iterator[Array]:
        for key in missing:
            if key == "start":
                yield case.x
            elif key[0] == "end":
                yield case.fill(key[1])
            else:
                _, order, fill, k = key
                yield np.where(places[order][labels] < k, case.fill(fill), case.x)

    if missing:
        case.kept.update(zip(missing, zip(*case.values(points()), strict=True), strict=True))
    by_pair, size = {}, removed.size
    for i, pair in enumerate(pairs):
        logits, chances = zip(*(case.kept[key] for key in keys[i * size : (i + 1) * size]), strict=True)
        by_pair[pair] = np.array(logits), np.array(chances)
    return by_pair


def area(curve: Array) -> float:
    """The area under a curve over [0, 1], by the trapezoidal rule."""
    return float((curve[1:] + curve[:-1]).mean() / 2)
