"""One node of the walk, with its rule; and what a walk needs of a loop's body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxdtd.entries import OpEntry
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Site
from onnxdtd.methods import Place
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.loops import Layout, State, inside
from onnxdtd.model.point import Point
from onnxdtd.rules import Rule


@dataclass(frozen=True)
class Step:
    """One node of the walk: the slots through which relevance goes on, its rule, and the rule without work that
    is known to be zero. trail: of a loop, the walk through its body. constant: what its site's is called."""

    node: Node
    op: OpEntry
    slots: tuple[int, ...]
    place: Place
    rule: Rule
    pruned: Rule
    trail: Trail | None = None
    constant: str = "bias"

    @property
    def compiles(self) -> bool:
        """Whether the walk can be traced through it."""
        return self.op.compiles and (self.trail is None or self.trail.steady)

    def build(self, point: Point) -> Site:
        """The node's site at a point."""
        if self.op.site is None:
            raise UnsupportedError(f"{self.node}: a {self.op.kind} has no linear map of its own")
        site: Site = self.op.site(point)
        return site


@dataclass(frozen=True)
class Trail:
    """The walk through one iteration of a loop.

    states: those that relevance goes along. reads: the values inside that it reads, which change from iteration to
    iteration. steady: whether each of them has the same shape every time.
    """

    call: Layout
    steps: tuple[Step, ...]
    states: tuple[State, ...]
    reads: tuple[str, ...]
    steady: bool

    @property
    def graph(self) -> Graph:
        """The body."""
        return self.call.body

    @property
    def recorded(self) -> tuple[str, ...]:
        """What is read, of all iterations, by its names in the graph around the loop."""
        return tuple(inside(self.call.node, value) for value in self.reads)


def read_by(steps: Sequence[Step]) -> Iterator[str]:
    """The values that the walk reads: of a node its inputs, its bias and the outputs that carry, of one that rounds
    its scale, of a loop its records too."""
    for step in steps:
        yield from filter(None, (*step.node.inputs, step.node.bias))
        if step.trail is None:
            yield from filter(
                None, step.node.outputs if step.op.rounds else step.op.carried(step.node.outputs)
            )
            continue
        yield from (state.output for state in step.trail.states)
        if step.trail.steady:
            yield from step.trail.recorded


def everywhere(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, each loop followed by those of its body."""
    for step in steps:
        yield step
        if step.trail is not None:
            yield from everywhere(step.trail.steps)
