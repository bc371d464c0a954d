"""Roots against numbers from first principles, a dense oracle, and what the theory promises of them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import UnsupportedError
from onnxdtd.theory import roots as module
from tests.support.model_text import model
from tests.support.paths import GOLDENS, MODELS

ROWS = json.loads((GOLDENS / "first_principles.json").read_text())
LAYERS = [row for row in ROWS if row["kind"] == "layer"]
DIGIT = np.load(MODELS / "mnist_digit.npy")
RULES: list[dict[str, Any]] = [
    {"use": "epsilon", "epsilon": 0.0, "bias": "redistribute"},
    {"use": "gamma", "epsilon": 0.0, "bias": "redistribute"},
    {"use": "gamma_plain", "epsilon": 0.0, "bias": "redistribute"},
    {"use": "wsquare", "epsilon": 0.0, "bias": "redistribute"},
    {"use": "flat", "epsilon": 0.0},
    {"use": "zplus", "epsilon": 0.0, "bias": "redistribute"},
    {"use": "signed_zplus"},
    {"use": "alpha_beta", "epsilon": 0.0, "bias": "redistribute"},
    {"use": "zbox", "low": -0.5, "high": 1.5, "epsilon": 0.0},
    {"use": "zplus_shifted", "low": -0.5, "epsilon": 0.0},
    {"use": "zminus_shifted", "high": 1.5, "epsilon": 0.0},
]


def dense(rule: dict[str, Any], W: Any, b: Any, **options: Any) -> onnxdtd.Explainer:
    """One layer, x W + b, behind it a ReLU; in float64."""
    text = f"(double[N, {len(W)}] x) => (double[N, {len(b)}] y) {{ z = Gemm(x, W, b) y = Relu(z) }}"
    return onnxdtd.Explainer(model(text, W=W, b=b), "dtd", rules=[{"op": "Gemm", **rule}], **options)


def whole(root: Any, x: np.ndarray, slot: int = 0) -> np.ndarray:
    """The root as a point of the whole input."""
    point = x[0].astype(np.float64)
    point[root.at[slot]] = root.point[slot]
    return point


@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row["rule"])
def test_golden_roots(row: dict[str, Any]) -> None:
    rule = {"use": row["rule"], **{k: row[k] for k in ("low", "high") if row["rule"][:2] == "zb" and row[k]}}
    if row["rule"] == "zplus_shifted":
        rule["low"] = row["low"]
    x = np.array([row["x"]])
    explainer = dense(rule, np.array(row["W"]), np.array(row["b"]))
    for j, expected in enumerate(row["roots"]):
        actual = onnxdtd.roots(explainer, x, "Gemm_0", target=j)
        assert len(actual) == (expected is not None)
        for root in actual:
            assert root.neuron == (j,)
            np.testing.assert_allclose(root.point[0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("rule", "v", "t", "point"),
    [
        ({"use": "zplus"}, (1, 0), 1 / 4, (3 / 4, 1)),
        ({"use": "wsquare"}, (2, -1), 1 / 10, (4 / 5, 11 / 10)),
        ({"use": "zbox", "low": 0.0, "high": 3.0}, (1, -2), 1 / 8, (7 / 8, 5 / 4)),
    ],
    ids=["zplus", "wsquare", "zbox"],
)
def test_worked_example(rule: dict[str, Any], v: Any, t: float, point: Any) -> None:
    explainer = dense(rule, np.array([[2.0], [-1.0]]), np.array([-0.5]), input_range=(0, 3))
    (root,) = onnxdtd.roots(explainer, np.array([[1.0, 1.0]]), "Gemm_0")
    assert (root.z, root.bias, root.relevance, root.t) == (0.5, -0.5, 0.5, t)
    np.testing.assert_array_equal(root.v[0], v)
    np.testing.assert_allclose(root.point[0], point, rtol=1e-15)
    assert root.residual == 0
    assert root.distance == pytest.approx(math.dist(point, (1, 1)), rel=1e-14)
    assert root.in_domain
    assert root.region is not None
    assert root.region.status == "inside"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["use"])
def test_z_is_zero_at_every_root(rule: dict[str, Any], rng: np.random.Generator) -> None:
    W, b, x = rng.normal(size=(12, 9)), rng.normal(size=9), rng.normal(size=(1, 12))
    roots = onnxdtd.roots(dense(rule, W, b), x, "Gemm_0", neurons=range(9), scope=None)
    assert len(roots) == roots.asked == 9
    for root in roots:
        (j,) = root.neuron
        size = np.abs(root.point[0] * W[:, j]).sum() + abs(b[j])
        assert abs(root.point[0] @ W[:, j] + b[j]) < 1e-9 * max(size, 1)
        assert abs(root.residual) < 1e-9 * max(size, 1)
        np.testing.assert_allclose(root.z, x[0] @ W[:, j] + b[j], rtol=1e-12)
        np.testing.assert_allclose(root.distance, np.linalg.norm(root.point[0] - x[0]), rtol=1e-9)


def test_the_residual_is_measured(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Weights that are not the op's give points that are no roots, and the residual tells."""
    explainer = dense({"use": "epsilon"}, rng.normal(size=(4, 3)), rng.normal(size=3))
    honest = module.weights
    monkeypatch.setattr(module, "weights", lambda site, e: [1.01 * w for w in honest(site, e)])
    for root in onnxdtd.roots(explainer, rng.normal(size=(1, 4)), "Gemm_0", neurons=range(3), scope=None):
        assert abs(root.residual) > 1e-3 * abs(root.z)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["use"])
