"""The walk of lines against brute force, which samples 10,000 points of a segment; and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.theory.line import Downstream
from onnxdtd.theory.regions import regions
from onnxdtd.theory.scene import Scene
from tests.support.model_text import graph, model
from tests.support.plain_nets import Net, cnn, mlp, scene_of, verdicts

POINTS = 10_000
STRIDE = 100


def check_lines(net: Net, count: int, rng: np.random.Generator) -> tuple[int, int]:
    """Compare `count` lines with brute force; how many are inside, and how many break points there were."""
    x = rng.normal(size=(1, *net.inputs)).astype(np.float32)
    a = x.reshape(-1).astype(float)
    d = rng.normal(size=(count, *net.inputs)) * rng.choice(
        [0.02, 0.1, 1.0], size=(count, *(1,) * len(net.inputs))
    )
    if len(net.inputs) > 1:  # as the root of a convolution: only a patch moves
        d[..., 2:, :] = 0
    scene = Scene.of(net.explainer(), x)
    target = int(np.flatnonzero(scene.mask[0])[0])
    down = Downstream(scene, ["x"], next(step.node.name for step in scene.plan.steps))
    inside = breaks = 0
    for line, direction in zip(down.walk([d], every=True), d.reshape(count, -1), strict=True):
        near = points_near_changes(net, a, direction)
        t = near / POINTS
        on_line = [settled(piece) for piece in net.pieces(a + t[:, None] * direction)[0]]
        exact = [(net.nodes.index(b.node), int(np.ravel_multi_index(b.unit, shape_of(scene, b.node))), b.t)
                 for b in line.breaks]  # fmt: skip
        assert [b.t for b in line.breaks] == sorted(b.t for b in line.breaks)
        sampled = [(k, int(unit), int(i)) for k, piece in enumerate(on_line)
                   for i, unit in np.argwhere(piece[1:] != piece[:-1])]  # fmt: skip
        by_unit: dict[tuple[int, int], list[float]] = {}
        for k, unit, at in exact:
            by_unit.setdefault((k, unit), []).append(at)
        # Every change between two samples is a break point of that unit between them ...
        for k, unit, i in sampled:
            assert any(t[i] - 1e-9 <= at <= t[i + 1] + 1e-9 for at in by_unit.get((k, unit), [])), (
                k,
                unit,
                t[i],
            )
        # ... and every break point is seen as a change, but for those of one unit too close to tell apart.
        seen = {(k, unit, int(near[i])) for k, unit, i in sampled}
        for k, unit, at in exact:
            alone = sum(abs(at - other) < 2 / POINTS for other in by_unit[k, unit]) == 1
            around = {(k, unit, int(np.floor(at * POINTS)) + step) for step in (-1, 0, 1)}
            assert around & seen or not alone or at > t[-1], (k, unit, at)
        # Up to the departure the gradient is that of the start, behind it another.
        change = [0, *(1 + np.flatnonzero(np.any([np.any(p[1:] != p[:-1], 1) for p in on_line], 0)))]
        g = net.gradient(a + t[change, None] * direction, target)
        same = abs(g - g[0]).max(1) <= 1e-12 * abs(g[0]).max()
        if line.leaves is None:
            assert same.all()
            inside += 1
        else:
            at = line.leaves.t
            assert same[t[change] < at - 1e-9].all()
            before, after = net.gradient(a + np.array([[max(at - 1e-8, 0)], [at + 1e-8]]) * direction, target)
            assert abs(before - g[0]).max() <= 1e-12 * abs(g[0]).max()
            assert abs(after - g[0]).max() > 1e-9
        breaks += len(exact)
    return inside, breaks


def points_near_changes(net: Net, a: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The numbers of those of the points of a segment between which something may change, and of every `STRIDE`-th.

    Where all units are on the same pieces at two points, the network is affine between them: pieces are convex, first
    of the first layer, and so of each behind it. What lies between is left out, and nothing is overlooked.
    """
    ends = np.append(np.arange(0, POINTS - 1, STRIDE), POINTS - 1)
    pieces = net.pieces(a + ends[:, None] / POINTS * direction)[0]
    changed = np.any([np.any(piece[1:] != piece[:-1], axis=1) for piece in pieces], axis=0)
    between = [np.arange(low, high) for low, high in zip(ends[:-1][changed], ends[1:][changed], strict=True)]
    return np.unique(np.concatenate([ends, *between]))


