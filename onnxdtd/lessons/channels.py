"""Relevance and activation of a layer's channels in every row of a job, added up as the rows go by.

r_c = sum over positions of R_c       (relmax "sum"; "max": the largest)
a_c = max over positions of z_c       (actmax "max"; "sum": the sum)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.datasets.recipe import Reopened
from onnxdtd.each import explain_each
from onnxdtd.errors import InputError
from onnxdtd.inputs import Row
from onnxdtd.lessons.classes import class_of
from onnxdtd.lessons.layers import Layer
from onnxdtd.types import Array
from onnxdtd.workers import check_ids, reread

COLUMNS = ["id", "row", "label", "prediction", "target", "target_name"]


class Highest:
    """For each channel the rows with the largest numbers, the first of equal ones; no more than `count` are held."""

    def __init__(self, channels: int, count: int) -> None:
        self._values = np.full((channels, count), -np.inf)
        self._rows = np.full((channels, count), -1, np.int64)

    def add(self, row: int, numbers: Array) -> None:
        """The numbers (C,) of one more row."""
        least = self._least()
        every = np.arange(len(numbers))
        better = numbers > self._values[every, least]
        self._values[every[better], least[better]] = numbers[better]
        self._rows[every[better], least[better]] = row

    def _least(self) -> Array:
        """Where each channel's smallest number stands; of equal ones the latest row's."""
        order = np.lexsort((-self._rows, self._values), axis=1)
        return np.asarray(order[:, 0])

    def of(self, channel: int) -> list[tuple[int, float]]:
        """Rows and numbers of a channel, the largest first."""
        pairs = zip(self._rows[channel].tolist(), self._values[channel].tolist(), strict=True)
        return sorted(((row, x) for row, x in pairs if row >= 0), key=lambda pair: (-pair[1], pair[0]))


class Channels:
    """What is known of the channels. rows: by class. shares, sums, positive: by class (C,), summed over its rows: the
    channel's part of a row's |relevance|, its relevance, whether that is above 0. relevant, active: the rows of the
    largest relevance and activation. left_out: rows whose relevance is not finite."""

    def __init__(self, channels: int, references: int) -> None:
        self.rows: dict[str, int] = defaultdict(int)
        self.shares: dict[str, Array] = defaultdict(lambda: np.zeros(channels))
        self.sums: dict[str, Array] = defaultdict(lambda: np.zeros(channels))
        self.positive: dict[str, Array] = defaultdict(lambda: np.zeros(channels))
        self.left_out = 0
        self.relevant, self.active = Highest(channels, references), Highest(channels, references)

    def add(self, row: int, name: str, r: Array, a: Array) -> None:
        """One row more, of class `name`: relevance (C,) and activation (C,) of its channels."""
        if not np.isfinite(r).all():
            self.left_out += 1
            return
        total = np.abs(r).sum()
        self.rows[name] += 1
        self.sums[name] += r
        self.shares[name] += r / total if total else 0.0
        self.positive[name] += r > 0
        self.relevant.add(row, r)
        self.active.add(row, a)


def tallied(
    results: Results,
    made: Reopened,
    layer: Layer,
    *,
    classes: Collection[str],
    references: int,
    relmax: str,
    actmax: str,
) -> Channels:
    """All rows of these classes, or of all. Relevance that `batch --keep` has stored is read; else it is made anew.
    Raises InputError where the data are not at hand or others now."""
    channels = Channels(layer.channels, references)
    seen: set[str] = set()
    for at, name, r, a in _walked(results, made, layer, classes, seen):
        channels.add(at, name, reduced(r, layer.axis, relmax), reduced(a, layer.axis, actmax))
    if not channels.rows:
        there = ", ".join(sorted(seen)[:20]) or "none"
        raise InputError(f"'{results.folder}' has no rows of class {', '.join(classes)}; there are {there}")
    return channels


def layer_at(made: Reopened, layer: Layer, row: Row, carried: Array) -> tuple[Array, Array]:
    """Relevance and activation of a layer in one row, (1, ..., C, ...). carried: what the walk carried there; a
    gradient is multiplied by the activation, or squared, as its method does at the input."""
    here = made.explainer.at(row.inputs)
    z = here.forward([layer.name])(row.inputs)[layer.name]
    r = np.asarray(carried, np.float64)
    match here.plan(here.loaded.question(made.target).output).finish:
        case "times_input":
            r = r * z
        case "square":
            r = r * r
    return r, z


def reduced(x: Array, axis: int, how: str) -> Array:
    """(1, ..., C, ...) as (C,): the sum or the max over positions."""
    others = tuple(i for i in range(x.ndim) if i != axis)
    wide = x.astype(np.float64)
    return np.asarray(wide.sum(axis=others) if how == "sum" else wide.max(axis=others))


def _walked(
    results: Results, made: Reopened, layer: Layer, classes: Collection[str], seen: set[str]
) -> Iterator[tuple[int, str, Array, Array]]:
    """Position, class, relevance and activation of each row."""
    column = f"kept.{layer.name}"
    stored = [column] if column in results.columns else []
    explainer, target = made.explainer, made.target
    lines: dict[str, tuple[int, dict[str, Any]]] = {}

    def places() -> Iterator[tuple[int, str]]:
        for at, row in enumerate(results.rows([*COLUMNS, *stored])):
            name = class_of(row)
            seen.add(name)
            if not classes or name in classes:
                lines[row["id"]] = at, row
                yield row["row"], row["id"]

    def rows() -> Iterator[Row]:
        assert made.data is not None
        for name, row in reread(made.data, places()):
            yield Row(name, row.inputs, row.label, row.picture)

    if made.data is None:
        raise InputError(f"'{results.folder}' was explained from data in memory: name them (--data, data=)")
    check_ids(made.data, ((row["row"], row["id"]) for row in results.rows(["id", "row"])))
    pairs: Iterator[tuple[Row, Any]]
    pairs = (
        ((row, None) for row in rows())
        if stored
        else explain_each(explainer, rows(), target, keep=[layer.name])
    )
    for row, e in pairs:
        at, line = lines.pop(row.id)
        carried = line["kept"][layer.name][None] if e is None else e.kept[layer.name]
        r, z = layer_at(made, layer, row, carried)
        yield at, class_of(line), r, z
