"""Chosen rows of the data of a job, read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from onnxdtd.errors import InputError
from onnxdtd.inputs import DataSet, Row

NEAR = 64
"""Rows that are skipped one by one; for more of them, the data are opened further on."""


def reread(data: DataSet, rows: Iterable[tuple[int, str]]) -> Iterator[tuple[str, Row]]:
    """The rows at these places, each with its id, in the order given; ascending places are read in one go. Raises
    InputError where another row is there now."""
    reads: Iterator[Any] = iter(())
    at = -1
    for place, name in rows:
        if not 0 <= place - at <= NEAR or at < 0:
            reads, at = data.reads(place), place
        for _ in range(at, place):
            next(reads, None)
        at = place + 1
        row = next(reads, None)
        if row is None:
            raise InputError(f"the data have no row {place} any more, which was '{name}'")
        yield name, row[1]()


def check_ids(data: DataSet, rows: Iterable[tuple[int, str]]) -> None:
    """InputError where the ids of the data are others now. rows: place and id, ascending."""
    ids, at = data.ids(), 0
    for place, name in rows:
        own = None
        while at <= place:
            own, at = next(ids, None), at + 1
        if own != name:
            told = "is no more" if own is None else f"is '{own}'"
            raise InputError(f"the data are others now: row {place} was '{name}' and {told}")
