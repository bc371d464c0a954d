"""Roots as objects: for a layer and its rule, the point at which each neuron's Taylor expansion is made.

    root of neuron j = x - t v_j,    t = z_j / (w_j . v_j),    z_j = w_j . x + b_j

with the search direction v_j of the layer's rule (`directions`). On the hyperplane z_j = 0 always; in the domain of
x, and in the linear region of the network around x, only sometimes: that is what is told here. Source: Montavon et
al. 2017, section 4; Sixt and Landgraf 2022, section 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.plan.step import Step, everywhere
from onnxdtd.rules.terms import TermRule
from onnxdtd.settings import checked_seed
from onnxdtd.theory.directions import connected, directions, unit_vectors, weights
from onnxdtd.theory.line import Scope
from onnxdtd.theory.regions import regions
from onnxdtd.theory.root import Neuron, Patch, Root, Roots
from onnxdtd.theory.scene import BATCH_BYTES, Scene
from onnxdtd.types import Array

# What all roots of one call may take.
LARGEST = 1 << 30
# Part of the largest value by which a root may pass the end of its domain: rounding.
SLACK = 1e-9
# Nodes that an error message names.
SHOWN = 8


def roots(
    explainer: Explainer,
    x: Any,
    node: str,
    target: Any = None,
    neurons: int | Sequence[int | Neuron] | None = None,
    *,
    sample: int = 0,
    seed: int = 0,
    scope: Scope | None = "network",
) -> Roots:
    """The roots of a node's neurons under the rule that the explainer's method gives the node.

    x, target: as for the explainer; sample: which sample of x. neurons: None for all that have relevance, a number
    to draw of these (`seed`), or their indices in the node's output behind the batch axis. scope: what the linear
    region is of, the whole `network` from the node on or the `layer` alone; None to leave the regions out. All in
    float64, from the activations on. Raises UsageError for a node whose rule has no root.
    """
    return find_roots(Scene.of(explainer, x, target, sample), node, neurons, seed=seed, scope=scope)


def find_roots(
    scene: Scene,
    node: str,
    neurons: int | Sequence[int | Neuron] | None = None,
    *,
    seed: int = 0,
    scope: Scope | None = "network",
) -> Roots:
    """`roots`, for many nodes of one scene."""
    step, rule = _sharing(scene, node)
    values = tuple(step.node.inputs[slot] for slot in step.slots)
    if len(set(values)) < len(values):
        raise UnsupportedError(f"{step.node} reads one value twice: roots of its inputs are not points of it")
    shapes = [scene.shape(value) for value in (*values, step.node.output)]
    arriving = scene.relevance[node][0]
    active = [tuple(map(int, index)) for index in np.argwhere(arriving != 0)]
    chosen = _chosen(neurons, active, arriving.shape, checked_seed(seed))
    finder = _Finder(scene, step, rule)
    size = sum(int(np.prod(shape)) for shape in shapes)
    batch = max(1, BATCH_BYTES // (8 * 6 * size))
    roots: list[Root] = []
    without: list[tuple[Neuron, str]] = []
    for i in range(0, len(chosen), batch):
        for neuron, root in zip(chosen[i : i + batch], finder(chosen[i : i + batch]), strict=True):
            if isinstance(root, str):
                without.append((neuron, root))
            else:
                roots.append(root)
        _check_size(roots, len(chosen), node)
    if scope is not None:
        verdicts = regions(scene, values, node, len(roots), finder.steps_to(roots), scope=scope)
        roots = [dataclasses.replace(root, region=v) for root, v in zip(roots, verdicts, strict=True)]
    domains = tuple(str(scene.plan.domains[value]) for value in values)
    return Roots(node, step.node.op, str(rule), values, domains, len(active), tuple(roots), tuple(without))


class _Finder:
    """The roots of one node's neurons, a batch of neurons at a time."""

    def __init__(self, scene: Scene, step: Step, rule: TermRule) -> None:
        self.scene, self.step, self.rule = scene, step, rule
        site = scene.site(step)
        self.inputs = site.inputs
        z = sum(m.apply(m.weights, x) for m, x in zip(site.maps, site.inputs, strict=True))
        self.bias = np.broadcast_to(0.0 if site.bias is None else site.bias, z.shape)[0]
        self.z = z[0] + self.bias
        self.bounds = [self._bounds(slot) for slot in range(len(site.inputs))]

    def __call__(self, neurons: Sequence[Neuron]) -> list[Root | str]:
        """A root, or why there is none, for each neuron."""
        site = self.scene.site(self.step, len(neurons))
        e = unit_vectors(neurons, self.z.shape)
        w, reads = weights(site, e), connected(site, e)
        z = np.array([self.z[neuron] for neuron in neurons])
        v = directions(self.rule, site, e, w, z)
        return [
            self._root(neuron, *([part[k] for part in parts] for parts in (w, reads, v)))
            for k, neuron in enumerate(neurons)
        ]

    def _root(self, neuron: Neuron, w: list[Array], reads: list[Array], v: list[Array]) -> Root | str:
        at = tuple(_box(read) for read in reads)
        w, v = ([part[box].copy() for part, box in zip(parts, at, strict=True)] for parts in (w, v))
        x = [whole[0][box].copy() for whole, box in zip(self.inputs, at, strict=True)]
        if not all(np.isfinite(part).all() for part in v):
            return "the rule gives a share to an input of weight zero"
        rate = _dot(w, v)
        z, bias = float(self.z[neuron]), float(self.bias[neuron])
        if rate == 0:
            return "no contribution that the rule shares by: its direction is zero"
        t = z / rate
        point = [a - t * b for a, b in zip(x, v, strict=True)]
        inside = [
            _within(p, a, [np.broadcast_to(end, whole.shape[1:])[box] for end in ends])
            for p, a, whole, box, ends in zip(point, x, self.inputs, at, self.bounds, strict=True)
        ]
        return Root(
            neuron=neuron,
            relevance=float(self.scene.relevance[self.step.node.name][0][neuron]),
            z=z,
            bias=bias,
            t=t,
            at=at,
            x=tuple(x),
            v=tuple(v),
            point=tuple(point),
            residual=_dot(w, point) + bias,
            distance=abs(t) * float(np.sqrt(_dot(v, v))),
            in_domain=all(inside),
        )

    def steps_to(self, roots: Sequence[Root]) -> Any:
        """From numbers of roots to root - x, for each data input: (roots, *input)."""

        def steps(numbers: Sequence[int]) -> list[Array]:
            whole = [np.zeros((len(numbers), *x.shape[1:])) for x in self.inputs]
            for line, number in enumerate(numbers):
                root = roots[number]
                for array, box, v in zip(whole, root.at, root.v, strict=True):
                    array[line][box] = -root.t * v
            return whole

        return steps

    def _bounds(self, i: int) -> tuple[Array, Array]:
        """The domain of data input i, elementwise where it is known so."""
        box, slot = self.step.place.box, self.step.slots[i]
        if box is not None and i == 0:
            ends = [end[0] if end.ndim == self.inputs[0].ndim else end for end in (box.low, box.high)]
            return ends[0], ends[1]
        domain = self.scene.plan.domains[self.step.node.inputs[slot]]
        return np.asarray(domain.low), np.asarray(domain.high)


