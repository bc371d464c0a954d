"""A model at one input, in float64: what the theory's experiments look at."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError, UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.linear import Site
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.model.point import Point
from onnxdtd.plan.batch import batch_axis
from onnxdtd.plan.moved import moved_by
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.seed import ask, start_of
from onnxdtd.plan.step import Step
from onnxdtd.types import Array
from onnxdtd.walk.backward import walk
from onnxdtd.walk.run import reads
from onnxdtd.walk.stepping import Reading

# Weights up to this size are kept in float64; larger ones are converted anew at each use.
KEPT_BYTES = 1 << 25
# What one batch of neurons or lines may take.
BATCH_BYTES = 1 << 28


class Doubles(Mapping[str, Any]):
    """Constants in float64, converted when they are asked for; others as they are."""

    def __init__(self, constants: Mapping[str, Array]) -> None:
        self._constants = constants
        self._kept: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name in self._kept:
            return self._kept[name]
        array = double(self._constants[name])
        if array.nbytes <= KEPT_BYTES:
            self._kept[name] = array
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._constants)

    def __len__(self) -> int:
        return len(self._constants)


class Stretched(Mapping[str, Any]):
    """Activations of one sample in float64, repeated along the batch axis (as views) for so many lines."""

    def __init__(self, values: Mapping[str, Array], lines: int) -> None:
        self._values, self._lines = values, lines

    def __getitem__(self, name: str) -> Array:
        array = double(self._values[name])
        if self._lines == 1 or array.dtype.kind != "f" or array.shape[:1] != (1,):
            return array
        return np.broadcast_to(array, (self._lines, *array.shape[1:]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Placed(Protocol):
    """A node, the inputs through which it is looked at, and its site there."""

    @property
    def node(self) -> Node:
        """The node."""

    @property
    def slots(self) -> tuple[int, ...]:
        """The inputs."""

    def build(self, point: Point) -> Site:
        """The site."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One sample on its way through a plan.

    graph: the plan's, its constants in float64. values: every activation that the walk reads, as onnxruntime
    computed it. mask: the explained elements of the target. relevance: what arrives at each linear op's output.
    """

    plan: Plan
    graph: Graph
    values: Mapping[str, Array]
    mask: npt.NDArray[np.bool_]
    relevance: Mapping[str, Array]

    @classmethod
    def of(cls, explainer: Explainer, x: Any, target: Any = None, sample: int = 0) -> Scene:
        """Run the model and the explainer's walk on one sample of x. Raises InputError, TargetError."""
        question = explainer.loaded.question(target)
        inputs = explainer.feeds(x)
        axes = {name: batch_axis(explainer.graph, name, a.shape, inputs) for name, a in inputs.items()}
        feeds = {name: _sample(name, array, axes[name], sample) for name, array in inputs.items()}
        explainer = explainer.at(feeds)
        plan = explainer.plan(question.output)
        # What others choose by carries no relevance, so the walk does not read how it is made.
        made = (
            v
            for node in moved_by(plan.graph, plan.inputs, {plan.target})
            for v in (*needs(node), node.output)
        )
        beside = dict.fromkeys(v for v in made if v and v not in plan.graph.constants)
        usual = reads(plan)
        forward = explainer.forward([*usual, *(v for v in beside if v not in usual)])
        outcome = Reading(forward, plan.graph, plan.steps, explainer.providers)(feeds)
        listed = {name: rows for name, rows in outcome.items() if isinstance(rows, list)}
        values = {name: outcome[name] for name in {*needed(plan), *beside}}
        seed = ask(question, plan.graph, plan.output, outcome, feeds)
        relevance: dict[str, Array] = {}

        def observe(step: Step, r: Any, shares: tuple[Any, ...]) -> None:
            if step.op.kind == "linear":
                relevance[step.node.name] = r

        start = start_of(plan.seed, seed, values[plan.target])
        walk(plan, {**values, **listed}, start, observe=observe, free=False)
        graph = dataclasses.replace(plan.graph, constants=Doubles(plan.graph.constants))
        return cls(plan, graph, values, seed.mask, relevance)

    def point(self, placed: Placed, lines: int = 1, values: MutableMapping[str, Any] | None = None) -> Point:
        """A node at this input, for so many lines at once; `values` where they differ from the scene's."""
        own: Any = Stretched(self.values, lines)
        return Point(placed.node, self.graph, placed.slots, own if values is None else ChainMap(values, own))

    def site(self, placed: Placed, lines: int = 1, values: MutableMapping[str, Any] | None = None) -> Site:
        """The site of a node that is linear wherever it stands."""
        return placed.build(self.point(placed, lines, values))

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of one sample's value, batch axis first. Raises UnsupportedError where there is none."""
        shape = self.values[value].shape
        if shape[:1] != (1,):
            raise UnsupportedError(
                f"value '{value}' of shape {shape} does not have the batch as its first axis, which the search for "
                "roots and regions needs; choose a node behind it"
            )
        return shape


def double(array: Array) -> Array:
    """Floating-point arrays in float64."""
    return np.asarray(array, np.float64) if array.dtype.kind == "f" else array


def _sample(name: str, array: Array, axis: int | None, sample: int) -> Array:
    if axis is None:
        return array  # one for all samples
    if not 0 <= sample < array.shape[axis]:
        raise InputError(
            f"input '{name}' of shape {array.shape} has no sample {sample}; samples count from 0"
        )
    return np.take(array, [sample], axis)
