"""What the constants of each kind take in a traced walk: one sum for each sample, which the graph adds up as it runs.

The books of the NumPy walk, `walk.ledger`, know every node; a compiled walk tells of all nodes together how much went
to biases, to norm shifts, to position embeddings ... So the same words say what a number is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxdtd.linear import Claim
from onnxdtd.node_report import CLAIMS, called
from onnxdtd.plan.batch import stated_axis
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.primitives import (
    Traced,
    Tracer,
    at_hand,
    cast_like,
    concat,
    count_up,
    divided,
    equal,
    filled,
    hits,
    larger,
    matmul,
    number,
    reduce_sum,
    reshape,
    size,
    unsqueeze,
    where,
)
from onnxdtd.primitives.traced import PREFIX
from onnxdtd.walk.apart import axes_of_samples

CONSTANTS = f"{PREFIX}constants"
"""The output (N, kinds)."""
NUMBER = np.zeros((), np.float32)


class Constants:
    """Listens to a walk that is traced. first, seed: the value where relevance starts, and the relevance there."""

    def __init__(self, plan: Plan, first: str, seed: Traced) -> None:
        axis = stated_axis(plan.graph, first)
        self._count: Any = 1 if axis is None else size(seed, axis)
        self._symbol = 1 if axis is None else seed.shape[axis]
        self._axes = axes_of_samples(plan, first, axis)
        self._told: list[tuple[str, Any]] = []
        self._inner: list[str] = []

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the constants are called, in the order of the columns."""
        return tuple(dict.fromkeys(kind for kind, _ in self._told))

    def listen(self, step: Step, output: str) -> Claim:
        """Who is told of one node's losses of what arrived at one of its outputs."""
        axes = self._axes.get(output, (0,))

        def claim(cause: str, flow: Any, share: Callable[[], Any], factor: float) -> None:
            if cause in CLAIMS:
                part = share()
                if not at_hand(part) or np.any(part):
                    amount = self._by_sample(flow, cast_like(part, flow), axes)
                    amount = amount if factor == 1 else amount * np.asarray(factor, NUMBER.dtype)
                    self._told.append((called(cause, step.op.kind, step.constant), amount))

        return claim

    def inside(self, iteration: Callable[[], None]) -> list[Any]:
        """What one iteration of a loop tells, which its body hands out."""
        outside, self._told = self._told, []
        iteration()
        (self._inner, amounts), self._told = _parted(self._told), outside
        return amounts

    def outside(self, rows: Sequence[Any]) -> None:
        """The same of all iterations, (iterations, N) each."""
        self._told += zip(
            self._inner, (reduce_sum(row, axes=(0,), keepdims=False) for row in rows), strict=True
        )

    def write(self, tracer: Tracer) -> onnx.ValueInfoProto:
        """Write the output, once the walk has been traced, and say of which type it is.

        onnxruntime computes of a node's inputs first the one whose producer comes last in the file. So each sum joins
        those before it, at the end of the file: it is made while what it adds up is at hand, and not held until all
        of the walk is done.
        """
        upright = [tracer.tensor(unsqueeze(amount, axes=(1,))) for _, amount in self._told]
        joined = upright[0]
        for i, column in enumerate(upright[1:], 2):
            joined = tracer.emit("Concat", joined, column, axis=1, shape=(self._symbol, i))
        names = [name for name, _ in self._told]
        places = (np.array([i for i, name in enumerate(names) if name == kind]) for kind in self.kinds)
        sums = [reduce_sum(tracer.emit("Gather", joined, some, axis=1), axes=(1,)) for some in places]
        columns = concat(*sums, axis=1)
        tracer.nodes.append(helper.make_node("Identity", [columns.name], [CONSTANTS], CONSTANTS))
        return helper.make_tensor_value_info(CONSTANTS, TensorProto.FLOAT, (self._symbol, len(sums)))

    def _by_sample(self, flow: Any, part: Any, axes: Sequence[int]) -> Any:
        """The sum of flow * part of each sample (N,); part broadcasts to flow."""
        own = None if self._single else next((axis for axis in axes if axis < flow.ndim), None)
        shape = (1,) * (flow.ndim - part.ndim) + tuple(part.shape)
        others = tuple(axis for axis in range(flow.ndim) if axis != own)
        alike = tuple(axis for axis in others if shape[axis] == 1)
        if len(alike) < len(others) and all(n == 1 for n in shape[:-1]) and own != flow.ndim - 1:
            # A vector of features: onnxruntime is slow at sums along an axis in the middle.
            whole = matmul(flow, reshape(part, shape=[-1, 1]))
        else:  # where a part is the same along an axis, one product does for all of it
            whole = (reduce_sum(flow, axes=alike) if alike else flow) * part
        sums = reduce_sum(whole, axes=others, keepdims=False) if others else whole
        sums = cast_like(sums, NUMBER) if own is not None else reshape(cast_like(sums, NUMBER), shape=[1])
        return sums if self._single or self._each(flow, own) else self._folded(sums, own)

    @property
    def _single(self) -> bool:
        return isinstance(self._count, int) and self._count == 1

    def _each(self, flow: Any, axis: int | None) -> bool:
        """Whether an axis holds the samples, one by one."""
        return axis is not None and flow.shape[axis] == self._symbol

    def _folded(self, sums: Any, axis: int | None) -> Any:
        """Sums along an axis that holds a multiple of the batch, as one for each sample; of any other each has the
        same part."""
        count = self._count
        if axis is None:
            return sums * filled(np.ones((), NUMBER.dtype), [count]) / number(count, NUMBER)
        length = size(sums, 0)
        each = larger(divided(length, count), 1)
        members = hits(count_up(count), divided(count_up(length), each), NUMBER)
        folded = reshape(matmul(members, unsqueeze(sums, axes=(1,))), shape=[-1])
        even = reduce_sum(sums, axes=(0,)) / number(count, NUMBER)
        return where(equal(each * count, length), folded, even)


def _parted(told: Sequence[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    return [kind for kind, _ in told], [amount for _, amount in told]


def by_kind(kinds: Sequence[str], columns: Any, samples: int) -> dict[str, tuple[float, ...]]:
    """What those of each kind took of each sample, where they took anything. columns: the output; where its rows are
    not the samples, each has the same part."""
    rows = np.asarray(columns, np.float64)
    if len(rows) != samples:
        rows = np.broadcast_to(rows.sum(axis=0) / samples, (samples, len(kinds)))
    amounts = {kind: tuple(map(float, column)) for kind, column in zip(kinds, rows.T, strict=True)}
    return {kind: each for kind, each in amounts.items() if any(each)}