def settled(piece: np.ndarray) -> np.ndarray:
    """A window that runs empty, so that all tie at zero, keeps its winner until another one takes over."""
    single = (piece & (piece - 1)) == 0
    last = np.maximum.accumulate(np.where(single, np.arange(len(piece))[:, None], 0))
    return np.take_along_axis(piece, last, 0)


def shape_of(scene: Scene, node: str) -> tuple[int, ...]:
    return scene.values[scene.plan.graph.by_name[node].output].shape[1:]


@pytest.mark.parametrize(("make", "nets", "lines"), [(mlp, 35, 20), (cnn, 20, 15)], ids=["mlp", "cnn"])
def test_walk_agrees_with_brute_force(make: Any, nets: int, lines: int, rng: np.random.Generator) -> None:
    """700 and 300 random segments."""
    counts = np.array([check_lines(make(rng), lines, rng) for _ in range(nets)]).sum(0)
    inside, breaks = counts
    assert 0.1 * nets * lines < inside < 0.9 * nets * lines
    assert breaks > nets * lines


TWO = "(double[N, 2] x) => (double[N, 1] y) { h = Relu(x) y = Gemm(h, W) }"


def test_break_points_by_hand() -> None:
    scene = scene_of(TWO, [[1.0, 2.0]], W=np.ones((2, 1)))
    down = Downstream(scene, ["x"], "Relu_0")
    (line,) = down.walk([np.array([[-4.0, -4.0]])], every=True)
    assert [(b.t, b.node, b.unit) for b in line.breaks] == [(0.25, "Relu_0", (0,)), (0.5, "Relu_0", (1,))]
    assert line.leaves == line.breaks[0]
    (line,) = down.walk([np.array([[-4.0, -4.0]])])
    assert len(line.breaks) == 1
    assert verdicts(scene, "x", "Relu_0", [3, 3], [0, 0]) == ["inside", "inside"]


def test_slow_units_are_not_overlooked() -> None:
    scene = scene_of(TWO, [[1e-7, 2.0]], W=np.ones((2, 1)))
    assert verdicts(scene, "x", "Relu_0", [-2e-7, 3]) == ["leaves at t=0.5 by 'Relu_0'[0]"]


def test_a_boundary_met_at_the_end_point_is_no_departure() -> None:
    scene = scene_of(TWO, [[1.0, 2.0]], W=np.ones((2, 1)))
    assert verdicts(scene, "x", "Relu_0", [-1, 0], [-1, -2], [-1.001, 0]) == [
        "inside", "inside", "leaves at t=0.999 by 'Relu_0'[0]",
    ]  # fmt: skip


def test_a_unit_on_its_boundary_is_where_the_gradient_takes_it() -> None:
    scene = scene_of(TWO, [[0.0, 2.0]], W=np.ones((2, 1)))
    d = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -4]])
    by_direction = regions(scene, ["x"], "Relu_0", 4, lambda numbers: [d[list(numbers)]])
    assert [v.status for v in by_direction] == ["leaves", "inside", "inside", "leaves"]
    assert [v.on_boundary for v in by_direction] == [True, False, False, False]


POOL = "(float[N, 1, 1, 4] x) => (float[N, 1, 1, 2] y) { y = MaxPool <kernel_shape = [1, 2], strides = [1, 2]> (x) }"


def test_ties_of_a_maximum() -> None:
    scene = scene_of(POOL, np.array([[[[1, 1, 3, 2]]]], np.float32), target=(0, 0, 0))
    moves = [[[[1, 1, 0, 0]]], [[[1, 0, 0, 0]]], [[[-1, -1, 0, 9]]], [[[0, 0, 0, 0]]]]
    assert verdicts(scene, "x", "MaxPool_0", *moves) == [
        "inside", "leaves at t=0 by 'MaxPool_0'[0, 0, 0]", "inside", "inside",
    ]  # fmt: skip


def test_winners_that_tie_move_as_one() -> None:
    text = """(float[N, 1, 1, 4] x) => (float[N, 1, 1, 2] y) {
        p = MaxPool <kernel_shape = [1, 2], strides = [1, 2]> (x) s = Add(p, c) y = Relu(s) }"""
    scene = scene_of(text, np.array([[[[1, 1, 3, 2]]]], np.float32), target=(0, 0, 1), c=np.float32(-1.5))
    (line,) = Downstream(scene, ["x"], "MaxPool_0").walk([np.ones((1, 1, 1, 4))], every=True)
    assert [(b.t, b.node) for b in line.breaks] == [(0.5, "Relu_2")]
    assert line.leaves is None


