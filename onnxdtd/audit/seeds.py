"""Where audits start the walk: other classes than the explained one, random mixtures, single units."""

from __future__ import annotations

from functools import reduce

import numpy as np

from onnxdtd.audit.probe import Probe
from onnxdtd.audit.steps import below
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


def classes(probe: Probe) -> int:
    """The number of classes: of elements along the class axis of the explained value."""
    return 1 if probe.class_axis is None else probe.logits.shape[probe.class_axis] - probe.first_class


def class_seed(probe: Probe, which: Array | int) -> Array:
    """One unit at class `which` (an index on the class axis, or one per explained position) wherever something is
    explained."""
    axis = _axis(probe)
    there = probe.mask.any(axis=axis, keepdims=True)
    number = np.arange(probe.logits.shape[axis])
    along = number.reshape([-1 if a == axis % there.ndim else 1 for a in range(there.ndim)])
    return np.asarray(there & (along == np.expand_dims(np.asarray(which), axis if np.ndim(which) else 0)))


def runner_up(probe: Probe) -> Array:
    """The class with the largest logit but those explained, at each position."""
    return np.asarray(np.where(_free(probe), probe.logits, -np.inf).argmax(axis=_axis(probe)))


def lowest(probe: Probe, count: int) -> list[Array]:
    """So many classes with the smallest logits at each position, the smallest first."""
    axis = _axis(probe)
    ranked = np.moveaxis(
        np.moveaxis(probe.logits, axis, -1)[..., probe.first_class :].argsort(axis=-1), -1, 0
    )
    return [probe.first_class + which for which in ranked[:count]]


def other_class(probe: Probe, rng: np.random.Generator) -> Array:
    """A random class at each position, but those explained and the runner-up."""
    free = _free(probe) & ~class_seed(probe, runner_up(probe))
    return np.asarray(np.where(free, rng.random(free.shape), -1.0).argmax(axis=_axis(probe)))


def far_class(probe: Probe) -> tuple[Array, str]:
    """The class at each position that is least like those explained, and by what it was chosen: the cosine of their
    weights in the last layer, or, where no single layer makes the explained value, the least logit."""
    alike = _weights_alike(probe)
    chosen = "last layer" if alike is not None else "logit"
    alike = probe.logits if alike is None else alike
    return np.asarray(np.where(_free(probe), alike, np.inf).argmin(axis=_axis(probe))), chosen


def rival(probe: Probe) -> tuple[Array, str]:
    """The class to compare with at each position, and by what it was chosen: `asked`, or as `far_class` says."""
    if probe.rival is None:
        return far_class(probe)
    shape = probe.mask.any(axis=_axis(probe)).shape
    return np.full(shape, probe.first_class + probe.rival), "asked"


def one_margin(probe: Probe) -> bool:
    """Whether there are two classes whose logits are opposite: what speaks for one speaks against the other."""
    if classes(probe) != 2:
        return False
    z = probe.logits.take([probe.first_class, probe.first_class + 1], axis=_axis(probe)).astype(np.float64)
    return bool(np.abs(z.sum(axis=_axis(probe))).max() <= SAME * np.abs(z).max())


def some_classes(probe: Probe) -> Array:
    """All classes, or so many that pairs stay few: the explained one, the runner-up, and random others."""
    count, first = classes(probe), probe.first_class
    if count <= CLASSES:
        return first + np.arange(count)
    explained = int(np.argwhere(probe.mask)[0][_axis(probe)])
    drawn = first + np.random.default_rng(0).permutation(count)
    return np.array(
        list(dict.fromkeys([explained, int(runner_up(probe).ravel()[0]), *drawn.tolist()]))[:CLASSES]
    )


def _axis(probe: Probe) -> int:
    return -1 if probe.class_axis is None else probe.class_axis


def _free(probe: Probe) -> Array:
    """The classes that are not explained."""
    axis = _axis(probe)
    free = ~probe.mask
    np.moveaxis(free, axis, -1)[..., : probe.first_class] = False
    return free


def _weights_alike(probe: Probe) -> Array | None:
    """w_k . w_c / |w_k| for each class k, shaped like the explained value: for c the last layer's adjoint gives w_c,
    and the layer itself all products with it. None where that layer's output is not the explained value."""
    if not probe.layers:
        return None
    step = probe.layers[0]
    site = step.build(Point(step.node, probe.plan.graph, step.slots, probe.values))
    linear, z = site.maps[0], site.output
    weights = linear.weights
    if weights is None or [n for n in z.shape if n > 1] != [n for n in probe.mask.shape if n > 1]:
        return None
    products = linear.apply(weights, linear.adjoint(weights, probe.mask.reshape(z.shape).astype(z.dtype)))
    lengths = np.sqrt(linear.apply(weights * weights, np.ones_like(site.inputs[0])))
    return np.asarray(products / np.maximum(lengths, TINY)).reshape(probe.mask.shape)


def class_cosines(probe: Probe) -> dict[str, Array]:
    """(N, K, K) by layer: cosines among the relevances of `some_classes`, worked out once."""
    if "class_cosines" not in probe.asked:
        chosen = [class_seed(probe, int(c)) for c in some_classes(probe)]
        probe.asked["class_cosines"] = probe.cosines(chosen)
    cosines: dict[str, Array] = probe.asked["class_cosines"]
    return cosines


def mixtures(probe: Probe, plan: Plan, count: int, rng: np.random.Generator) -> list[Array]:
    """Random seeds R_j = c_j z_j with c_j normal: relevance is a share of the value it explains.

    A method that starts with the gradient is given c_j itself.
    """
    z = probe.values[plan.target]
    scale = np.ones_like(z) if plan.seed == "one" else z
    return [rng.standard_normal(z.shape) * scale for _ in range(count)]


def units(probe: Probe, plan: Plan, count: int, rng: np.random.Generator) -> list[Array]:
    """Seeds of one unit each, at different random elements of each sample's value that are not zero."""
    value = probe.values[plan.target]
    z = rows(value, samples(value))
    order = np.where(z != 0, rng.random(z.shape), -1.0).argsort(axis=1)[:, ::-1][:, :count]
    chosen = [np.arange(z.shape[1]) == order[:, k, None] for k in range(order.shape[1])]
    return [(seed & (z != 0)).reshape(value.shape) for seed in chosen]


def not_inside(plan: Plan) -> str:
    """That cells and loops are passed through as a whole, where there are some: a sentence to add, or nothing."""
    closed = [step.node for step in plan.steps if step.op.kind == "recurrent" or step.node.body is not None]
    return f" It does not apply inside of '{closed[0].name}', a cell or a loop." if closed else ""


def wide_start(probe: Probe) -> Plan | None:
    """The plan from the output, or, where that has few elements, from the nearest layer's input that has more.

    None where there is no such value but the model's own input.
    """
    plan = probe.plan
    names = [plan.target]
    names += [s.node.inputs[s.slots[0]] for s in reversed(plan.steps) if s.op.family in LAYERS]
    for name in names:
        size = reduce(int.__mul__, probe.values[name].shape[1:], 1)
        if name in plan.inputs:
            return None
        if size >= WIDE:
            return plan if name == plan.target else below(plan, name)
    return None
