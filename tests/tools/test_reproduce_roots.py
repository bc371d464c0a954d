"""The reproduction of roots outside the linear region, small: its walk, its controls, its figures."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.theory.roots import roots as general_roots
from tests.support.paths import FIGURES
from tools.reproduce import mlps, roots_outside
from tools.reproduce.mlps import MLPs, draw, leaves
from tools.reproduce.roots_outside import NAMES, measure, outside, page, points

Array = np.ndarray


def scenes(count: int, seed: int = 3) -> tuple[MLPs, Array]:
    rng = np.random.default_rng(seed)
    networks, x, _ = points(draw(count, rng), 1, rng)
    return networks, x


def test_twenty_networks_of_each_kind() -> None:
    measured = measure(40, 20, 1, steps=200)
    assert measured["random"]["networks"] >= 20
    assert measured["trained"]["networks"] == 20
    assert measured["trained"]["accuracy"][0] > 0.8
    for kind in ("random", "trained"):
        for rule in NAMES:
            first, second, last = measured[kind]["shares"][rule]
            for cell in (first, second):
                assert 0 < cell["low"] <= cell["share"] <= cell["high"] <= 1
                assert cell["share"] < 1
            assert last["share"] == 0
    assert measured == measure(40, 20, 1, steps=200)
    text = page(measured)
    assert f"{100 * measured['random']['shares']['zplus'][0]['share']:.1f} %" in text


@pytest.mark.parametrize("rule", NAMES)
def test_a_linear_network_has_no_outside(rule: str) -> None:
    networks, x = scenes(40)
    linear = MLPs(networks.weights, networks.biases, linear=True)
    for level in range(3):
        active, _, out = outside(linear, x, level, rule)
        assert active.any()
        assert not out.any()


@pytest.mark.parametrize("rule", NAMES)
def test_every_root_is_a_root(rule: str) -> None:
    networks, x = scenes(40)
    for level in range(3):
        active, roots, _ = outside(networks, x, level, rule)
        w, b = networks.weights[level], networks.biases[level]
        z = np.einsum("noi,noi->no", w, roots) + b
        np.testing.assert_allclose(z[active], 0, atol=1e-10)
        if rule in ("epsilon", "zplus", "zbox"):
            assert roots[active].min() > -1e-9  # in the domain of what follows a ReLU


def test_rule_zero_of_the_last_hidden_layer_by_hand() -> None:
    """All roots lie on the ray to 0, and only the first unit to switch on it has its own inside."""
    networks, x = scenes(60)
    active, _, out = outside(networks, x, 1, "epsilon")
    np.testing.assert_array_equal((active & ~out).sum(1), np.minimum(active.sum(1), 1))


def gradients(networks: MLPs, p: Array) -> Array:
    """The gradient of the single logit at points (N, T, inputs), by plain backpropagation."""
    a, gates = p, []
    for w, b in zip(networks.weights[:-1], networks.biases[:-1], strict=True):
        z = a @ w.swapaxes(1, 2) + b[:, None]
        gates.append(z > 0)
        a = np.maximum(z, 0)
    g = np.broadcast_to(networks.weights[-1], (*p.shape[:2], networks.weights[-1].shape[2]))
    for w, gate in zip(networks.weights[-2::-1], gates[::-1], strict=True):
        g = (g * gate) @ w
    return g


def test_the_walk_agrees_with_ten_thousand_points_on_each_segment() -> None:
    """No false inside, and where it leaves the gradient does change, at the t that is told."""
    networks, x = scenes(20)
    shares = (np.arange(10_000) + 0.5) / 10_000
    verdicts = []
    for rule in ("wsquare", "zplus"):
        active, roots, _ = outside(networks, x, 0, rule)
        rows, neurons = np.nonzero(active)
        ends, chosen = roots[rows, neurons], networks.take(rows)
        t = leaves(chosen, x[rows], ends)
        for i in range(len(rows)):
            one = chosen.take(np.array([i]))
            line = x[rows[i]] + shares[:, None] * (ends[i] - x[rows[i]])
            g = gradients(one, line[None])[0]
            changed = np.abs(g - g[0]).max(1) > 1e-9 * np.abs(g[0]).max()
            verdicts.append(bool(np.isfinite(t[i])))
            if changed.any():
                assert t[i] <= shares[changed.argmax()]
                assert t[i] > shares[changed.argmax()] - 2e-4 or t[i] == 0
            else:
                assert t[i] > 1 - 2e-4  # a piece too short for the points
    assert 0 < np.mean(verdicts) < 1


def as_onnx(networks: MLPs, i: int) -> onnx.ModelProto:
    """Network i as ONNX, float64."""
    nodes, constants = [], []
    for k, (w, b) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        constants += [numpy_helper.from_array(w[i], f"w{k}"), numpy_helper.from_array(b[i], f"b{k}")]
        last = k == len(networks.weights) - 1
        nodes.append(
            helper.make_node(
                "Gemm", [f"a{k}", f"w{k}", f"b{k}"], ["y" if last else f"z{k}"], f"dense{k}", transB=1
            )
        )
        nodes += [] if last else [helper.make_node("Relu", [f"z{k}"], [f"a{k + 1}"], f"relu{k}")]
    ends = [helper.make_tensor_value_info(k, TensorProto.DOUBLE, ["N", n]) for k, n in (("a0", 10), ("y", 1))]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_package_s_own_walk_gives_the_same_verdicts() -> None:
    networks, x = scenes(90)
    assert len(x) >= 50
    compared = 0
    expected = {(rule, level): outside(networks, x, level, rule) for rule in NAMES for level in (0, 1)}
    for i in range(50):
        model = as_onnx(networks, i)
        for rule in (("epsilon", "wsquare"), ("gamma", "zplus"))[i % 2]:
            options = [{"op": "Gemm", "use": rule}]
            explainer = onnxdtd.Explainer(model, "epsilon_plus", rules=options)
            for level in (0, 1):
                active, points_of, out = (part[i] for part in expected[rule, level])
                chosen = [int(j) for j in np.flatnonzero(active)]
                for root in general_roots(explainer, x[i : i + 1], f"dense{level}", 0, chosen):
                    (j,) = root.neuron
                    np.testing.assert_allclose(root.point[0], points_of[j][root.at[0]], atol=1e-9)
                    assert (root.region.status == "leaves") == out[j], (i, rule, level, j)
                    compared += 1
    assert compared > 500


def test_the_page_that_is_shipped_is_what_the_tool_writes() -> None:
    document = json.loads((FIGURES / "roots_outside.json").read_text())
    assert (FIGURES / "roots_outside.md").read_text() == page(document)
    assert document["random"]["networks"] >= 1000
    assert document["trained"]["networks"] >= 20
    assert (FIGURES / "roots_outside.png").stat().st_size > 10_000


def test_switching_units_that_nothing_feels_do_not_count() -> None:
    """A unit whose way to the logit is closed may switch: the gradient stays."""
    w1, w2, w3 = np.array([[[1.0, 0], [0, 1]]]), np.array([[[1.0, 0], [0, 0]]]), np.array([[[1.0, 1]]])
    networks = MLPs((w1, w2, w3), (np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 1))))
    start = np.array([[1.0, 1.0]])
    assert leaves(networks, start, np.array([[1.0, -1.0]]))[0] == np.inf
    assert leaves(networks, start, np.array([[-1.0, 1.0]]))[0] == 0.5


def test_the_thresholds_are_what_the_page_says() -> None:
    networks, x = scenes(50)
    logits = networks.forward(x)[-1][:, 0]
    assert logits.min() > roots_outside.THRESHOLD
    assert 0 <= x.min() <= x.max() <= mlps.HIGH
    assert all(b.max() <= 0 for b in networks.biases)
