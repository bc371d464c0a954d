"""Verdicts on linear regions: where every root is inside, where not, and where region does not apply."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import CheckError, UnsupportedError
from onnxdtd.theory.line import Downstream
from tests.support.model_text import model
from tests.support.plain_nets import scene_of, verdicts

TWO = "(double[N, 2] x) => (double[N, 1] y) { h = Relu(x) y = Gemm(h, W) }"


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "wsquare", "zplus", "signed_zplus", "zbox"])
def test_every_root_of_a_linear_model_is_inside(rule: str, rng: np.random.Generator) -> None:
    text = """(float[N, 1, 6, 6] x) => (float[N, 3] y) {
        z = Conv(x, w, b) p = AveragePool <kernel_shape = [2, 2]> (z) f = Flatten(p) y = Gemm(f, V) }"""
    constants = {"w": rng.normal(size=(2, 1, 3, 3)), "b": rng.normal(size=2), "V": rng.normal(size=(18, 3))}
    proto = model(text, **{k: v.astype(np.float32) for k, v in constants.items()})
    explainer = onnxdtd.Explainer(proto, "epsilon_plus", rules=[{"op": "Conv", "use": rule}])
    x = rng.normal(size=(1, 1, 6, 6)).astype(np.float32)
    for node in ("Conv_0", "AveragePool_1", "Gemm_3"):
        roots = onnxdtd.roots(explainer, x, node)
        assert len(roots) + len(roots.without) == roots.active > 0
        assert roots.in_region == len(roots) / roots.active
        assert all(str(root.region) == "inside" and root.region.breaks == () for root in roots)


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
        roots = onnxdtd.roots(explainer, abs(rng.normal(size=(1, 10))), "Gemm_2")
        assert roots.in_domain == 1 or not roots.active
        inside += sum(root.region is not None and root.region.status == "inside" for root in roots)
        asked += roots.asked
    assert 0 < inside < 0.7 * asked


SMOOTH = "(float[N, 2] x) => (float[N, 1] y) { z = Gemm(x, W) h = Tanh(z) y = Gemm(h, V) }"


def test_smooth_graphs_have_a_remainder_and_no_region() -> None:
    W, V = np.array([[1, -1], [0.5, 2]], np.float32), np.array([[1.5], [0.5]], np.float32)
    explainer = onnxdtd.Explainer(model(SMOOTH, W=W, V=V), "dtd")
    x = np.array([[0.4, 0.3]], np.float32)
    roots = onnxdtd.roots(explainer, x, "Gemm_0")
    assert len(roots) == 2
    assert roots.in_region is None

    def f(x: np.ndarray) -> float:
        return float((np.tanh(x @ W.astype(float)) @ V)[0])

    for root in roots:
        assert root.region is not None
        assert (root.region.status, root.region.leaves) == ("smooth", None)
        there = root.point[0]
        slope = ((1 - np.tanh(there @ W.astype(float)) ** 2) * V[:, 0]) @ W.T
        remainder = abs(f(x[0]) - f(there) - slope @ (x[0] - there)) / f(x[0])
        assert root.region.remainder == pytest.approx(remainder, rel=1e-4)
        assert remainder > 1e-3
        assert "no region: remainder" in str(roots)
    # Behind the last smooth op the rest is linear, and there is a region again.
    (last,) = onnxdtd.roots(explainer, x, "Gemm_2")
    assert str(last.region) == "inside"
    assert [str(r.region) for r in onnxdtd.roots(explainer, x, "Gemm_0", scope="layer")] == [
        str(r.region) for r in roots
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
    assert [part.node.name for part in down.parts] == ["Add_4", "Relu_5"]
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
