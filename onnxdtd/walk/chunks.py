"""Many samples at a time: in chunks, one on each core, where no sample has a say in another's result.

A chunk on one thread keeps its numbers near its core and waits for nobody, and what is held at a time is that of as
many chunks as there are cores, however many samples there are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from onnxdtd.types import Arrays, Dimension
from onnxdtd.walk.forward import THREADS

WORK = 32_000_000
"""Multiplications of the forward pass that make a chunk: some milliseconds on one core."""
ELEMENT = 50  # multiplications that a number of the input counts as at least
TOLERANCE = 1e-3  # of the largest: what sums in another order leave stays far below

Shape = Sequence[Dimension]
T = TypeVar("T")
Run = Callable[[Arrays, int], T]
"""What comes of some samples; the second argument is how many threads there may be, 0 for one on each core."""


def cores() -> int:
    """That this process may use: as many as it has been told to, where several share them."""
    if stated := int(os.environ.get(THREADS, 0)):
        return stated
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batch_names(inputs: Iterable[Shape], others: Iterable[Shape]) -> frozenset[str]:
    """The names that the batch axis goes by, where none of them stands on another axis. inputs, others: shapes."""
    shapes = [*inputs]
    first = {shape[0] for shape in shapes if shape and isinstance(shape[0], str)} - {""}
    behind = {size for shape in (*shapes, *others) for size in shape[1:]}
    return frozenset(first) if not first & behind else frozenset()


def separable(inner: bool, batch: Collection[str], outputs: Iterable[Shape]) -> bool:
    """Whether samples lie side by side in all that comes out. inner: whether there are loops or branches, which may
    run as often as their longest sample wants. batch: the names of the batch axis. outputs: their shapes."""
    return bool(batch) and not inner and all(shape and shape[0] in batch for shape in outputs)


def rows_of(feeds: Arrays, split: Collection[str], work: int) -> tuple[int, int]:
    """How many samples there are, and how many of them make a chunk. split: the inputs that have the batch axis."""
    counts = {len(feeds[name]) for name in split if feeds[name].ndim}
    if len(counts) != 1:
        return 1, 1
    (count,) = counts
    size = sum(math.prod(feeds[name].shape[1:]) for name in split)
    rows = max(1, WORK // max(1, work, ELEMENT * size))
    workers = cores()
    if rows < count < workers * rows:
        rows = -(-count // workers)
    return count, rows


class Chunks:
    """Runs a batch in chunks. Whether samples stand apart is seen when the first batch is run: the first and the last
    sample, as a pair of their own, must come out as they do among others."""

    def __init__(self, work: int) -> None:
        self._work, self.apart = work, True
        self._seen = False

    def __call__(
        self,
        feeds: Arrays,
        split: Collection[str],
        run: Run[T],
        pair: Callable[[Arrays, bool], T],
        join: Callable[[list[T]], T],
        arrays: Callable[[T], Mapping[str, npt.NDArray[Any]]],
    ) -> T | None:
        """What comes of all samples; None where the batch is better run as a whole, or must be. split: the inputs
        that have a row for each sample. pair: runs two samples; True where chunks are of one sample, which need no
        session for several afterwards. join: makes one result of several. arrays: of a result, by name."""
        count, rows = rows_of(feeds, split, self._work)
        if not self.apart or count <= rows:
            return None
        ends, alone = np.array([0, count - 1]), dict[str, npt.NDArray[Any]]()
        if not self._seen:  # first, so that what it takes is free again
            alone = dict(arrays(pair({n: x[ends] if n in split else x for n, x in feeds.items()}, rows == 1)))
        starts = list(range(0, count, rows))
        # What cores would be idle beside has them all.
        full = len(starts) - len(starts) % cores()
        with ThreadPoolExecutor(cores()) as pool:
            # The limit of time is one of the caller's context.
            jobs = [
                pool.submit(copy_context().run, run, _rows(feeds, split, s, s + rows), 1)
                for s in starts[:full]
            ]
            try:
                parts = [job.result() for job in jobs]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        parts += [run(_rows(feeds, split, s, s + rows), 0) for s in starts[full:]]
        whole = join(parts)
        made = arrays(whole)
        self.apart, self._seen = all(equal_to_rounding(made[n][ends], alone[n]) for n in alone), True
        return whole if self.apart else None


def side_by_side(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of several parts, by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rows(feeds: Arrays, split: Collection[str], start: int, end: int) -> dict[str, Any]:
    return {name: array[start:end] if name in split else array for name, array in feeds.items()}


def equal_to_rounding(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two results are one, but for sums in another order."""
    if one.shape != other.shape or one.dtype.kind not in "fiub":
        return one.shape == other.shape and bool((one == other).all())
    if one.dtype.kind != "f":
        return bool((one == other).all())
    largest = float(np.abs(one, where=np.isfinite(one), out=np.zeros_like(one)).max(initial=0))
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * largest, equal_nan=True))
