"""What the constants of each kind take in a traced walk: one sum for each sample, which the graph adds up as it runs.

The books of the NumPy walk, `walk.ledger`, know every node; a compiled walk tells of all nodes together how much went
to biases, to norm shifts, to position embeddings ... So the same words say what a number is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
from onnxdtd.primitives.call import renamed
from onnxdtd.primitives.traced import PREFIX
from onnxdtd.walk.apart import axes_of_samples

CONSTANTS = f"{PREFIX}constants"
"""The output (N, kinds)."""
NUMBER = np.zeros((), np.float32)


class Amount(NamedTuple):
    """Of each sample a number: rows (N, C) times weights (C, 1), or without weights rows (N, 1) as they are."""

    rows: Any
    weights: Any = None

    @property
    def column(self) -> Any:
        """The numbers (N, 1)."""
        return self.rows if self.weights is None else matmul(self.rows, self.weights)


class Constants:
    """Listens to a walk that is traced. first, seed: the value where relevance starts, and the relevance there."""

    def __init__(self, plan: Plan, first: str, seed: Traced) -> None:
        axis = stated_axis(plan.graph, first)
        self._count: Any = 1 if axis is None else size(seed, axis)
        self._symbol = 1 if axis is None else seed.shape[axis]
        self._axes = axes_of_samples(plan, first, axis)
        self._told: list[tuple[str, Amount]] = []
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
                    part = cast_like(part, flow)
                    part = part if factor == 1 else part * np.asarray(factor, flow.dtype)
                    amount = self._by_channel(flow, part, axes) or Amount(self._by_sample(flow, part, axes))
                    self._told.append((called(cause, step.op.kind, step.constant), amount))

        return claim

    def inside(self, iteration: Callable[[], None]) -> list[Any]:
        """What one iteration of a loop tells, which its body hands out."""
        outside, self._told = self._told, []
        iteration()
        told, self._told = self._told, outside
        self._inner = [kind for kind, _ in told]
        return [amount.column for _, amount in told]

    def outside(self, rows: Sequence[Any]) -> None:
        """The same of all iterations, (iterations, N, 1) each."""
        sums = (Amount(reduce_sum(row, axes=(0,), keepdims=False)) for row in rows)
        self._told += zip(self._inner, sums, strict=True)

    def write(self, tracer: Tracer) -> onnx.ValueInfoProto:
        """Write the output, once the walk has been traced, and say of which type it is.

        onnxruntime computes of a node's inputs first the one whose producer comes last in the file. So each sum is
        added to those before it, at the end of the file: it is made while what it adds up is at hand, and not held
        until all of the walk is done.
        """
        totals: dict[str, Any] = {}
        for kind, (rows, weights) in self._told:
            before = totals.get(kind)
            if weights is not None:
                totals[kind] = tracer.emit("Gemm", rows, weights, before, shape=(self._symbol, 1))
            else:
                totals[kind] = tracer.tensor(rows if before is None else before + rows)
        columns = concat(*totals.values(), axis=1) if len(totals) > 1 else next(iter(totals.values()))
        tracer.nodes.append(renamed(columns.name, CONSTANTS))
        return helper.make_tensor_value_info(CONSTANTS, TensorProto.FLOAT, (self._symbol, len(totals)))

    def _by_channel(self, flow: Any, part: Any, axes: Sequence[int]) -> Amount | None:
        """Of a part at hand that is one number for each channel, where samples lie on axis 0: sums of the flow, which
        a product weighs and adds to others at once."""
        shape = (1,) * (flow.ndim - part.ndim) + tuple(part.shape)
        fits = (
            at_hand(part)
            and flow.ndim > 2
            and 0 in axes
            and self._each(flow, 0)
            and flow.dtype == NUMBER.dtype
        )
        if not fits or shape[1] != flow.shape[1] or any(n != 1 for n in (shape[0], *shape[2:])):
            return None
        return Amount(reduce_sum(flow, axes=tuple(range(2, flow.ndim)), keepdims=False), part.reshape(-1, 1))

    def _by_sample(self, flow: Any, part: Any, axes: Sequence[int]) -> Any:
        """The sum of flow * part of each sample (N, 1); part broadcasts to flow."""
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
        sums = sums if self._single or self._each(flow, own) else self._folded(sums, own)
        return unsqueeze(sums, axes=(1,))

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


def by_kind(kinds: Sequence[str], columns: Any, samples: int) -> dict[str, tuple[float, ...]]:
    """What those of each kind took of each sample, where they took anything. columns: the output; where its rows are
    not the samples, each has the same part."""
    rows = np.asarray(columns, np.float64)
    if len(rows) != samples:
        rows = np.broadcast_to(rows.sum(axis=0) / samples, (samples, len(kinds)))
    amounts = {kind: tuple(map(float, column)) for kind, column in zip(kinds, rows.T, strict=True)}
    return {kind: each for kind, each in amounts.items() if any(each)}
