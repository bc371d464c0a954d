"""Lines through a piecewise-linear network, exactly: every break point by propagation, none by sampling.

    f(a + t d),  0 <= t <= 1

Within a linear region the directions of all values are constant, so each switching unit tells when its line
meets its boundary. The walk goes to the nearest such t, turns the unit over, and pushes the direction again:
each break point costs one pass, and none can be missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from onnxdtd.errors import CheckError, UnsupportedError
from onnxdtd.plan.plan import Step
from onnxdtd.plan.reach import LAYERS
from onnxdtd.theory.scene import BATCH_BYTES, Array, Scene, double
from onnxdtd.theory.switches import SWITCHES, Switch

Scope = Literal["network", "layer"]

# Break points closer than this are one; a boundary met this close to t = 1 is met at the end point.
SAME = 1e-9
# How far the walk's own forward pass may be from onnxruntime's, as a part of the largest logit.
AGREES = 1e-3
BUG = "this is a bug in onnxdtd, please report it with the model"


@dataclass(frozen=True, slots=True)
class Break:
    """A unit switches at a + t d. unit: its index in the node's output, behind the batch axis."""

    t: float
    node: str
    unit: tuple[int, ...]

    def __str__(self) -> str:
        return f"t={self.t:.4g} by '{self.node}'{list(self.unit)}"


@dataclass(slots=True)
class Line:
    """leaves: the break point at which the gradient of f changes, None if it does not before t = 1. breaks: all
    that were passed, those that f does not feel included."""

    leaves: Break | None = None
    breaks: list[Break] = field(default_factory=list)


