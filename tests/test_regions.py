"""The walk of lines against brute force: a network of plain matrices, sampled at 10,000 points a segment."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import CheckError, UnsupportedError
from onnxdtd.model.point import Point
from onnxdtd.theory.line import Downstream
from onnxdtd.theory.regions import regions
from onnxdtd.theory.scene import Scene
from onnxdtd.theory.switches import SWITCHES
from tests.model_text import graph, model

POINTS = 10_000
Stage = tuple[str, Any, Any]


@dataclasses.dataclass
class Net:
    """A network twice: as an ONNX model, and as stages of plain matrices for brute force.

    Stages: ("affine", W, b), ("bend", knots, slopes), ("max", windows, inputs); nodes: of those that switch.
    """

    text: str
    constants: dict[str, Any]
    stages: list[Stage]
    inputs: tuple[int, ...]
    nodes: list[str]

    def explainer(self) -> onnxdtd.Explainer:
        return onnxdtd.Explainer(model(self.text, **self.constants), "gradient")

    def pieces(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Of points (N, n): which piece every unit is on, by switching stage, and the output."""
        found = []
        for kind, one, two in self.stages:
            if kind == "affine":
                x = x @ one + two
            elif kind == "bend":
                found.append(np.searchsorted(one, x, side="left").astype(np.int16))
                x = bend(x, one, two)
            else:
                seen = np.where(one < 0, -np.inf, x[:, one])
                x = seen.max(-1)
                # All winners, as bits: in a window of dead units every unit wins.
                found.append(sum((seen[..., k] == x).astype(np.int32) << k for k in range(seen.shape[-1])))
        return found, x

    def gradient(self, x: np.ndarray, target: int) -> np.ndarray:
        """The gradient of one output at points (N, n)."""
        found, _ = self.pieces(x)
        g = np.zeros((len(x), self.stages[-1][1].shape[1]))
        g[:, target] = 1
        k = len(found)
        for kind, one, two in reversed(self.stages):
            if kind == "affine":
                g = g @ one.T
                continue
            k -= 1
            if kind == "bend":
                g = g * np.asarray(two)[found[k]]
            else:
                back = np.zeros((len(x), two))
                wins = found[k][..., None] >> np.arange(one.shape[-1]) & 1
                shares = g[..., None] * wins / wins.sum(-1, keepdims=True)
                np.add.at(back, (np.arange(len(x))[:, None, None], one), shares)
                g = back
        return g


def bend(u: np.ndarray, knots: Any, slopes: Any) -> np.ndarray:
    """Continuous, slope k between knots k - 1 and k, 0 at 0 or at the first knot of a clip."""
    if len(knots) == 2:
        return np.clip(u, *knots)
    return np.where(u > 0, slopes[1], slopes[0]) * u


BENDS = {
    "Relu": ("Relu ({})", (0.0,), (0.0, 1.0)),
    "LeakyRelu": ("LeakyRelu <alpha = 0.125> ({})", (0.0,), (0.125, 1.0)),
    "Clip": ("Clip ({}, low, high)", (-0.5, 1.0), (0.0, 1.0, 0.0)),
}


def mlp(rng: np.random.Generator) -> Net:
    sizes = [int(n) for n in rng.integers(4, 11, rng.integers(3, 5))] + [3]
    lines, stages, nodes = [], [], []
    constants: dict[str, Any] = {"low": np.float32(-0.5), "high": np.float32(1.0)}
    value = "x"
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        W = (rng.normal(size=(n, m)) / np.sqrt(n) * 1.5).astype(np.float32)
        b = rng.normal(size=m).astype(np.float32) * 0.3
        constants |= {f"W{i}": W, f"b{i}": b}
        last = i == len(sizes) - 2
        lines.append(f"{'y' if last else f'z{i}'} = Gemm({value}, W{i}, b{i})")
        stages.append(("affine", W.astype(float), b.astype(float)))
        if not last:
            op = list(BENDS)[rng.integers(3)]
            text, knots, slopes = BENDS[op]
            lines.append(f"h{i} = {text.format(f'z{i}')}")
            stages.append(("bend", knots, slopes))
            nodes.append(f"{op}_{2 * i + 1}")
            value = f"h{i}"
    text = f"(float[N, {sizes[0]}] x) => (float[N, 3] y) {{ {' '.join(lines)} }}"
    return Net(text, constants, stages, (sizes[0],), nodes)