def test_direction_is_that_of_the_rule(rule: dict[str, Any], rng: np.random.Generator) -> None:
    """v_ij w_ij over its sum, times R_j, is what the rule itself hands to input i."""
    W, b, x = rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=(1, 6))
    explainer = dense(rule, W, b)
    for j in np.flatnonzero(x[0] @ W + b > 0):
        (root,) = onnxdtd.roots(explainer, x, "Gemm_0", target=int(j))
        terms = root.v[0] * W[:, j]
        shares = terms / terms.sum() * root.relevance
        np.testing.assert_allclose(explainer(x, int(j)).relevance["x"][0], shares, rtol=1e-9, atol=1e-12)


def test_signed_zplus_roots_lie_between_x_and_zero_where_the_bias_opposes(rng: np.random.Generator) -> None:
    W, b, x = rng.normal(size=(8, 40)), rng.normal(size=40), rng.normal(size=(1, 8))
    roots = onnxdtd.roots(dense({"use": "signed_zplus"}, W, b), x, "Gemm_0", neurons=range(40))
    opposing = [root for root in roots if root.bias * root.z <= 0]
    assert roots.opposed == 40 - len(opposing) > 5
    assert len(opposing) > 5
    for root in opposing:
        assert 0 < root.t <= 1 + 1e-12
        assert (root.point[0] * x[0] >= -1e-12).all()
        assert (abs(root.point[0]) <= abs(x[0]) + 1e-12).all()
    assert any((root.point[0] * x[0] < 0).any() for root in roots if root.bias * root.z > 0)


def test_a_bias_of_the_sign_of_z_pushes_the_root_out_of_the_domain() -> None:
    one = np.array([[1.0]])
    for b, t, inside in ((-0.5, 0.5, True), (1.0, 2.0, False)):
        explainer = dense({"use": "signed_zplus"}, one, np.array([b]), input_range=(0, 10))
        roots = onnxdtd.roots(explainer, one, "Gemm_0")
        assert (roots[0].t, roots[0].in_domain, roots.in_domain) == (t, inside, float(inside))
        assert roots.opposed == (not inside)


def test_the_domain_is_known_element_by_element() -> None:
    """The root (2, 1/2) lies in [0, 10]^2, but not in [0, 1] x [0, 10]."""
    for high, inside in (([1.0, 10.0], False), ([10.0, 10.0], True)):
        explainer = dense(
            {"use": "wsquare"}, np.array([[-1.0], [0.0]]), np.array([2.0]), input_range=([0.0, 0.0], high)
        )
        (root,) = onnxdtd.roots(explainer, np.array([[0.5, 0.5]]), "Gemm_0")
        assert root.point[0].tolist() == [2.0, 0.5]
        assert root.in_domain == inside


def test_a_neuron_that_only_its_bias_keeps_active_has_no_root() -> None:
    explainer = dense({"use": "zplus"}, np.array([[-1.0, 1.0], [-2.0, 1.0]]), np.array([5.0, -1.0]))
    roots = onnxdtd.roots(explainer, np.array([[1.0, 1.0]]), "Gemm_0", neurons=[0, 1])
    assert (len(roots), roots.asked, roots.in_domain, roots.in_region) == (1, 2, 0.5, 0.5)
    assert roots.without == (((0,), "no contribution that the rule shares by: its direction is zero"),)


