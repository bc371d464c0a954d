"""Many samples at a time: in chunks, one on each core, where no sample has a say in another's result.

A chunk on one thread keeps its numbers near its core and waits for nobody, and what is held at a time is that of as
many chunks as there are cores, however many samples there are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxdtd.types import Arrays

WORK = 32_000_000
"""Multiplications of the forward pass that make a chunk: some milliseconds on one core."""
ELEMENT = 50  # multiplications that a number of the input counts as at least
TOLERANCE = 1e-3  # of the largest: what sums in another order leave stays far below

Run = Callable[[Arrays, int], dict[str, Any]]
"""Outputs by name; the second argument is how many threads there may be, 0 for one on each core."""


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def separable(model: onnx.ModelProto, batch: Collection[str], outputs: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the model says that its samples lie side by side in all that comes out. batch: the names of the batch
    axis, if it stands nowhere else. outputs: their shapes. A loop may run as often as its longest sample wants."""
    inner = any(a.HasField("g") or len(a.graphs) for node in model.graph.node for a in node.attribute)
    return bool(batch) and not inner and all(shape and shape[0] in batch for shape in outputs.values())


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
    sample, as a pair of their own, must come out as they do among others. pair: runs them; True for chunks of one
    sample, which need no session for several afterwards."""

    def __init__(self, run: Run, work: int, pair: Callable[[Arrays, bool], dict[str, Any]]) -> None:
        self._run, self._work, self._pair, self.apart = run, work, pair, True
        self._seen = False

    def __call__(self, feeds: Arrays, split: Collection[str]) -> dict[str, Any] | None:
        """The outputs by name; None where the batch is better run as a whole, or must be."""
        count, rows = rows_of(feeds, split, self._work)
        if not self.apart or count <= rows:
            return None
        ends, pair = np.array([0, count - 1]), dict[str, Any]()
        if not self._seen:  # first, so that what it takes is free again
            pair = self._pair({n: x[ends] if n in split else x for n, x in feeds.items()}, rows == 1)
        starts = list(range(0, count, rows))
        # What cores would be idle beside has them all.
        full = len(starts) - len(starts) % cores()
        with ThreadPoolExecutor(cores()) as pool:
            # The limit of time is one of the caller's context.
            jobs = [
                pool.submit(copy_context().run, self._run, _rows(feeds, split, s, s + rows), 1)
                for s in starts[:full]
            ]
            try:
                parts = [job.result() for job in jobs]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        parts += [self._run(_rows(feeds, split, s, s + rows), 0) for s in starts[full:]]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.apart, self._seen = all(equal_to_rounding(whole[n][ends], pair[n]) for n in pair), True
        return whole if self.apart else None


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
