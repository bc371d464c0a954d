"""What f feels of its units: the gradient of f at a scene, by the walk."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxdtd.domains.pieces import Mask
from onnxdtd.model.graph import Graph
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.rules.passing import gradient
from onnxdtd.theory.scene import Scene, Stretched
from onnxdtd.theory.way import Part
from onnxdtd.types import Array
from onnxdtd.walk.backward import walk


def gradient_plan(plan: Plan, graph: Graph, cut: Sequence[str], parts: Sequence[Part]) -> Plan:
    """The plan of the gradient from its target to the cut, by the parts that carry relevance."""
    names, slope = {part.node.name for part in parts}, gradient()
    steps = (dataclasses.replace(s, rule=slope, pruned=slope) for s in plan.steps if s.node.name in names)
    return dataclasses.replace(plan, graph=graph, steps=tuple(steps), inputs=tuple(cut), finish="")


def felt(scene: Scene, cut: Sequence[str], parts: Sequence[Part], values: Mapping[str, Array]) -> list[Mask]:
    """Which units of each switch f feels: where its gradient there, or at what is chosen by them, is not zero.

    What a unit does that f does not feel changes no gradient, so this holds until the line leaves.
    """
    heard: dict[str, Any] = {}

    def hear(step: Step, r: Any, shares: tuple[Any, ...]) -> None:
        heard[step.node.output] = r != 0

    plan = gradient_plan(scene.plan, scene.graph, cut, parts)
    # A ChainMap asks for maps that can be written, and writes the first of them alone.
    rest: Any = Stretched(scene.values, 1)
    activations: Any = ChainMap({**values}, rest)
    walk(plan, activations, scene.mask.astype(np.float64), observe=hear, free=False)
    for part in reversed(parts):
        if part.node.output in heard:
            for value in part.chosen:
                own = _any_like(heard[part.node.output], np.shape(values[value]))
                heard[value] = own | heard.get(value, False)
    switches = [part.node.output for part in parts if part.switch is not None]
    return [heard.get(value, np.zeros(values[value].shape, bool)) for value in switches]


def _any_like(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Whether any is set that an array of this shape was broadcast to; any at all, where it was not."""
    lead = mask.ndim - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, mask.shape[lead:], strict=True)):
        return np.full(shape, mask.any())
    once = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
    return np.asarray(np.logical_or.reduce(mask, axis=once)).reshape(shape)
