"""A model as a sum, f(x) = c + sum_p s_p: every value is followed to the input elements that it depends on, and a
slope goes back along the sums."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.model.trees.forest import Forest
from onnxdtd.model.trees.read import forest_at
from onnxdtd.node_report import NodeReport, Samples
from onnxdtd.plan.batch import samples
from onnxdtd.plan.origins import MIXED, looks_up, origins, refuse_moved_samples
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import ask
from onnxdtd.plan.step import Step
from onnxdtd.types import Array, OnProgress
from onnxdtd.walk.run import reads

Shares = Callable[[Step, Forest, Array], Array]
"""Of a tree ensemble's features at x (N, features): (N, features, targets)."""


def as_a_sum(
    explainer: Explainer, x: Any, target: Any, progress: OnProgress, method: str, shares: Shares | None = None
) -> Explanation:
    """R_p = s_p. shares: what the features of a tree ensemble get of its scores; None for no trees. `constant`: c for
    each sample. Raises UnsupportedError naming the first node that mixes inputs otherwise."""
    base = explainer.one_pass(x, target, progress=progress)
    plan = explainer.plan(base.output)
    if looks_up([s.node for s in plan.steps], {s.node.name: s.op for s in plan.steps}):
        raise UnsupportedError(
            f"{method} follows numbers and categories; here integers of the input are looked up in a table of vectors"
        )
    values = explainer.forward(reads(plan))(base.inputs)
    refuse_moved_samples([s.node for s in plan.steps], plan.inputs, plan.target, values)
    way = [(s.node, s.op, s.slots) for s in plan.steps]
    sources = origins(plan.graph, way, plan.inputs, values, trees=shares is not None)
    question = explainer.loaded.question(target)
    seed = ask(question, plan.graph, plan.output, values, base.inputs).coefficients
    summands = _Summands(plan, values, sources, shares, explainer.loaded.derived(plan))
    total = summands(seed.astype(values[plan.target].dtype))
    relevance, start = dict[str, Array](), 0
    for name in plan.inputs:
        size, like = base.inputs[name][0].size, base.relevance[name]
        relevance[name] = total[:, start : start + size].reshape(like.shape).astype(like.dtype)
        start += size
    value = np.asarray(base.target_value, np.float64)
    return dataclasses.replace(
        base,
        method=method,
        reason="" if explainer.method == method else base.reason,
        relevance=relevance,
        seed=value,
        nodes=(_books(plan, method, value, relevance),),
        constants={},
        extras={"constant": (value - total.sum(axis=1)).tolist()},
    )


def _books(plan: Plan, method: str, value: Array, relevance: Mapping[str, Array]) -> NodeReport:
    """The whole model as one node, which hands all to the inputs but its constant."""
    parts = {name: r.reshape(len(r), -1).sum(axis=1, dtype=np.float64) for name, r in relevance.items()}
    arrived = np.sum([*parts.values()], axis=0)
    rest = value - arrived
    samples = Samples(tuple(value.tolist()), tuple(arrived.tolist()), {"bias": tuple(rest.tolist())})
    sums = (float(part.sum()) for part in (value, arrived, rest))
    started, left, bias = sums
    return NodeReport(
        plan.target, "Sum", "linear", method, started, left, {"bias": bias}, 0, samples,
        handed={name: float(part.sum()) for name, part in parts.items()}, outputs=(plan.target,),
    )  # fmt: skip


class _Summands:
    """(N, D) of what each of the D input elements puts in: value times slope where an element enters a sum, and the
    share of a feature where trees read it."""

    def __init__(
        self,
        plan: Plan,
        values: dict[str, Array],
        origins: Mapping[str, Array],
        shares: Shares | None,
        kept: Any,
    ) -> None:
        self.plan, self.values, self.origins, self.shares, self.kept = plan, values, origins, shares, kept

    def __call__(self, seed: Array) -> Array:
        plan, batch = self.plan, samples(seed)
        count = int(sum(self.values[name][0].size for name in plan.inputs))
        self.total = np.zeros((batch, count + 1))
        self._settle(plan.target, seed)
        slopes: dict[str, Array] = {plan.target: seed}
        for step in reversed(plan.steps):
            slope = slopes.pop(step.node.output)
            slope = slope * (self.origins[step.node.output] == MIXED)
            for slot, share in zip(step.slots, self._back(step, slope), strict=True):
                name = step.node.inputs[slot]
                self._settle(name, share)
                slopes[name] = slopes[name] + share if name in slopes else share
        return self.total[:, 1:]

    def _back(self, step: Step, slope: Array) -> list[Array]:
        """The slopes at what the step reads; 0 in front of trees, whose features are settled here."""
        plan = self.plan
        if step.op.family == "tree" and self.shares is not None:
            name = step.node.inputs[0]
            forest = forest_at(step.node, plan.graph, self.kept)
            parts = self.shares(step, forest, self.values[name])
            self._add(name, np.einsum("nft,nt->nf", parts, slope.astype(np.float64)))
            return [np.zeros_like(self.values[name])]
        site: Site = step.build(Point(step.node, plan.graph, step.slots, self.values, self.kept))
        return [linear.adjoint(linear.weights, slope) for linear in site.maps]

    def _settle(self, name: str, slope: Array) -> None:
        if self.values[name].dtype.kind not in "f":  # settled where it becomes a float
            return
        # A missing value's slope is 0 here: its summand is that of what the model puts in its place.
        amount = np.where(slope == 0, 0.0, slope * self.values[name].astype(np.float64))
        self._add(name, amount)

    def _add(self, name: str, amount: Array) -> None:
        batch, width = self.total.shape
        origin = np.maximum(self.origins[name], 0).astype(np.int64).reshape(batch, -1)
        amount = amount.reshape(batch, -1)
        for n in range(batch):
            self.total[n] += np.bincount(origin[n], amount[n], width)