def _sharing(scene: Scene, node: str) -> tuple[Step, TermRule]:
    """The step of a node whose rule shares, or a UsageError that names those there are."""
    names, what = [], f"no node '{node}' on the way to '{scene.plan.output}'"
    for step in scene.plan.steps:
        if step.op.kind == "linear" and isinstance(step.rule, TermRule):
            names.append(step.node.name)
            if step.node.name == node:
                return step, step.rule
        elif step.node.name == node:
            what = f"{step.node} has rule {step.rule}, which shares nothing and has no root"
    if what.startswith("no node") and any(s.node.name == node for s in everywhere(scene.plan.steps)):
        what = f"'{node}' stands in the body of a loop, inside of which roots and regions do not apply"
    more = f" and {len(names) - SHOWN} more (onnxdtd inspect shows all)" if len(names) > SHOWN else ""
    cure = (
        f"choose one of {', '.join(names[:SHOWN])}{more}" if names else "choose another method, such as dtd"
    )
    raise UsageError(f"{what}; {cure}")


def _chosen(
    neurons: int | Sequence[int | Neuron] | None, active: list[Neuron], shape: tuple[int, ...], seed: int
) -> list[Neuron]:
    if neurons is None:
        return active
    if isinstance(neurons, (int, np.integer)):
        if neurons < 1:
            raise UsageError(f"neurons is a number of 1 or more, or a list of indices, not {neurons}")
        drawn = np.random.default_rng(seed).permutation(len(active))[: int(neurons)]
        return [active[i] for i in sorted(drawn)]
    indices: list[Neuron] = []
    for neuron in neurons:
        index = tuple(int(i) for i in np.atleast_1d(neuron))
        if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
            raise UsageError(f"no neuron {neuron}: the node's output has shape {shape} behind the batch axis")
        indices.append(index)
    return indices


def _check_size(roots: Sequence[Root], count: int, node: str) -> None:
    """Patches of one node are of one size at most, so the first ones tell what all will take."""
    if not roots:
        return
    each = 3 * max(sum(part.nbytes for part in root.v) for root in roots)
    if each * count > LARGEST:
        raise UsageError(
            f"the roots of {count} neurons of '{node}' need {each * count / 2**30:.1f} GiB; "
            f"draw some of them with neurons={max(1, LARGEST // each)}"
        )


def _box(reads: Array) -> Patch:
    """The smallest box around what a neuron reads."""
    if not reads.ndim:
        return ()
    where = [np.flatnonzero(reads.any(axis=tuple(k for k in range(reads.ndim) if k != axis)))
             for axis in range(reads.ndim)]  # fmt: skip
    return tuple(slice(int(i[0]), int(i[-1]) + 1) if i.size else slice(0, 0) for i in where)


def _dot(a: Sequence[Array], b: Sequence[Array]) -> float:
    return float(sum(np.sum(p * q) for p, q in zip(a, b, strict=True)))


def _within(point: Array, x: Array, ends: Sequence[Array]) -> bool:
    slack = SLACK * max(float(abs(x).max(initial=0.0)), float(abs(point).max(initial=0.0)))
    low, high = ends
    return bool(((point >= low - slack) & (point <= high + slack)).all())