CONVOLUTIONS = {
    "plain": "Conv <pads = [1, 1, 1, 1], strides = [2, 1]> (x, w, b)",
    "grouped": "Conv <group = 2, dilations = [2, 1]> (x, g, b)",
    "transposed": "ConvTranspose <strides = [2, 2]> (x, u, b)",
    "average": "AveragePool <kernel_shape = [3, 2], pads = [0, 1, 0, 0]> (x)",
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["use"])
def test_roots_of_a_convolution_are_those_of_its_matrix(
    name: str, rule: dict[str, Any], rng: np.random.Generator
) -> None:
    w, g, u = (
        rng.normal(size=size).astype(np.float32) for size in ((4, 2, 3, 3), (4, 1, 3, 3), (2, 4, 2, 2))
    )
    b = np.zeros(4, np.float32) if name == "average" else rng.normal(size=4).astype(np.float32)
    proto = model(
        f"(float[N, 2, 6, 5] x) => (float[N, 4, A, B] z) {{ z = {CONVOLUTIONS[name]} }}", w=w, g=g, u=u, b=b
    )
    op = CONVOLUTIONS[name].split()[0]
    explainer = onnxdtd.Explainer(proto, "dtd", rules=[{"op": op, **rule}])
    x = rng.uniform(0.1, 1, (1, 2, 6, 5)).astype(np.float32)

    # The matrix: what the op makes of every unit vector, by onnxruntime.
    run = onnxdtd.Explainer(proto, "gradient")
    name_of = next(iter(run(x).outputs))
    units = np.eye(60, dtype=np.float32).reshape(60, 2, 6, 5)
    z0 = run(np.zeros_like(x)).outputs[name_of]
    shape = z0.shape[1:]
    W = (run(units).outputs[name_of] - z0).reshape(60, -1).astype(np.float64)
    neurons = [tuple(map(int, np.unravel_index(k, shape))) for k in rng.choice(W.shape[1], 8, replace=False)]
    roots = onnxdtd.roots(explainer, x, f"{op}_0", neurons=neurons, scope=None)
    by_neuron = {root.neuron: root for root in roots}
    assert by_neuron or name == "average"
    for neuron in neurons:
        column = int(np.ravel_multi_index(neuron, shape))
        step = dense_step(rule, W[:, column], z0.ravel()[column], x.ravel())
        assert (neuron in by_neuron) == (step is not None)
        if step is not None:
            root, full = by_neuron[neuron], x.ravel() - step
            np.testing.assert_allclose(whole(root, x).ravel(), full, rtol=1e-4, atol=1e-4 * abs(full).max())
            np.testing.assert_allclose(root.distance, np.linalg.norm(step), rtol=1e-4)
            assert root.x[0].size < x.size


def dense_step(rule: dict[str, Any], w: np.ndarray, b: float, x: np.ndarray) -> Any:
    """x - root of one neuron as a dense layer, None without one; flat's by its formula, v = 1 / w."""
    if rule["use"] == "flat":
        v = np.divide(1, w, out=np.zeros_like(w), where=w != 0)
        return (x @ w + b) / (v @ w) * v
    explainer = dense(rule, w[:, None].astype(np.float64), np.array([b], np.float64))
    roots = onnxdtd.roots(explainer, x[None].astype(np.float64), "Gemm_0", neurons=[0], scope=None)
    return x - roots[0].point[0] if len(roots) else None


def test_first_layer_roots_of_a_digit_are_images() -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn_nonpositive_bias.onnx", "dtd", input_range=(0, 1))
    roots = onnxdtd.roots(explainer, DIGIT, "/0/Conv", neurons=200)
    assert len(roots) == roots.asked == 200
    assert roots.in_domain == 1
    assert roots.opposed == 0
    assert all(root.point[0].min() >= -1e-9 and root.point[0].max() <= 1 + 1e-9 for root in roots)
    assert all(abs(root.residual) < 1e-9 for root in roots)


def test_sums_have_a_root_in_every_input() -> None:
    proto = model("(double[N, 3] x) => (double[N, 3] y) { h = Relu(x) n = Neg(x) y = Add(h, n) }")
    explainer = onnxdtd.Explainer(proto, "dtd", rules=[{"op": "Add", "use": "epsilon"}])
    x = np.array([[1.0, -2.0, 3.0]])
    (root,) = onnxdtd.roots(explainer, x, "Add_2", target=1)
    assert root.z == 2
    assert [v.tolist() for v in root.v] == [[0.0], [2.0]]
    assert [p.tolist() for p in root.point] == [[0.0], [0.0]]
    twice = model("(double[N, 3] x) => (double[N, 3] y) { h = Relu(x) y = Add(h, h) }")
    with pytest.raises(UnsupportedError, match="reads one value twice"):
        onnxdtd.roots(onnxdtd.Explainer(twice, "dtd"), x, "Add_1")


def test_an_input_of_weight_zero_has_no_flat_root() -> None:
    W = np.array([[1.0], [0.0]])
    roots = onnxdtd.roots(dense({"use": "flat"}, W, np.zeros(1)), np.ones((1, 2)), "Gemm_0")
    assert [reason for _, reason in roots.without] == ["the rule gives a share to an input of weight zero"]
