"""Where audits start the walk: other classes than the explained one, random mixtures, single units."""

from __future__ import annotations

from functools import reduce

import numpy as np

from onnxdtd.audit.rerun import Rerun, below
from onnxdtd.plan.batch import rows, samples
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.reach import LAYERS
from onnxdtd.types import Array

CLASSES = 10
"""At most so many classes are compared with one another."""
WIDE = 8
"""A value with fewer elements has too few directions for random seeds to differ."""


def classes(rerun: Rerun) -> int:
    """The number of classes: of elements on the last axis of the explained value."""
    return rerun.logits.shape[-1] if rerun.logits.ndim > 1 else 1


def class_seed(rerun: Rerun, which: Array | int) -> Array:
    """One unit at class `which` (a number, or one per explained position) wherever something is explained."""
    there = rerun.mask.any(axis=-1, keepdims=True)
    chosen = np.arange(classes(rerun)) == np.expand_dims(np.asarray(which), -1)
    return np.asarray(there & chosen)


def runner_up(rerun: Rerun) -> Array:
    """The class with the largest logit but those explained, at each position."""
    return np.asarray(np.where(rerun.mask, -np.inf, rerun.logits).argmax(axis=-1))


def other_class(rerun: Rerun, rng: np.random.Generator) -> Array:
    """A random class at each position, but those explained and the runner-up."""
    free = ~rerun.mask & ~class_seed(rerun, runner_up(rerun))
    return np.asarray(np.where(free, rng.random(free.shape), -1.0).argmax(axis=-1))


def some_classes(rerun: Rerun) -> Array:
    """All classes, or so many that pairs stay few: the explained one, the runner-up, and random others."""
    count = classes(rerun)
    if count <= CLASSES:
        return np.arange(count)
    first = [int(np.argwhere(rerun.mask)[0][-1]), int(runner_up(rerun).ravel()[0])]
    drawn = np.random.default_rng(0).permutation(count)
    return np.array(list(dict.fromkeys([*first, *drawn.tolist()]))[:CLASSES])


def class_cosines(rerun: Rerun) -> dict[str, Array]:
    """(N, K, K) by layer: cosines among the relevances of `some_classes`, worked out once."""
    if "class_cosines" not in rerun.asked:
        chosen = [class_seed(rerun, int(c)) for c in some_classes(rerun)]
        rerun.asked["class_cosines"] = rerun.cosines(chosen)
    found: dict[str, Array] = rerun.asked["class_cosines"]
    return found


def mixtures(rerun: Rerun, plan: Plan, count: int, rng: np.random.Generator) -> list[Array]:
    """Random seeds R_j = c_j z_j with c_j normal: relevance is a share of the value it explains.

    A method that starts with the gradient is given c_j itself.
    """
    z = rerun.values[plan.target]
    scale = np.ones_like(z) if plan.seed == "one" else z
    return [rng.standard_normal(z.shape) * scale for _ in range(count)]


def units(rerun: Rerun, plan: Plan, count: int, rng: np.random.Generator) -> list[Array]:
    """Seeds of one unit each, at different random elements of each sample's value that are not zero."""
    value = rerun.values[plan.target]
    z = rows(value, samples(value))
    order = np.where(z != 0, rng.random(z.shape), -1.0).argsort(axis=1)[:, ::-1][:, :count]
    chosen = [np.arange(z.shape[1]) == order[:, k, None] for k in range(order.shape[1])]
    return [(seed & (z != 0)).reshape(value.shape) for seed in chosen]


def wide_start(rerun: Rerun) -> Plan | None:
    """The plan from the output, or, where that has few elements, from the nearest layer's input that has more.

    None where there is no such value but the model's own input.
    """
    plan = rerun.plan
    names = [plan.target]
    names += [s.node.inputs[s.slots[0]] for s in reversed(plan.steps) if s.op.family in LAYERS]
    for name in names:
        size = reduce(int.__mul__, rerun.values[name].shape[1:], 1)
        if name in plan.inputs:
            return None
        if size >= WIDE:
            return plan if name == plan.target else below(plan, name)
    return None
