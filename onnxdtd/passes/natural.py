"""Natural decomposition of a model that is a sum of functions of single inputs: f(x) = c + sum_p s_p(x_p)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.plan.batch import samples
from onnxdtd.plan.origins import MIXED, looks_up, origins, refuse_moved_samples
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import ask
from onnxdtd.registry import many_passes
from onnxdtd.types import Array, OnProgress
from onnxdtd.walk.run import reads


@many_passes("natural", base="attnlrp", adds_up=True)
def natural(explainer: Explainer, x: Any, target: Any = None, *, progress: OnProgress = None) -> Explanation:
    """R_p = s_p(x_p) where the graph shows f(x) = c + sum_p s_p(x_p), as it writes the summands; else refused.

    Every value is followed to the input elements that it depends on. As long as it depends on one, any activation
    may act on it; from where inputs are summed, only linear ops may follow. `constant`: c for each sample, such as
    biases behind the sum. Raises UnsupportedError naming the first node that mixes inputs nonlinearly. Source:
    Montavon et al. 2017, section 2.
    """
    base = explainer.one_pass(x, target, progress=progress)
    plan = explainer.plan(base.output)
    if looks_up([s.node for s in plan.steps], {s.node.name: s.op for s in plan.steps}):
        raise UnsupportedError(
            "natural follows numbers and categories; here integers of the input are looked up in a table of vectors"
        )
    values = explainer.forward(reads(plan))(base.inputs)
    refuse_moved_samples([s.node for s in plan.steps], plan.inputs, plan.target, values)
    sites = {s.node.name: s.build(Point(s.node, plan.graph, s.slots, values)) for s in plan.steps}
    sources = origins(plan.graph, [(s.node, s.op, s.slots) for s in plan.steps], plan.inputs, values)
    logits = values[plan.target]
    question = explainer.loaded.question(target)
    seed = ask(question, plan.graph, plan.output, values, base.inputs).coefficients.astype(logits.dtype)
    summands = _summands(plan, sites, sources, seed, values)
    relevance, start = {}, 0
    for name in plan.inputs:
        like = base.inputs[name]
        size = like[0].size
        kind = base.relevance[name].dtype
        relevance[name] = summands[:, start : start + size].reshape(like.shape).astype(kind)
        start += size
    value = np.asarray(base.target_value, np.float64)
    return dataclasses.replace(
        base,
        method="natural",
        relevance=relevance,
        seed=value,
        nodes=(),
        extras={"constant": (value - summands.sum(axis=1)).tolist()},
    )


def _summands(
    plan: Plan, sites: dict[str, Site], origins: dict[str, Array], seed: Array, values: dict[str, Array]
) -> Array:
    """(N, D): value times slope of f, of every element at which its input enters the sum."""
    batch, count = samples(seed), int(sum(values[name][0].size for name in plan.inputs))
    summands = np.zeros((batch, count + 1))

    def settle(name: str, slope: Array) -> None:
        if (
            values[name].dtype.kind not in "f"
        ):  # what depends on one element is settled where it becomes a float
            return
        origin = np.maximum(origins[name], 0).astype(np.int64).reshape(batch, -1)
        # A missing value's slope is 0 here: its summand is that of what the model puts in its place.
        amount = np.where(slope == 0, 0.0, slope * values[name].astype(np.float64)).reshape(batch, -1)
        for n in range(batch):
            summands[n] += np.bincount(origin[n], amount[n], count + 1)

    settle(plan.target, seed)
    slopes: dict[str, Array] = {plan.target: seed}
    for step in reversed(plan.steps):
        slope = slopes.pop(step.node.output)
        slope = slope * (origins[step.node.output] == MIXED)
        for slot, linear in zip(step.slots, sites[step.node.name].maps, strict=True):
            name = step.node.inputs[slot]
            share = linear.adjoint(linear.weights, slope)
            settle(name, share)
            slopes[name] = slopes[name] + share if name in slopes else share
    return summands[:, 1:]
