"""Which steps of a plan audits walk, and at which of them they look."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from onnxdtd.plan.assign import prune
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step

DEEPEST = 64
"""Of more layers, so many are looked at, evenly spread."""


def spread(steps: Sequence[Step]) -> tuple[Step, ...]:
    """At most `DEEPEST` of the steps, evenly spread."""
    chosen = np.linspace(0, len(steps) - 1, min(DEEPEST, len(steps))).round().astype(int)
    return tuple(steps[i] for i in dict.fromkeys(chosen.tolist()))


def free_of_seed(plan: Plan) -> Plan:
    """The plan, pruned only by what holds for every seed: a method that explains max(0, logit) starts with
    nothing at a negative logit, but an audit asks there too."""
    steps = prune(plan.graph, plan.steps, plan.domains, None)
    return dataclasses.replace(plan, steps=steps)


def below(plan: Plan, value: str) -> Plan:
    """The part of a plan between its inputs and an inner value."""
    wanted, steps = {value}, []
    for step in reversed(plan.steps):
        if not wanted.isdisjoint(step.node.outputs):
            steps.append(step)
            wanted.update(step.node.inputs[slot] for slot in step.slots)
    inputs = tuple(name for name in plan.inputs if name in wanted)
    part = dataclasses.replace(plan, target=value, steps=tuple(reversed(steps)), inputs=inputs)
    return free_of_seed(part)
