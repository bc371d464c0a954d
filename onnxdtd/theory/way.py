"""What lies between chosen values and the target, node by node, and how each node moves with them.

Nodes that make truth values and indices are on the way too where the values move what others choose by: a Greater
whose result a Where reads. They carry no relevance, so the plan does not have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onnxdtd.domains.pieces import Switch, smooth
from onnxdtd.entries import OpEntry
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Site
from onnxdtd.model.graph import Node
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.plan.moved import moved_by
from onnxdtd.plan.reach import LAYERS
from onnxdtd.primitives import operator
from onnxdtd.theory.scene import Scene
from onnxdtd.types import Array

CURVES = ("gate", "norm", "recurrent")


@dataclass(frozen=True, eq=False)
class Part:
    """One node on the way.

    slots: the inputs through which it moves; without any, it follows from what it chooses by alone. chosen: the
    values, moving by jumps only, that it chooses by. switch: where it bends, None where it is linear. fault: why no
    line can be followed through it, if so.
    """

    node: Node
    op: OpEntry
    slots: tuple[int, ...]
    chosen: tuple[str, ...]
    switch: Switch | None = None
    fault: str = ""

    @property
    def discrete(self) -> bool:
        """Whether its output moves by jumps only."""
        return not self.slots or (self.switch is not None and self.switch.discrete)

    def build(self, point: Point) -> Site:
        """The node's site at a point."""
        if self.op.site is None:
            raise UnsupportedError(f"{self.node}: a {self.op.kind} is no linear map")
        site: Site = self.op.site(point)
        return site

    def decide(self, point: Point) -> Array:
        """The output of a node without slots."""
        arrays = [point.value(slot) if point.has(slot) else None for slot in range(len(self.node.inputs))]
        result: Array = operator(self.node.op, *arrays, opset=point.opset, **self.node.attributes)
        return result


def way(scene: Scene, cut: Sequence[str], layer: str = "") -> tuple[Part, ...]:
    """The parts between the cut and the target; with a layer, from it up to the next convolutions and dense ops."""
    graph, steps = scene.plan.graph, {step.node.name: step for step in scene.plan.steps}
    if layer:
        closed = {node.name for node in graph.nodes if OPS[node.domain, node.op].family in LAYERS}
        first, ends = graph.by_name[layer], {step.node.output for step in scene.plan.steps}
        nodes = [first, *moved_by(graph, first.outputs, ends, closed)]
    else:
        nodes = moved_by(graph, cut, {scene.plan.target}, {n.name for n in graph.nodes if n.output in cut})
    moving, jumping = set(cut), set[str]()
    parts = []
    for node in nodes:
        step = steps.get(node.name)
        slots = tuple(i for i, value in enumerate(node.inputs) if value in moving)
        op = OPS[node.domain, node.op].at(slots, node.attributes) if step is None else step.op
        chosen = tuple(value for value in node.inputs if value in jumping)
        part = _part(scene, Part(node, op, slots if step is None else step.slots, chosen), moving)
        parts.append(part)
        (jumping if part.discrete else moving).add(node.output)
        jumping.update(filter(None, node.outputs[1:]))
    return tuple(parts)


def _part(scene: Scene, plain: Part, moving: set[str]) -> Part:
    """The part with its switch, or with its fault."""
    node, op, slots, chosen = plain.node, plain.op, plain.slots, plain.chosen
    beside = [value for i, value in enumerate(node.inputs) if value in moving and i not in slots]
    if beside:
        return replace(plain, fault=f"{node}: its operand '{beside[0]}' moves")
    if not slots:
        return plain
    if op.kind in CURVES:
        return replace(plain, switch=smooth(scene.point(plain)))
    if node.body is not None:
        return replace(plain, fault=f"{node}: no line is followed through the body of a loop")
    if op.pieces is None:
        straight = op.kind in ("linear", "route")
        return plain if straight else replace(plain, fault=f"{node}: where it bends is not declared")
    try:
        switch = op.pieces(scene.point(plain))
    except UnsupportedError as error:
        return replace(plain, fault=str(error))
    if switch is not None and chosen:
        return replace(plain, fault=f"{node}: its operand '{chosen[0]}' jumps")
    return replace(plain, switch=switch)
