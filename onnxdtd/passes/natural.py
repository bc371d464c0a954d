"""Natural decomposition of a model that is a sum of functions of single inputs: f(x) = c + sum_p s_p(x_p)."""

from __future__ import annotations

import dataclasses
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer, Tell
from onnxdtd.explanation import Explanation
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.plan.batch import samples
from onnxdtd.plan.faults import describe
from onnxdtd.plan.plan import Plan, Step
from onnxdtd.registry import many_passes
from onnxdtd.runs.masks import mask_of
from onnxdtd.walk.run import reads

Array = npt.NDArray[Any]

MIXED = (
    -1
)  # the origin of a value that depends on several inputs; 0: on none; p + 1: on input element p alone

NOT_A_SUM = "so the model is not a sum of functions of single inputs; take another method, such as dtd"


@many_passes("natural", adds_up=True)
def natural(explainer: Explainer, x: Any, target: Any = None, *, progress: Tell = None) -> Explanation:
    """R_p = s_p(x_p) where the graph shows f(x) = c + sum_p s_p(x_p), as it writes the summands; else refused.

    Every value is followed to the input elements that it depends on. As long as it depends on one, any activation
    may act on it; from where inputs are summed, only linear ops may follow. `constant`: c for each sample, such as
    biases behind the sum. Raises UnsupportedError naming the first node that mixes inputs nonlinearly. Source:
    Montavon et al. 2017, section 2.
    """
    base = explainer.one_pass(x, target, progress=progress)
    plan = explainer.plan(base.output)
    if plan.floats != plan.inputs:
        raise UnsupportedError(
            "natural follows floats only, and integers of the input are turned into some here"
        )
    values = explainer.forward(reads(plan))(base.inputs)
    sites = {s.node.name: s.build(Point(s.node, plan.graph, s.slots, values)) for s in plan.steps}
    sources = _origins(plan, sites, values)
    logits = values[plan.target]
    seed = mask_of(base.target, logits.shape, base.batch_axis).astype(logits.dtype)
    summands = _summands(plan, sites, sources, seed, values)
    relevance, start = {}, 0
    for name in plan.inputs:
        like = base.inputs[name]
        size = like[0].size
        relevance[name] = summands[:, start : start + size].reshape(like.shape).astype(like.dtype)
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


def _origins(plan: Plan, sites: dict[str, Site], values: dict[str, Array]) -> dict[str, Array]:
    """For each value on the way, the origin of every element."""
    origins: dict[str, Array] = {}
    count = 0
    for name in plan.inputs:
        shape = values[name].shape
        size = values[name][0].size
        numbers = np.arange(count + 1, count + size + 1, dtype=np.float64).reshape(1, *shape[1:])
        origins[name] = np.broadcast_to(numbers, shape)
        count += size
    fed = _fed(plan)
    for step in plan.steps:
        before = [origins[step.node.inputs[slot]] for slot in step.slots]
        beside = [v for i, v in enumerate(step.node.inputs) if i not in step.slots and v in fed]
        if beside:
            raise UnsupportedError(
                f"{describe(plan.graph, step.node)}: its operand '{beside[0]}' depends on the input too, {NOT_A_SUM}"
            )
        origins[step.node.output] = _through(plan, step, sites[step.node.name], before, count)
    return origins


def _through(plan: Plan, step: Step, site: Site, before: list[Array], count: int) -> Array:
    if step.op.kind == "route":
        return np.asarray(sum(m.apply(None, o) for m, o in zip(site.maps, before, strict=True)))
    if step.op.kind == "linear":
        return _sums(site, before, count)
    where = describe(plan.graph, step.node)
    if step.op.kind != "elementwise":
        raise UnsupportedError(f"{where}: a {step.op.kind} of several values is not a sum, {NOT_A_SUM}")
    if (before[0] == MIXED).any():
        raise UnsupportedError(f"{where}: acts nonlinearly on a combination of inputs, {NOT_A_SUM}")
    return before[0]


def _sums(site: Site, before: list[Array], count: int) -> Array:
    """The origins of weighted sums: that of all terms with a weight other than 0 if it is the same, else MIXED.

    Compared bit by bit: all terms have a bit of their number set, or none has.
    """

    def reached(marks: list[Array]) -> Array:
        like = site.output.dtype
        connected = (
            None if m.weights is None else (np.asarray(m.weights) != 0).astype(like) for m in site.maps
        )
        parts = (m.apply(w, o.astype(like)) for m, w, o in zip(site.maps, connected, marks, strict=True))
        return np.broadcast_to(np.asarray(sum(parts)), site.output.shape)

    known = [o > 0 for o in before]
    terms = reached(known)
    mixed = reached([o == MIXED for o in before]) > 0
    origin = np.zeros(site.output.shape)
    for bit in range(count.bit_length()):
        having = reached(
            [
                k & ((np.maximum(o, 0).astype(np.int64) >> bit) & 1 == 1)
                for k, o in zip(known, before, strict=True)
            ]
        )
        mixed |= (having > 0) & (having < terms)
        origin += 2.0**bit * (having > 0)
    return np.where(mixed, MIXED, origin)


def _summands(
    plan: Plan, sites: dict[str, Site], origins: dict[str, Array], seed: Array, values: dict[str, Array]
) -> Array:
    """(N, D): value times slope of f, of every element at which its input enters the sum."""
    batch, count = samples(seed), int(sum(values[name][0].size for name in plan.inputs))
    found = np.zeros((batch, count + 1))

    def settle(name: str, slope: Array) -> None:
        origin = np.maximum(origins[name], 0).astype(np.int64).reshape(batch, -1)
        amount = np.asarray(slope * values[name], np.float64).reshape(batch, -1)
        for n in range(batch):
            found[n] += np.bincount(origin[n], amount[n], count + 1)

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
    return found[:, 1:]


def _fed(plan: Plan) -> set[str]:
    """The floating-point values that depend on the explained inputs in any way."""
    graph = plan.graph
    starts = [f"input:{name}" for name in plan.inputs]
    names = {node for start in starts for node in nx.descendants(graph.network, start)}
    made = {v for node in graph.nodes if node.name in names for v in node.outputs}
    return {v for v in made if graph.value(v).is_float} | set(plan.inputs)
