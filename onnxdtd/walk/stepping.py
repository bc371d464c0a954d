"""A loop taken apart: its body runs once for each iteration, and the values inside are kept as lists.

So a value may change its shape from one iteration to the next, which rows of one tensor cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.model.graph import Graph
from onnxdtd.model.loops import inside
from onnxdtd.plan.step import Step, Trail, read_by
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import Forward


class Reading:
    """What a walk reads at an input: by the forward pass, and step by step where a loop's values change shape."""

    def __init__(
        self, forward: Forward, graph: Graph, steps: Sequence[Step], providers: Sequence[str]
    ) -> None:
        self._forward, self._stepper = forward, Stepper(graph, steps, providers)

    def only(self, names: Sequence[str], feeds: Arrays) -> dict[str, Any]:
        """Some of the values that the forward pass gives."""
        return self._forward(feeds, names)

    def __call__(self, feeds: Arrays, threads: int = 0) -> dict[str, Any]:
        """The values, by name. threads: 1 for a pass beside others, 0 for one that has all cores."""
        values: dict[str, Any] = (self._forward.beside if threads else self._forward)(feeds)
        return values | self._stepper(values)


class Stepper:
    """The values that walks read inside the loops of these steps whose shapes are not steady."""

    def __init__(self, graph: Graph, steps: Sequence[Step], providers: Sequence[str]) -> None:
        trails = [step.trail for step in steps if step.trail is not None and not step.trail.steady]
        self._constants = graph.constants
        self._loops = [_Iterations(trail, providers, graph.max_steps) for trail in trails]

    def __call__(self, values: Mapping[str, Any]) -> dict[str, list[Any]]:
        """By name, a list of each iteration's; values: what the loops are given."""
        known = {**self._constants, **values}
        return {name: rows for loop in self._loops for name, rows in loop(known).items()}


class _Iterations:
    def __init__(self, trail: Trail, providers: Sequence[str], most: int) -> None:
        self._trail, call = trail, trail.call
        body = replace(call.body, max_steps=most)
        names = [*read_by(trail.steps), *(state.end for state in call.states), call.goes_on]
        self._forward = Forward(body, [*dict.fromkeys(filter(None, names))], providers)
        self._inner = Stepper(body, trail.steps, providers)

    def __call__(self, values: Mapping[str, Any]) -> dict[str, list[Any]]:
        call, node = self._trail.call, self._trail.call.node
        states = {state.begin: values[node.inputs[state.slot]] for state in call.states}
        slices = {begin: values[node.inputs[slot]] for slot, begin in call.slices}
        most, goes_on = self._bounds(values, slices)
        rows: dict[str, list[Any]] = {inside(node, value): [] for value in self._trail.reads}
        count = 0
        while count < most and goes_on:
            feeds = {**states, **{begin: array[count] for begin, array in slices.items()}}
            if call.counter:
                feeds |= {call.counter: np.asarray(count, np.int64), call.condition: np.asarray(True)}
            made = {**call.body.constants, **feeds, **self._forward(feeds)}
            made |= self._inner(made)
            for value in self._trail.reads:
                rows[inside(node, value)].append(made[value])
            states = {state.begin: made[state.end] for state in call.states}
            goes_on = not call.goes_on or bool(np.all(made[call.goes_on]))
            count += 1
        return rows

    def _bounds(self, values: Mapping[str, Any], slices: Mapping[str, Any]) -> tuple[float, bool]:
        """How often the body runs at most, and whether it runs at all."""
        if slices:
            return len(next(iter(slices.values()))), True
        trips, condition = (values[name] if name else None for name in self._trail.call.node.inputs[:2])
        most = np.inf if trips is None else float(np.asarray(trips).item())
        return most, condition is None or bool(np.all(condition))
