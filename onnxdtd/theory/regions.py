"""Does a segment stay in the linear region of its start? Verdicts, and the Taylor remainder where there are none.

N_f(a): all a' such that f has one gradient on the whole segment from a to a' (Sixt and Landgraf 2022). For
piecewise-linear f the verdict is exact (`line`). For smooth f there is no region; what the first-order expansion
at the far end leaves over is

    |f(a) - f(a') - grad f(a') . (a - a')| / |f(a)|
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import helper

from onnxdtd.model.graph import Value, needs
from onnxdtd.plan.plan import needed
from onnxdtd.theory.felt import gradient_plan
from onnxdtd.theory.line import Break, Downstream, Scope
from onnxdtd.theory.scene import BATCH_BYTES, Scene, double
from onnxdtd.types import Array
from onnxdtd.walk.backward import walk
from onnxdtd.walk.forward import Forward

# From numbers of lines to their directions, one array (lines, ...) for each value of the cut.
Directions = Callable[[Sequence[int]], Sequence[Array]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """status: `inside` the region up to the end point; `leaves` it at the break point `leaves`; `smooth`: region
    does not apply, and `remainder` is the Taylor remainder relative to f. breaks: the break points passed on the
    way, those that f does not feel included."""

    status: Literal["inside", "leaves", "smooth"]
    leaves: Break | None = None
    breaks: tuple[Break, ...] = ()
    remainder: float | None = None

    @property
    def on_boundary(self) -> bool:
        """Whether the start lies on the boundary by which it leaves: a tie or a zero, where f has no gradient."""
        return self.leaves is not None and self.leaves.t == 0

    def __str__(self) -> str:
        if self.status == "smooth":
            return f"no region: remainder {self.remainder:.3g}"
        return "inside" if self.leaves is None else f"leaves at {self.leaves}"


def regions(
    scene: Scene,
    cut: Sequence[str],
    layer: str,
    count: int,
    directions: Directions,
    *,
    scope: Scope = "network",
    every: bool = False,
) -> list[Verdict]:
    """A verdict for each of `count` segments from the scene's activations `cut`, which the node `layer` reads.

    scope: f is the whole network from the layer on, the layer included; or `layer`: only up to the next
    convolution or dense op, and any switch is a way out. every: list all break points up to t = 1.
    """
    down = Downstream(scene, cut, layer, scope)
    size = sum(scene.values[value].size for value in cut)
    batch = max(1, BATCH_BYTES // (16 * max(size, 1)))
    verdicts: list[Verdict] = []
    whole = Downstream(scene, cut, layer) if down.smooth and scope == "layer" else down
    expand = _Expansion(whole) if down.smooth else None
    for i in range(0, count, batch):
        pushed = directions(range(i, min(i + batch, count)))
        if expand is not None:
            verdicts += [
                Verdict("smooth", remainder=expand([d[k] for d in pushed])) for k in range(len(pushed[0]))
            ]
            continue
        for line in down.walk(pushed, every):
            status: Literal["inside", "leaves"] = "inside" if line.leaves is None else "leaves"
            verdicts.append(Verdict(status, line.leaves, tuple(line.breaks)))
    return verdicts


class _Expansion:
    """The first-order expansion of f at the far end of a line, by onnxruntime from the cut on."""

    def __init__(self, down: Downstream) -> None:
        scene, plan = down.scene, down.scene.plan
        nodes = tuple(part.node for part in down.parts)
        made = {v for node in nodes for v in node.outputs}
        self._scene, self._cut = scene, down.cut
        read = dict.fromkeys(v for node in nodes for v in needs(node) if v)
        outside = [v for v in (*down.cut, *read) if v not in made and v not in plan.graph.constants]
        self._feeds = {v: scene.values[v] for v in outside}
        typed = {
            v: Value(v, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for v, a in self._feeds.items()
        }
        graph = dataclasses.replace(
            plan.graph, nodes=nodes, inputs=tuple(self._feeds),
            outputs=(plan.target,), targets={}, values={**plan.graph.values, **typed},
        )  # fmt: skip
        self._plan = gradient_plan(plan, graph, down.cut, down.parts)
        self._run = Forward(graph, needed(self._plan), ["CPUExecutionProvider"])

    def __call__(self, directions: Sequence[Array]) -> float:
        """The remainder relative to f of one line."""
        moves = dict(zip(self._cut, directions, strict=True))
        moved = {v: (a + moves[v]).astype(a.dtype) if v in moves else a for v, a in self._feeds.items()}
        values = self._run(moved)
        scene, target = self._scene, self._plan.target
        here, there = (float((double(a[target]) * scene.mask).sum()) for a in (scene.values, values))
        slopes = walk(self._plan, values, scene.mask.astype(values[target].dtype))
        # The step as it was taken, in the model's own precision.
        linear = sum(
            float((double(slopes[v]) * (double(self._feeds[v]) - double(moved[v]))).sum()) for v in self._cut
        )
        return abs(here - there - linear) / max(abs(here), float(np.finfo(np.float64).tiny))
