"""Where audits start the walk: other classes than the explained one, random mixtures, single units."""

from __future__ import annotations

from functools import reduce

import numpy as np

from onnxdtd.audit.rerun import Rerun, below
from onnxdtd.model.point import Point
from onnxdtd.plan.batch import rows, samples
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.reach import LAYERS
from onnxdtd.types import Array

CLASSES = 10
"""At most so many classes are compared with one another."""
SAME = 1e-4
"""Of the largest logit: what float32 leaves between opposite numbers."""
TINY = 1e-30
WIDE = 8
"""A value with fewer elements has too few directions for random seeds to differ."""


def classes(rerun: Rerun) -> int:
    """The number of classes: of elements along the class axis of the explained value."""
    return 1 if rerun.class_axis is None else rerun.logits.shape[rerun.class_axis] - rerun.first_class


def class_seed(rerun: Rerun, which: Array | int) -> Array:
    """One unit at class `which` (an index on the class axis, or one per explained position) wherever something is
    explained."""
    axis = _axis(rerun)
    there = rerun.mask.any(axis=axis, keepdims=True)
    number = np.arange(rerun.logits.shape[axis])
    along = number.reshape([-1 if a == axis % there.ndim else 1 for a in range(there.ndim)])
    return np.asarray(there & (along == np.expand_dims(np.asarray(which), axis if np.ndim(which) else 0)))


def runner_up(rerun: Rerun) -> Array:
    """The class with the largest logit but those explained, at each position."""
    return np.asarray(np.where(_free(rerun), rerun.logits, -np.inf).argmax(axis=_axis(rerun)))


def lowest(rerun: Rerun, count: int) -> list[Array]:
    """So many classes with the smallest logits at each position, the smallest first."""
    axis = _axis(rerun)
    ranked = np.moveaxis(
        np.moveaxis(rerun.logits, axis, -1)[..., rerun.first_class :].argsort(axis=-1), -1, 0
    )
    return [rerun.first_class + which for which in ranked[:count]]


def other_class(rerun: Rerun, rng: np.random.Generator) -> Array:
    """A random class at each position, but those explained and the runner-up."""
    free = _free(rerun) & ~class_seed(rerun, runner_up(rerun))
    return np.asarray(np.where(free, rng.random(free.shape), -1.0).argmax(axis=_axis(rerun)))


def far_class(rerun: Rerun) -> tuple[Array, str]:
    """The class at each position that is least like those explained, and by what it was chosen: the cosine of their
    weights in the last layer, or, where no single layer makes the explained value, the least logit."""
    alike = _weights_alike(rerun)
    chosen = "last layer" if alike is not None else "logit"
    alike = rerun.logits if alike is None else alike
    return np.asarray(np.where(_free(rerun), alike, np.inf).argmin(axis=_axis(rerun))), chosen


def rival(rerun: Rerun) -> tuple[Array, str]:
    """The class to compare with at each position, and by what it was chosen: `asked`, or as `far_class` says."""
    if rerun.rival is None:
        return far_class(rerun)
    shape = rerun.mask.any(axis=_axis(rerun)).shape
    return np.full(shape, rerun.first_class + rerun.rival), "asked"


def one_margin(rerun: Rerun) -> bool:
    """Whether there are two classes whose logits are opposite: what speaks for one speaks against the other."""
    if classes(rerun) != 2:
        return False
    z = rerun.logits.take([rerun.first_class, rerun.first_class + 1], axis=_axis(rerun)).astype(np.float64)
    return bool(np.abs(z.sum(axis=_axis(rerun))).max() <= SAME * np.abs(z).max())


def some_classes(rerun: Rerun) -> Array:
    """All classes, or so many that pairs stay few: the explained one, the runner-up, and random others."""
    count, first = classes(rerun), rerun.first_class
    if count <= CLASSES:
        return first + np.arange(count)
    explained = int(np.argwhere(rerun.mask)[0][_axis(rerun)])
    drawn = first + np.random.default_rng(0).permutation(count)
    return np.array(
        list(dict.fromkeys([explained, int(runner_up(rerun).ravel()[0]), *drawn.tolist()]))[:CLASSES]
    )


def _axis(rerun: Rerun) -> int:
    return -1 if rerun.class_axis is None else rerun.class_axis


def _free(rerun: Rerun) -> Array:
    """The classes that are not explained."""
    axis = _axis(rerun)
    free = ~rerun.mask
    np.moveaxis(free, axis, -1)[..., : rerun.first_class] = False
    return free


def _weights_alike(rerun: Rerun) -> Array | None:
    """w_k . w_c / |w_k| for each class k, shaped like the explained value: for c the last layer's adjoint gives w_c,
    and the layer itself all products with it. None where that layer's output is not the explained value."""
    if not rerun.layers:
        return None
    step = rerun.layers[0]
    site = step.build(Point(step.node, rerun.plan.graph, step.slots, rerun.values))
    linear, z = site.maps[0], site.output
    weights = linear.weights
    if weights is None or [n for n in z.shape if n > 1] != [n for n in rerun.mask.shape if n > 1]:
        return None
    products = linear.apply(weights, linear.adjoint(weights, rerun.mask.reshape(z.shape).astype(z.dtype)))
    lengths = np.sqrt(linear.apply(weights * weights, np.ones_like(site.inputs[0])))
    return np.asarray(products / np.maximum(lengths, TINY)).reshape(rerun.mask.shape)


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