def test_a_tie_that_rounding_has_broken_is_a_tie() -> None:
    """What a constant background looks like after a convolution: equal, but for the last bit."""
    scene = scene_of(POOL.replace("float", "double"), np.array([[[[1, 1 - 2e-16, 3, 2]]]]), target=(0, 0, 0))
    (verdict,) = verdicts(scene, "x", "MaxPool_0", [[[1, 0, 0, 0]]])
    assert verdict.startswith("leaves at t=0 ")


def test_what_the_target_does_not_feel_is_passed_and_told() -> None:
    scene = scene_of(POOL, np.array([[[[2, 1, 3, 2]]]], np.float32), target=(0, 0, 0))
    down = Downstream(scene, ["x"], "MaxPool_0")
    (line,) = down.walk([np.array([[[[0.0, 2, 0, 4]]]])])
    assert [(b.t, b.unit) for b in line.breaks] == [(0.25, (0, 0, 1)), (0.5, (0, 0, 0))]
    assert line.leaves == line.breaks[1]


def test_a_unit_that_wakes_behind_an_unfelt_one_is_found_where_it_is() -> None:
    """y = relu(relu(x) - 1): at x = -1 the inner unit wakes unfelt, and from there on leads to the outer one."""
    text = "(double[N, 1] x) => (double[N, 1] y) { h = Relu(x) z = Add(h, c) y = Relu(z) }"
    scene = scene_of(text, [[-1.0]], method="gradient", c=np.array([-1.0]))
    (line,) = Downstream(scene, ["x"], "Relu_0").walk([np.array([[4.0]])])
    assert [(b.t, b.node) for b in line.breaks] == [(0.25, "Relu_0"), (0.5, "Relu_2")]
    assert line.leaves == line.breaks[1]


@pytest.mark.parametrize(
    ("op", "f"),
    [
        ("Abs(x)", abs),
        ("Relu(x)", lambda u: np.maximum(u, 0)),
        ("LeakyRelu <alpha = 0.25> (x)", lambda u: np.where(u > 0, u, u / 4)),
        ("Clip(x, low, high)", lambda u: np.clip(u, -0.5, 1)),
        ("Clip(x, low)", lambda u: np.maximum(u, -0.5)),
        ("Clip(x, , high)", lambda u: np.minimum(u, 1)),
        ("Clip(x)", lambda u: u),
    ],
)
def test_pieces(op: str, f: Any) -> None:
    text = f"(double[N, 6] x) => (double[N, 6] y) {{ y = {op} }}"
    loaded = graph(text, low=np.float64(-0.5), high=np.float64(1))
    u = np.array([[-3.0, -0.6, -0.1, 0.2, 0.9, 2.5]])
    switch = OPS["", loaded.nodes[0].op].pieces(Point(loaded.nodes[0], loaded, (0,), {"x": u}))
    state = switch.start(u)
    slope = (f(u + 1e-6) - f(u - 1e-6)) / 2e-6
    np.testing.assert_allclose(switch.value(state, u), f(u))
    np.testing.assert_allclose(switch.push(state, np.ones_like(u)), slope, atol=1e-6)


@pytest.mark.parametrize("op", ["Relu(x)", "LeakyRelu <alpha = 0.25> (x)", "Clip(x, low, high)"])
def test_on_a_boundary_the_slope_is_that_of_the_gradient(op: str) -> None:
    text = f"(float[N, 4] x) => (float[N, 4] y) {{ y = {op} }}"
    constants = {"low": np.float32(-0.5), "high": np.float32(1)}
    u = np.array([[-0.5, 0.0, 1.0, 2.0]], np.float32)
    explainer = onnxdtd.Explainer(model(text, **constants), "gradient")
    loaded = graph(text, **constants)
    switch = OPS["", loaded.nodes[0].op].pieces(Point(loaded.nodes[0], loaded, (0,), {"x": u}))
    slope = switch.push(switch.start(u), np.ones_like(u))
    expected = [explainer(u, i).relevance["x"][0, i] for i in range(4)]
    np.testing.assert_allclose(slope[0], expected)
