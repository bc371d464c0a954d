"""One explained element as a function of a vector, evaluated at many points in chunks that fit in memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.box import range_of
from onnxdtd.errors import InputError, TargetError, UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.plan.coefficients import seed_mask
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.target import Target
from onnxdtd.runs.batches import chunks, filled, taken
from onnxdtd.types import Array, OnProgress, Rows
from onnxdtd.walk.outcome import Asked

MEMORY = 256 * 2**20  # of activations, in bytes, that the rows of one chunk may need
MOST_ROWS = 32
ROWS_OF_UNKNOWN_SIZE = 4


class Passes:
    """f(x_1 ... x_D) of each of N samples: the explained logit over all explained inputs, one behind the other.

    base: the explanation of x by one gradient pass, which fixes each sample's target. x: (N, D) float64. low, high:
    (N, D), the stated input range, infinite where there is none. fixed: the only batch that the model takes, None for
    any. forward_points, gradient_points: evaluated so far. A row of `points` belongs to the sample of the same row
    of `samples`, whose target and integer inputs it takes. Raises TargetError where a sample explains several
    elements.
    """

    def __init__(
        self, explainer: Explainer, x: Any, target: Any, progress: OnProgress = None, batch: int | None = None
    ) -> None:
        self.base = explainer.one_pass(x, target)
        self.plan = explainer.plan(self.base.output)
        self.count = len(self.base.target)
        self._check()
        self._run = explainer.run(self.plan.output)
        self._forward = explainer.forward([self.plan.target])
        self.fixed = fixed_rows(self.plan, self.base)
        self._rows = self.fixed or _rows(self.plan, batch)
        self._progress, self._done, self._expected = progress, 0, 0
        self.forward_points = self.gradient_points = 0
        self.x = self._joined({name: self.base.inputs[name] for name in self.plan.floats})
        if not self.x.shape[1]:
            raise InputError("the explained inputs are empty: a method of many passes has nothing to change")
        ranges = {name: range_of(name, explainer.input_range) for name in self.plan.floats}
        self.low, self.high = (
            self.vector({n: r[side] for n, r in ranges.items()}, "the range") for side in (0, 1)
        )

    @property
    def all(self) -> npt.NDArray[np.intp]:
        """Every sample once, for points that have one row a sample."""
        return np.arange(self.count)

    @property
    def value(self) -> Array:
        """f at x, (N,)."""
        return np.asarray(self.base.target_value, np.float64)

    def expect(self, points: int) -> None:
        """Say how many points are to come at most, for the progress."""
        self._expected = self._done + points

    def chunks(self, points: int) -> Iterator[Rows]:
        """0 .. points - 1 in runs that fit in memory."""
        return chunks(points, self._rows)

    def values(self, points: Array, samples: npt.NDArray[np.intp]) -> Array:
        """f at each of M points (M, D): (M,) float64."""
        values = []
        for rows in self.chunks(len(points)):
            feeds, target = self._feeds(points[rows], samples[rows]), self._target(samples[rows])
            logits = self._forward(feeds)[self.plan.target]
            values.append(elements(self.base, target, logits)[: len(rows)])
            self._tell(len(rows))
        self.forward_points += len(points)
        return np.concatenate(values).astype(np.float64)

    def gradients(self, points: Array, samples: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        """f (M,) and its gradient (M, D) at each of M points (M, D), float64."""
        values, slopes = [], []
        for rows in self.chunks(len(points)):
            feeds, target = self._feeds(points[rows], samples[rows]), self._target(samples[rows])
            (outcome,) = self._run(feeds, [Asked(target)])
            values.append(outcome.logits[outcome.seed.mask][: len(rows)])
            slopes.append(self._joined(outcome.relevance)[: len(rows)])
            self._tell(len(rows))
        self.gradient_points += len(points)
        return np.concatenate(values).astype(np.float64), np.concatenate(slopes)

    def vector(self, values: Any, what: str) -> Array:
        """(N, D) from a number, an array for the one input, or a dict by input name (0 where it names none)."""
        names = self.plan.floats
        values = values if isinstance(values, Mapping) else dict.fromkeys(names, values)
        if set(values) - set(names):
            raise UsageError(f"{what} names {', '.join(map(repr, set(values) - set(names)))}; "
                             f"the explained inputs are {', '.join(map(repr, names))}")  # fmt: skip
        parts = {}
        for name in names:
            shape = self.base.inputs[name].shape
            try:
                array = np.asarray(values.get(name, 0.0), np.float64)
                parts[name] = np.broadcast_to(array, shape)
            except (TypeError, ValueError):
                raise UsageError(
                    f"{what} of '{name}' must be a number or an array that broadcasts to the input's shape {shape}"
                ) from None
        return self._joined(parts)

    def baseline(self, baseline: Any) -> Array:
        """(N, D) from what a user gives; it must be finite."""
        points = self.vector(baseline, "baseline")
        if not np.isfinite(points).all():
            raise UsageError("baseline holds values that are not finite")
        return points

    def split(self, rows: Array, precise: bool = False) -> dict[str, Array]:
        """(M, D) as arrays (M, ...) by input name, in the inputs' own types (precise: in float64)."""
        parts, start = {}, 0
        for name in self.plan.floats:
            like = self.base.inputs[name]
            size = math.prod(like.shape[1:])
            part = rows[:, start : start + size].reshape(len(rows), *like.shape[1:])
            parts[name] = part if precise else part.astype(like.dtype)
            start += size
        return parts

    def explanation(
        self, method: str, relevance: Array, seed: Array, extras: Mapping[str, Any], *warnings: str
    ) -> Explanation:
        """The result: relevance (N, D), what started (N,), and what else the method reports."""
        if self._progress is not None and self._done < self._expected:
            self._progress(self._expected, self._expected)
        return dataclasses.replace(
            self.base,
            method=method,
            relevance=self.split(relevance),
            seed=np.asarray(seed, np.float64),
            nodes=(),
            constants={},
            warnings=(*self.base.warnings, *warnings),
            extras=extras,
        )

    def _check(self) -> None:
        if not self.plan.floats:
            raise UnsupportedError(
                "this method of many passes moves the input by a little, and integers cannot be moved so; take "
                "integrated_gradients, occlusion, attnlrp or another method of one pass"
            )
        several = [len(indices) for indices in self.base.target if len(indices) != 1]
        if several:
            raise TargetError(
                f"a method of many passes explains one element of each sample, not {several[0]}; "
                "give one index, such as 0,0"
            )
        odd = [name for name, array in self.base.inputs.items() if array.shape[:1] != (self.count,)]
        if odd:
            raise UnsupportedError(
                "a method of many passes needs the batch axis first in every input; "
                f"{', '.join(map(repr, odd))} has none"
            )

    def _feeds(self, points: Array, samples: npt.NDArray[np.intp]) -> dict[str, Array]:
        rows = filled(np.arange(len(points)), self.fixed)
        return taken(self.base.inputs, samples[rows]) | self.split(points[rows])

    def _target(self, samples: npt.NDArray[np.intp]) -> Target:
        if self.base.batch_axis is None:  # all of the output is one sample's
            return Target(self.plan.output, self.base.target[0][0])
        if self.base.outputs[self.plan.output].ndim < 2:
            return Target(self.plan.output)
        return Target(self.plan.output, tuple(self.base.target[s][0] for s in filled(samples, self.fixed)))

    def _joined(self, parts: Mapping[str, Array]) -> Array:
        rows = [np.reshape(parts[name], (len(parts[name]), -1)) for name in self.plan.floats]
        return np.concatenate(rows, axis=1).astype(np.float64)

    def _tell(self, points: int) -> None:
        self._done += points
        if self._progress is not None and self._expected:
            self._progress(min(self._done, self._expected), self._expected)