class Downstream:
    """f: what lies between chosen values `cut` (of one sample) and the target.

    scope: "network", the whole way to the target; "layer", only as far as the next convolutions and dense ops.
    layer: the op that reads the cut. smooth: the nodes that are not piecewise linear; with one there is no walk.
    """

    def __init__(self, scene: Scene, cut: Sequence[str], layer: str, scope: Scope = "network") -> None:
        self.scene, self.cut = scene, tuple(cut)
        self.steps = _between(scene, self.cut, layer) if scope == "layer" else _behind(scene, self.cut)
        self.smooth = tuple(
            s.node.name for s in self.steps
            if s.op.kind not in ("linear", "route") and (s.node.domain or s.node.op not in SWITCHES)
        )  # fmt: skip
        last = {v: i for i, s in enumerate(self.steps) for v in s.node.inputs}
        self._spent = [[v for v, at in last.items() if at == i] for i in range(len(self.steps))]
        self._switches: dict[str, Switch] = {}
        self._start: list[tuple[Array, Array]] = []
        if not self.smooth:
            self._settle()
            self._felt = self._sense() if scope == "network" else None

    def walk(self, directions: Sequence[Array], every: bool = False) -> list[Line]:
        """Follow lines from the cut, one direction (lines, ...) for each of its values, until the gradient changes.

        every: go on to t = 1, so that `breaks` are all there are before it. The end point itself is not looked
        at: a root lies on a hyperplane, so the boundaries that it meets there are the limit of the region and
        not a way out of it. A unit on its boundary at t = 0 counts as on the piece whose slope the gradient takes.
        """
        count = len(directions[0])
        # A unit's direction, its own line and what is worked out of them, for every unit.
        units = sum(u.size + state.size for u, state in self._start)
        floats = 6 * units + 4 * sum(d[0].size for d in directions)
        batch = max(1, BATCH_BYTES // (8 * max(floats, 1)))
        lines: list[Line] = []
        for i in range(0, count, batch):
            lines += self._walk([d[i : i + batch] for d in directions], every)
        return lines

    def _walk(self, directions: list[Array], every: bool) -> list[Line]:
        count = len(directions[0])
        lines = [Line() for _ in range(count)]
        live, now, idle = np.arange(count), np.zeros(count), np.zeros(count, int)
        units_in_all = sum(state.size for _, state in self._start)
        points, states = ([part[k] for part in self._start] for k in (0, 1))
        while live.size and points:
            pushed = self._push([d[live] for d in directions], states)
            units = zip(self._switches.values(), states, points, pushed, strict=True)
            waits = [switch.wait(*unit) for switch, *unit in units]
            nearest = np.stack([w.reshape(live.size, -1).min(axis=1) for w in waits])
            step = nearest.min(axis=0)
            # Of units that switch together the one upstream goes first: it may turn the others' directions.
            first = (nearest <= step + SAME).argmax(axis=0)
            ended = now + step >= 1 - SAME
            idle = np.where(step > 0, 0, idle + 1)
            if idle.max() > units_in_all:
                raise CheckError(f"a line stands still at t = {now[idle.argmax()]:.4g}: {BUG}")
            now = np.minimum(now + step, 1)
            for k, (name, switch) in enumerate(self._switches.items()):
                chosen = (first == k) & ~ended
                if not chosen.any():
                    continue
                hits = (waits[k] <= _lines(step + SAME, waits[k])) & _lines(chosen, waits[k])
                for line, *unit in np.argwhere(hits):
                    self._record(lines[live[line]], Break(float(now[line]), name, tuple(map(int, unit))), k)
                states[k] = switch.turn(states[k], points[k], pushed[k], hits)
            left = np.array([lines[i].leaves is not None for i in live])
            kept = ~ended & (every | ~left)
            step = np.where(ended, 0, step)
            points = [_of(kept, u + _lines(step, du) * du) for u, du in zip(points, pushed, strict=True)]
            states, live, now, idle = [_of(kept, s) for s in states], live[kept], now[kept], idle[kept]
        return lines

    def _record(self, line: Line, found: Break, switch: int) -> None:
        line.breaks.append(found)
        if line.leaves is None and (self._felt is None or self._felt[switch][(0, *found.unit)]):
            line.leaves = found

    def _settle(self) -> None:
        """The forward pass in float64 from the cut: where every switch stands."""
        values: dict[str, Array] = {v: double(self.scene.values[v]) for v in self.cut}
        for step, spent in zip(self.steps, self._spent, strict=True):
            node = step.node
            self.scene.shape(node.output)
            if node.op in SWITCHES:
                x = values[node.inputs[step.slots[0]]]
                switch = self._switches[node.name] = SWITCHES[node.op](self.scene.point(step))
                state = switch.start(x)
                self._start.append((x, state))
                y = switch.value(state, x)
            else:
                site = self.scene.site(step, values=values)
                y = sum(m.apply(m.weights, x) for m, x in zip(site.maps, site.inputs, strict=True))
                y = y if site.bias is None else y + site.bias
            values[node.output] = y
            for value in spent:
                values.pop(value, None)
        target = self.scene.plan.target
        if target in values:
            expected = double(self.scene.values[target])
            error, scale = (float(abs(a).max(initial=0.0)) for a in (values[target] - expected, expected))
            if not error <= AGREES * max(scale, 1e-30):
                raise CheckError(
                    f"the walk of lines computes '{target}' with an error of {error:.2g} where onnxruntime has "
                    f"{scale:.2g}: {BUG}"
                )

    def _sense(self) -> list[Any]:
        """Which units the target feels: where its gradient at a switch's output is not zero.

        What a unit does that f does not feel changes no gradient, so this holds until the line leaves.
        """
        states = dict(zip(self._switches, (state for _, state in self._start), strict=True))
        gradient: dict[str, Array] = {self.scene.plan.target: self.scene.mask.astype(np.float64)}
        felt: dict[str, Array] = {}
        for step in reversed(self.steps):
            node = step.node
            g = gradient.pop(node.output)
            if node.name in self._switches:
                felt[node.name] = g != 0
                parts = [self._switches[node.name].pull(states[node.name], g)]
            else:
                site = self.scene.site(step)
                parts = [m.adjoint(m.weights, g) for m in site.maps]
            for slot, part in zip(step.slots, parts, strict=True):
                value = node.inputs[slot]
                gradient[value] = gradient[value] + part if value in gradient else part
        return [felt[name] for name in self._switches]

    def _push(self, directions: Sequence[Array], states: Sequence[Array]) -> list[Array]:
        """The directions at the input of every switch."""
        moving: dict[str, Array] = dict(zip(self.cut, directions, strict=True))
        found: list[Array] = []
        for step, spent in zip(self.steps, self._spent, strict=True):
            node, lines = step.node, len(directions[0])
            if node.name in self._switches:
                found.append(moving[node.inputs[step.slots[0]]])
                dy = self._switches[node.name].push(states[len(found) - 1], found[-1])
            else:
                dy = self._through(step, moving, lines)
            moving[node.output] = dy
            for value in spent:
                moving.pop(value, None)
        return found

    def _through(self, step: Step, moving: Mapping[str, Array], lines: int) -> Array:
        site = self.scene.site(step, lines)
        arriving = [moving.get(step.node.inputs[slot]) for slot in step.slots]
        parts = [m.apply(m.weights, d) for m, d in zip(site.maps, arriving, strict=True) if d is not None]
        dy, shape = sum(parts[1:], parts[0]), (lines, *self.scene.shape(step.node.output)[1:])
        if dy.ndim != len(shape) or len(dy) != lines:
            raise UnsupportedError(
                f"{step.node} mixes or moves the batch axis: lines of several neurons cannot pass it together; "
                "choose a node behind it"
            )
        whole: Array = np.broadcast_to(dy, shape)
        return whole


def _behind(scene: Scene, cut: Sequence[str]) -> list[Step]:
    """The steps on the way from the cut to the target."""
    carried, wanted = set(cut), {scene.plan.target}
    reading = []
    for step in scene.plan.steps:
        if step.node.output not in cut and carried.intersection(step.node.inputs[s] for s in step.slots):
            reading.append(step)
            carried.add(step.node.output)
    found = []
    for step in reversed(reading):
        if step.node.output in wanted:
            wanted.update(step.node.inputs[slot] for slot in step.slots)
            found.append(step)
    return found[::-1]


def _between(scene: Scene, cut: Sequence[str], layer: str) -> list[Step]:
    """The layer, and what follows it up to the next convolutions and dense ops."""
    found: list[Step] = []
    carried: set[str] = set()
    for step in scene.plan.steps:
        reads = carried.intersection(step.node.inputs[slot] for slot in step.slots)
        if step.node.name == layer or (reads and step.op.family not in LAYERS):
            found.append(step)
            carried.add(step.node.output)
    return found


def _lines(per_line: Array, like: Array) -> Array:
    return per_line.reshape(-1, *(1,) * (like.ndim - 1))


def _of(kept: Array, a: Array) -> Array:
    """The lines that are kept; what serves all lines goes on serving them."""
    return a[kept] if len(a) == len(kept) else a
