"""A batch walked by the NumPy engine in chunks: parts of its results, and of the books, made whole again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from onnxdtd.plan.choice import multiplications
from onnxdtd.plan.plan import Plan
from onnxdtd.types import Arrays
from onnxdtd.walk.blas import one_thread
from onnxdtd.walk.chunks import Chunks, batch_names, separable
from onnxdtd.walk.joined import outcome
from onnxdtd.walk.outcome import Asked, Books, Outcome

LARGER = 4
"""So many times as many samples make a chunk as of a compiled walk: each of its nodes costs Python's time."""
ROWS = "onnxdtd/rows"
T = TypeVar("T")
Walk = Callable[..., list[Outcome]]


def apart(plan: Plan) -> Parted | None:
    """What walks a batch of the plan in chunks; None where the model does not say that samples stand apart."""
    graph = plan.graph
    inputs = {name: graph.value(name).shape or () for name in graph.inputs}
    made = (*graph.outputs, plan.target, *plan.inputs, *plan.inside.keep)
    outputs = [graph.value(name).shape or () for name in made]
    batch = batch_names(inputs.values(), outputs)
    inner = any(node.body is not None for node in graph.nodes) or bool(graph.open_conditions)
    if plan.inside.starts or not separable(inner, batch, outputs):
        return None
    split = frozenset(name for name, shape in inputs.items() if shape and shape[0] in batch)
    return Parted(split, Chunks(sum(multiplications(plan)) // LARGER))


@dataclass(frozen=True)
class Parted:
    """split: the inputs that have the batch axis."""

    split: frozenset[str]
    chunks: Chunks

    def __call__(self, feeds: Arrays, asked: Sequence[Asked], walk: Walk) -> list[Outcome] | None:
        """The outcome of each target; None where the batch is better walked as a whole. walk: some of the samples."""

        def run(part: Arrays, threads: int) -> list[tuple[Outcome, list[Books]]]:
            own = {name: array for name, array in part.items() if name != ROWS}
            some = [one.of(part[ROWS], own) for one in asked]
            made = walk(own, some, threads=threads)
            return [(own, [one.books]) for own, one in zip(made, some, strict=True)]

        count = max(len(feeds[name]) for name in self.split)
        if any(one.target.per_sample and len(one.target.index or ()) != count for one in asked):
            return None  # which is refused
        fed = {**feeds, ROWS: np.arange(count)}
        with one_thread():
            made = self.chunks(fed, {*self.split, ROWS}, run, lambda two, _: run(two, 0), _joined, _arrays)
        if made is None:
            return None
        for one, (_, books) in zip(asked, made, strict=True):
            one.books.join(books)
        return [whole for whole, _ in made]


@contextmanager
def beside(job: Callable[[], T]) -> Iterator[Future[T]]:
    """A walk on another core while the block runs, which it does not outlive."""
    with one_thread(), ThreadPoolExecutor(1) as pool:
        yield pool.submit(copy_context().run, job)


def _joined(parts: Sequence[list[tuple[Outcome, list[Books]]]]) -> list[tuple[Outcome, list[Books]]]:
    """Target by target."""
    targets = zip(*parts, strict=True)
    return [(outcome([o for o, _ in own]), [b for _, books in own for b in books]) for own in targets]


def _arrays(made: Sequence[tuple[Outcome, Any]]) -> dict[str, npt.NDArray[Any]]:
    return {
        f"{i}/{name}": array
        for i, (whole, _) in enumerate(made)
        for name, array in (*whole.outputs.items(), *whole.relevance.items())
    }
