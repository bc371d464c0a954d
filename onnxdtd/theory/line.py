"""Lines through a piecewise-linear network, exactly: every break point by propagation, none by sampling.

    f(a + t d),  0 <= t <= 1

Within a linear region the directions of all values are constant, so each switching unit tells when its line
meets its boundary. The walk goes to the nearest such t, turns the unit over, and pushes the direction again:
each break point costs one pass, and none can be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from onnxdtd.domains.pieces import Mask
from onnxdtd.errors import CheckError, UnsupportedError
from onnxdtd.theory.carry import carry
from onnxdtd.theory.felt import felt
from onnxdtd.theory.scene import BATCH_BYTES, Scene, double
from onnxdtd.theory.way import way
from onnxdtd.types import Array

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
    Raises UnsupportedError, listing every node through which no line can be followed.
    """

    def __init__(self, scene: Scene, cut: Sequence[str], layer: str, scope: Scope = "network") -> None:
        self.scene, self.cut = scene, tuple(cut)
        self.parts = way(scene, self.cut, layer if scope == "layer" else "")
        self.smooth = tuple(p.node.name for p in self.parts if p.switch is not None and p.switch.curved)
        faults = [f"no line is followed here: {part.fault}" for part in self.parts if part.fault]
        if faults and not self.smooth:
            raise UnsupportedError(faults)
        self._switches = [(p.node.name, p.switch) for p in self.parts if p.switch is not None]
        self._start: list[tuple[Array, Array]] = []
        if not self.smooth:
            values = self._settle()
            self._felt = felt(scene, self.cut, self.parts, values) if scope == "network" else None

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
            units = zip(self._switches, states, points, pushed, strict=True)
            waits = [switch.wait(*unit) for (_, switch), *unit in units]
            nearest = np.stack([w.reshape(live.size, -1).min(axis=1) for w in waits])
            step = nearest.min(axis=0)
            # Of units that switch together the one upstream goes first: it may turn the others' directions.
            first = (nearest <= step + SAME).argmax(axis=0)
            ended = now + step >= 1 - SAME
            idle = np.where(step > 0, 0, idle + 1)
            if idle.max() > units_in_all:
                raise CheckError(f"a line stands still at t = {now[idle.argmax()]:.4g}: {BUG}")
            now = np.minimum(now + step, 1)
            jumps = np.full(live.size, len(points))
            for k, (_, switch) in enumerate(self._switches):
                chosen = (first == k) & ~ended
                if not chosen.any():
                    continue
                hits = (waits[k] <= _lines(step + SAME, waits[k])) & _lines(chosen, waits[k])
                self._record([lines[i] for i in live], now, k, hits)
                states[k] = switch.turn(states[k], points[k], pushed[k], hits)
                jumps[chosen & switch.jumps] = k
            step = np.where(ended, 0, step)
            points = [u + _lines(step, du) * du for u, du in zip(points, pushed, strict=True)]
            if (jumps < len(points)).any():
                here = [double(self.scene.values[v]) for v in self.cut]
                here = [x + _lines(now, d) * d[live] for x, d in zip(here, directions, strict=True)]
                points = self._land(here, states, jumps, [lines[i] for i in live], now)
            kept = ~ended & (every | np.array([lines[i].leaves is None for i in live]))
            points, states = ([_of(kept, part) for part in parts] for parts in (points, states))
            live, now, idle = live[kept], now[kept], idle[kept]
        return lines

    def _record(self, lines: Sequence[Line], now: Array, k: int, hits: Mask) -> None:
        """The units in `hits` of the k-th switch turn."""
        for i, *unit in np.argwhere(hits):
            passed = Break(float(now[i]), self._switches[k][0], tuple(map(int, unit)))
            lines[i].breaks.append(passed)
            if lines[i].leaves is None and (self._felt is None or self._felt[k][(0, *unit)]):
                lines[i].leaves = passed

    def _settle(self) -> dict[str, Array]:
        """The forward pass in float64 from the cut: where every switch stands."""

        def begin(k: int, u: Array) -> Array:
            switch = self._switches[k][1]
            state = switch.start(u)
            self._start.append((u, state))
            return switch.value(state, u)

        for part in self.parts:
            self.scene.shape(part.node.output)
        values: dict[str, Array] = {}
        carry(
            self.scene, self.cut, self.parts, [double(self.scene.values[v]) for v in self.cut], begin, values
        )
        target = self.scene.plan.target
        if target in values:
            expected = double(self.scene.values[target])
            error, scale = (float(abs(a).max(initial=0.0)) for a in (values[target] - expected, expected))
            if not error <= AGREES * max(scale, 1e-30):
                raise CheckError(
                    f"the walk of lines computes '{target}' with an error of {error:.2g} where onnxruntime has "
                    f"{scale:.2g}: {BUG}"
                )
        return values

    def _push(self, directions: Sequence[Array], states: Sequence[Array]) -> list[Array]:
        """The directions at the input of every switch."""
        pushed: list[Array] = []

        def turn(k: int, du: Array) -> Array:
            pushed.append(du)
            return self._switches[k][1].push(states[k], du)

        carry(self.scene, self.cut, self.parts, directions, turn)
        return pushed

    def _land(
        self, here: Sequence[Array], states: list[Array], jumps: Array, lines: Sequence[Line], now: Array
    ) -> list[Array]:
        """What enters every switch where, by line, the switch number `jumps` has jumped: those behind it may be on
        another piece at once, and their states are brought up to date."""
        points: list[Array] = []

        def visit(k: int, u: Array) -> Array:
            switch, behind = self._switches[k][1], jumps < k
            state, moved = switch.settle(states[k], u)
            states[k] = np.where(_lines(behind, state), state, states[k])
            self._record(lines, now, k, moved & _lines(behind, moved))
            points.append(u)
            return switch.value(states[k], u)

        carry(self.scene, self.cut, self.parts, here, visit, {})
        return points


def _lines(per_line: Array, like: Array) -> Array:
    return per_line.reshape(-1, *(1,) * (like.ndim - 1))


def _of(kept: Array, a: Array) -> Array:
    """The lines that are kept; what serves all lines goes on serving them."""
    return a[kept] if len(a) == len(kept) else a