def elements(base: Explanation, target: Target, logits: Array) -> Array:
    """The explained element of each sample; where all of an output is one sample's, of that one."""
    if base.batch_axis is None:
        return np.asarray(logits[seed_mask(target, logits[None])[0]]).reshape(-1)
    return np.asarray(logits[seed_mask(target, logits)])


def fixed_rows(plan: Plan, base: Explanation) -> int | None:
    """The batch that every chunk must have, if an input or the target states one."""
    # An output of one row, whatever the batch, is a sum over it: further points would be added to it.
    shapes = [plan.graph.value(name).shape for name in (*plan.graph.inputs, plan.target)]
    stated = any(shape and isinstance(shape[0], int) for shape in shapes)
    return len(base.target) if stated or base.batch_axis is None else None


def _rows(plan: Plan, batch: int | None) -> int:
    """Rows of a chunk: as the user says, or so many that their values fit in memory."""
    if batch is not None:
        if batch < 1:
            raise UsageError(f"batch is the number of points of one pass, at least 1, not {batch}")
        return batch
    values = [plan.graph.value(name) for name in needed(plan)]
    if any(v.shape is None or not all(isinstance(d, int) for d in v.shape[1:]) for v in values):
        return ROWS_OF_UNKNOWN_SIZE
    size = sum(math.prod(int(d or 1) for d in (v.shape or ())[1:]) * v.dtype.itemsize for v in values)
    return max(1, min(MOST_ROWS, MEMORY // max(size, 1)))