def unrolled(w: np.ndarray, b: np.ndarray, size: int, pad: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The matrix of a convolution on a square of one size, stride 1."""
    m, c, k, _ = w.shape
    out = size + 2 * pad - k + 1
    W = np.zeros((c, size, size, m, out, out))
    for i, j, p, q in np.ndindex(out, out, k, k):
        row, column = i + p - pad, j + q - pad
        if 0 <= row < size and 0 <= column < size:
            W[:, row, column, :, i, j] += w[:, :, p, q].T
    return W.reshape(c * size * size, -1), np.repeat(b, out * out), out


def windows(channels: int, size: int, kernel: int, stride: int, pad: int) -> tuple[np.ndarray, int]:
    """The flat positions that each pooling window reads, -1 for padding."""
    out = (size + 2 * pad - kernel) // stride + 1
    found = np.full((channels, out, out, kernel * kernel), -1)
    for c, i, j, p, q in np.ndindex(channels, out, out, kernel, kernel):
        row, column = i * stride + p - pad, j * stride + q - pad
        if 0 <= row < size and 0 <= column < size:
            found[c, i, j, p * kernel + q] = (c * size + row) * size + column
    return found.reshape(-1, kernel * kernel), out


def cnn(rng: np.random.Generator) -> Net:
    """Conv, Relu, MaxPool and a Gemm; or Conv, MaxPool, Relu, Conv, GlobalMaxPool, Gemm."""
    size, c = int(rng.integers(4, 6)), int(rng.integers(1, 3))
    w = rng.normal(size=(2, c, 3, 3)).astype(np.float32) / 2
    b = rng.normal(size=2).astype(np.float32) * 0.2
    W, B, out = unrolled(w, b, size, 1)
    kernel, stride, pad = [(2, 2, 0), (3, 2, 1), (2, 1, 0)][rng.integers(3)]
    pads = [pad] * 4
    pool = f"<kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}], pads = {pads}>"
    reads, small = windows(2, out, kernel, stride, pad)
    relu, stages = ("bend", (0.0,), (0.0, 1.0)), [("affine", W, B)]
    head = (
        f"(float[N, {c}, {size}, {size}] x) => (float[N, 3] y) {{ z = Conv <pads = [1, 1, 1, 1]> (x, w, b) "
    )
    if rng.integers(2):
        V, d = rng.normal(size=(2 * small * small, 3)).astype(np.float32), np.zeros(3, np.float32)
        text = head + f"r = Relu(z) p = MaxPool {pool} (r) f = Flatten(p) y = Gemm(f, V, d) }}"
        stages += [relu, ("max", reads, 2 * out * out), ("affine", V.astype(float), d)]
        return Net(text, {"w": w, "b": b, "V": V, "d": d}, stages, (c, size, size), ["Relu_1", "MaxPool_2"])
    u, e = rng.normal(size=(3, 2, 2, 2)).astype(np.float32) / 2, rng.normal(size=3).astype(np.float32) * 0.2
    V, d = rng.normal(size=(3, 3)).astype(np.float32), np.zeros(3, np.float32)
    U, E, last = unrolled(u, e, small, 0)
    everything, _ = windows(3, last, last, 1, 0)
    text = (
        head + f"p = MaxPool {pool} (z) r = Relu(p) v = Conv (r, u, e) g = GlobalMaxPool(v) f = Flatten(g) "
    )
    stages += [
        ("max", reads, 2 * out * out),
        relu,
        ("affine", U, E),
        ("max", everything, 3 * last * last),
        ("affine", V.astype(float), d),
    ]
    return Net(
        text + "y = Gemm(f, V, d) }", {"w": w, "b": b, "u": u, "e": e, "V": V, "d": d}, stages, (c, size, size),
        ["MaxPool_1", "Relu_2", "GlobalMaxPool_4"],
    )  # fmt: skip


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
    t = np.arange(POINTS) / POINTS
    inside = breaks = 0
    for line, direction in zip(down.walk([d], every=True), d.reshape(count, -1), strict=True):
        found = [settled(piece) for piece in net.pieces(a + t[:, None] * direction)[0]]
        exact = [(net.nodes.index(b.node), int(np.ravel_multi_index(b.unit, shape_of(scene, b.node))), b.t)
                 for b in line.breaks]  # fmt: skip
        assert [b.t for b in line.breaks] == sorted(b.t for b in line.breaks)
        sampled = [(k, int(unit), int(i)) for k, piece in enumerate(found)
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
        seen = {(k, unit, i) for k, unit, i in sampled}
        for k, unit, at in exact:
            alone = sum(abs(at - other) < 2 / POINTS for other in by_unit[k, unit]) == 1
            near = {(k, unit, int(np.floor(at * POINTS)) + step) for step in (-1, 0, 1)}
            assert near & seen or not alone or at > t[-1], (k, unit, at)
        # Up to the departure the gradient is that of the start, behind it another.
        change = [0, *(1 + np.flatnonzero(np.any([np.any(p[1:] != p[:-1], 1) for p in found], 0)))]
        g = net.gradient(a + t[change, None] * direction, target)
        same = abs(g - g[0]).max(1) <= 1e-12 * abs(g[0]).max()
        if line.leaves is None:
            assert same.all()
            inside += 1
        else:
            at = line.leaves.t
            assert same[t[change] < at - 1e-9].all()
            around = net.gradient(a + np.array([[max(at - 1e-8, 0)], [at + 1e-8]]) * direction, target)
            assert abs(around[0] - g[0]).max() <= 1e-12 * abs(g[0]).max()
            assert abs(around[1] - g[0]).max() > 1e-9
        breaks += len(exact)
    return inside, breaks


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


def scene_of(text: str, x: Any, target: Any = None, method: str = "dtd", **constants: Any) -> Scene:
    return Scene.of(onnxdtd.Explainer(model(text, **constants), method), np.array(x), target)


def verdicts(scene: Scene, cut: str, layer: str, *directions: Any, **options: Any) -> list[str]:
    d = np.array(directions, float)
    return [
        str(v) for v in regions(scene, [cut], layer, len(d), lambda numbers: [d[list(numbers)]], **options)
    ]


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
    found = regions(scene, ["x"], "Relu_0", 3, lambda n: [np.array([[1.0, 0], [-1, 0], [0, 1]])[list(n)]])
    assert [v.status for v in found] == ["leaves", "inside", "inside"]
    assert [v.on_boundary for v in found] == [True, False, False]


POOL = "(float[N, 1, 1, 4] x) => (float[N, 1, 1, 2] y) { y = MaxPool <kernel_shape = [1, 2], strides = [1, 2]> (x) }"


def test_ties_of_a_maximum() -> None:
    scene = scene_of(POOL, np.array([[[[1, 1, 3, 2]]]], np.float32), target=(0, 0, 0))
    moves = [[[[1, 1, 0, 0]]], [[[1, 0, 0, 0]]], [[[-1, -1, 0, 9]]], [[[0, 0, 0, 0]]]]
    assert verdicts(scene, "x", "MaxPool_0", *moves) == [
        "inside", "leaves at t=0 by 'MaxPool_0'[0, 0, 0]", "inside", "inside",
    ]  # fmt: skip


def test_winners_that_tie_move_as_one() -> None:
    text = f"(float[N, 1, 1, 4] x) => (float[N, 1, 1, 2] y) {{ {POOL[POOL.index('y = ') : -2].replace('y =', 'p =')} s = Add(p, c) y = Relu(s) }}"
    scene = scene_of(text, np.array([[[[1, 1, 3, 2]]]], np.float32), target=(0, 0, 1), c=np.float32(-1.5))
    (line,) = Downstream(scene, ["x"], "MaxPool_0").walk([np.ones((1, 1, 1, 4))], every=True)
    assert [(b.t, b.node) for b in line.breaks] == [(0.5, "Relu_2")]
    assert line.leaves is None


def test_a_tie_that_rounding_has_broken_is_a_tie() -> None:
    """What a constant background looks like after a convolution: equal, but for the last bit."""
    scene = scene_of(POOL.replace("float", "double"), np.array([[[[1, 1 - 2e-16, 3, 2]]]]), target=(0, 0, 0))
    (found,) = verdicts(scene, "x", "MaxPool_0", [[[1, 0, 0, 0]]])
    assert found.startswith("leaves at t=0 ")


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
    switch = SWITCHES[loaded.nodes[0].op](Point(loaded.nodes[0], loaded, (0,), {"x": u}))
    state = switch.start(u)
    slope = (f(u + 1e-6) - f(u - 1e-6)) / 2e-6
    np.testing.assert_allclose(switch.value(state, u), f(u))
    np.testing.assert_allclose(switch.push(state, np.ones_like(u)), slope, atol=1e-6)
    np.testing.assert_allclose(switch.pull(state, np.ones_like(u)), slope, atol=1e-6)


@pytest.mark.parametrize("op", ["Relu(x)", "LeakyRelu <alpha = 0.25> (x)", "Clip(x, low, high)"])
def test_on_a_boundary_the_slope_is_that_of_the_gradient(op: str) -> None:
    text = f"(float[N, 4] x) => (float[N, 4] y) {{ y = {op} }}"
    constants = {"low": np.float32(-0.5), "high": np.float32(1)}
    u = np.array([[-0.5, 0.0, 1.0, 2.0]], np.float32)
    explainer = onnxdtd.Explainer(model(text, **constants), "gradient")
    loaded = graph(text, **constants)
    switch = SWITCHES[loaded.nodes[0].op](Point(loaded.nodes[0], loaded, (0,), {"x": u}))
    slope = switch.push(switch.start(u), np.ones_like(u))
    expected = [explainer(u, i).relevance["x"][0, i] for i in range(4)]
    np.testing.assert_allclose(slope[0], expected)


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "wsquare", "zplus", "signed_zplus", "zbox"])
def test_every_root_of_a_linear_model_is_inside(rule: str, rng: np.random.Generator) -> None:
    text = """(float[N, 1, 6, 6] x) => (float[N, 3] y) {
        z = Conv(x, w, b) p = AveragePool <kernel_shape = [2, 2]> (z) f = Flatten(p) y = Gemm(f, V) }"""
    constants = {"w": rng.normal(size=(2, 1, 3, 3)), "b": rng.normal(size=2), "V": rng.normal(size=(18, 3))}
    proto = model(text, **{k: v.astype(np.float32) for k, v in constants.items()})
    explainer = onnxdtd.Explainer(proto, "epsilon_plus", rules=[{"op": "Conv", "use": rule}])
    x = rng.normal(size=(1, 1, 6, 6)).astype(np.float32)
    for node in ("Conv_0", "AveragePool_1", "Gemm_3"):
        found = onnxdtd.roots(explainer, x, node)
        assert len(found) + len(found.without) == found.active > 0
        assert found.in_region == len(found) / found.active
        assert all(str(root.region) == "inside" and root.region.breaks == () for root in found)


def test_relu_networks_have_roots_outside_the_region(rng: np.random.Generator) -> None:
    """C5: as Sixt and Landgraf built them, positive weights scaled up and biases <= 0."""
    inside = asked = 0
    for _ in range(10):
        W = {f"W{i}": rng.normal(size=(n, m)) for i, (n, m) in enumerate([(10, 10), (10, 10), (10, 2)])}
        W = {k: np.where(w > 0, 1.4 * w, w) for k, w in W.items()}
        b = {f"b{i}": -abs(rng.normal(size=m)) for i, m in enumerate([10, 10, 2])}
        text = """(double[N, 10] x) => (double[N, 2] y) { z0 = Gemm(x, W0, b0) h0 = Relu(z0)
            z1 = Gemm(h0, W1, b1) h1 = Relu(z1) y = Gemm(h1, W2, b2) }"""
        explainer = onnxdtd.Explainer(model(text, **W, **b), "excitation_backprop")
        found = onnxdtd.roots(explainer, abs(rng.normal(size=(1, 10))), "Gemm_2")
        assert found.in_domain == 1 or not found.active
        inside += sum(root.region is not None and root.region.status == "inside" for root in found)
        asked += found.asked
    assert 0 < inside < 0.7 * asked


SMOOTH = "(float[N, 2] x) => (float[N, 1] y) { z = Gemm(x, W) h = Tanh(z) y = Gemm(h, V) }"


def test_smooth_graphs_have_a_remainder_and_no_region() -> None:
    W, V = np.array([[1, -1], [0.5, 2]], np.float32), np.array([[1.5], [0.5]], np.float32)
    explainer = onnxdtd.Explainer(model(SMOOTH, W=W, V=V), "dtd")
    x = np.array([[0.4, 0.3]], np.float32)
    found = onnxdtd.roots(explainer, x, "Gemm_0")
    assert len(found) == 2
    assert found.in_region is None

    def f(x: np.ndarray) -> float:
        return float((np.tanh(x @ W.astype(float)) @ V)[0])

    for root in found:
        assert root.region is not None
        assert (root.region.status, root.region.leaves) == ("smooth", None)
        there = root.point[0]
        slope = ((1 - np.tanh(there @ W.astype(float)) ** 2) * V[:, 0]) @ W.T
        remainder = abs(f(x[0]) - f(there) - slope @ (x[0] - there)) / f(x[0])
        assert root.region.remainder == pytest.approx(remainder, rel=1e-4)
        assert remainder > 1e-3
        assert "no region: remainder" in str(found)
    # Behind the last smooth op the rest is linear, and there is a region again.
    (last,) = onnxdtd.roots(explainer, x, "Gemm_2")
    assert str(last.region) == "inside"
    assert [str(r.region) for r in onnxdtd.roots(explainer, x, "Gemm_0", scope="layer")] == [
        str(r.region) for r in found
    ]


def test_the_layer_alone_or_the_whole_network() -> None:
    """The unit of the layer itself switches at t = 1/2, the one above it at t = 1/4."""
    text = """(double[N, 2] x) => (double[N, 1] y) {
        z = Gemm(x, I) h = Relu(z) u = Gemm(h, I, c) r = Relu(u) y = Gemm(r, V) }"""
    scene = scene_of(text, [[1.0, 2.0]], I=np.eye(2), c=np.array([0, -1.5]), V=np.ones((2, 1)))
    for scope, verdict in (
        ("network", "leaves at t=0.25 by 'Relu_3'[1]"), ("layer", "leaves at t=0.5 by 'Relu_1'[0]"),
    ):  # fmt: skip
        assert verdicts(scene, "x", "Gemm_0", [-2, -2], scope=scope) == [verdict]


def test_skip_connections_move_with_the_layer() -> None:
    """y = relu(x - 2 relu(x) + 3) along x = 1 + 4 t: both branches move, the sum turns negative at x = 3."""
    text = """(double[N, 1] x) => (double[N, 1] y) {
        h = Relu(x) z = Gemm(h, W) s = Add(x, z) u = Add(s, c) y = Relu(u) }"""
    scene = scene_of(text, [[1.0]], method="gradient", W=np.array([[-2.0]]), c=np.array([3.0]))
    assert verdicts(scene, "x", "Relu_0", [4]) == ["leaves at t=0.5 by 'Relu_4'[0]"]


def test_both_inputs_of_a_residual_sum_are_moved_as_given() -> None:
    """What computes one branch from the other lies before the cut, not behind it."""
    text = """(double[N, 1] x) => (double[N, 1] y) {
        h = Relu(x) u = Gemm(h, W) r = Relu(u) z = Gemm(r, W) s = Add(h, z) y = Relu(s) }"""
    scene = scene_of(text, [[1.0]], W=np.array([[2.0]]))
    down = Downstream(scene, ["h", "z"], "Add_4")
    assert [step.node.name for step in down.steps] == ["Add_4", "Relu_5"]
    (line,) = down.walk([np.array([[-5.0]]), np.array([[-5.0]])])
    assert (line.leaves and line.leaves.t, len(line.breaks)) == (0.5, 1)
    (root,) = onnxdtd.roots(onnxdtd.Explainer(model(text, W=np.array([[2.0]])), "dtd"), [[1.0]], "Add_4")
    assert str(root.region) == "inside"


def test_a_forward_pass_that_disagrees_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(TWO, [[1.0, 2.0]], W=np.ones((2, 1)))
    wrong = dataclasses.replace(scene, values={**scene.values, "y": scene.values["y"] + 1})
    with pytest.raises(CheckError, match="the walk of lines computes 'y' with an error of 1 where"):
        Downstream(wrong, ["x"], "Relu_0")


def test_lines_that_would_mix_the_batch_are_refused() -> None:
    text = "(float[N, 3] x) => (float[3, N] y) { h = Relu(x) y = Transpose(h) }"
    scene = scene_of(text, np.ones((1, 3), np.float32), method="gradient")
    with pytest.raises(UnsupportedError, match="does not have the batch as its first axis"):
        Downstream(scene, ["x"], "Relu_0")
