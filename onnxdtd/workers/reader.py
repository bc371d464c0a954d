"""Chosen rows of a data set, read by their places."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from onnxdtd.errors import InputError
from onnxdtd.inputs import DataSet, Row, open_data
from onnxdtd.inputs.parts import Stack
from onnxdtd.types import Array

NEAR = 64
"""Rows that are skipped one by one; for more of them, the data are opened further on."""


class Reader:
    """Rows by their places; ascending ones are read in one go. source: the arguments of `open_data`, among them the
    `values` that the model takes. data: opened already. near: as `NEAR`. It pickles, and opens the data anew in the
    process where it arrives, so that only the source travels."""

    def __init__(
        self, source: Mapping[str, Any], data: DataSet | None = None, near: float = math.inf
    ) -> None:
        self.source, self._data, self._near = source, data, near
        self._reads: Iterator[tuple[str, Callable[[], Row]]] = iter(())
        self._at = -1

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "_stack"}
        return {**kept, "_data": None, "_reads": iter(()), "_at": -1}

    @property
    def data(self) -> DataSet:
        """The data, opened when they are first needed."""
        if self._data is None:
            self._data = open_data(**self.source)
        return self._data

    @cached_property
    def _stack(self) -> Stack | None:
        return self.data.stacked()

    def together(self, place: int, count: int) -> dict[str, Array] | None:
        """So many rows from a place on, side by side, not checked; None where the data do not lie so. Raises
        InputError."""
        if self._stack is None:
            return None
        try:
            return self._stack(place, count)
        except InputError:
            del self._stack  # which has ended
            raise

    def at(self, place: int) -> Callable[[], Row]:
        """What reads the row at a place, or raises InputError. Raises InputError where there is no such row."""
        if self._at < 0 or not 0 <= place - self._at <= self._near:
            self._reads, self._at = self.data.reads(place), place
        for _ in range(self._at, place):
            next(self._reads, None)
        self._at = place + 1
        row = next(self._reads, None)
        if row is None:
            raise InputError(f"the data have no row {place} any more")
        return row[1]


def reread(data: DataSet, rows: Iterable[tuple[int, str]]) -> Iterator[tuple[str, Row]]:
    """The rows at these places, each with its id, in the order given. Raises InputError where one is no more."""
    reader = Reader({}, data, NEAR)
    return ((name, reader.at(place)()) for place, name in rows)


def check_ids(data: DataSet, rows: Iterable[tuple[int, str]]) -> None:
    """InputError where the ids of the data are others now. rows: place and id, ascending."""
    ids, at = data.ids(), 0
    for place, name in rows:
        own = None
        while at <= place:
            own, at = next(ids, None), at + 1
        if own != name:
            change = "is no more" if own is None else f"is '{own}'"
            raise InputError(f"the data are others now: row {place} was '{name}' and {change}")
