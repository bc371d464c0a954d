"""The remaining figures of the critique, small: by hand, by controls, and their pages against their numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from tests.support.paths import DOCS, FIGURES
from tests.tools.test_reproduce_convergence import dense
from tools.reproduce import adversarial_roots, kinds, roots_in_networks, shattered, softplus
from tools.reproduce.experiment import bootstrap, cell
from tools.reproduce.mlps import MLPs, draw

Array = np.ndarray
PAGES = (adversarial_roots, kinds, roots_in_networks, shattered, softplus)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Two dense layers without a ReLU: linear, so one region."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) for shape in ((6, 8), (8, 3))]
    path = tmp_path / "linear.onnx"
    onnx.save(dense(*weights, rectify=False), path)
    return path


@pytest.mark.parametrize("module", PAGES, ids=lambda module: module.__name__.split(".")[-1])
def test_the_page_is_made_from_its_numbers(module: ModuleType) -> None:
    name = module.__name__.split(".")[-1]
    measured = json.loads((FIGURES / f"{name}.json").read_text())
    assert (FIGURES / f"{name}.md").read_text() == module.page(measured)
    assert (FIGURES / f"{name}.png").stat().st_size > 10_000
    assert f"figures/{name}." in (DOCS / "rigour.md").read_text()


def test_a_bootstrap_draws_groups_not_values() -> None:
    row = bootstrap([1, 1, 1, 3, 3, 3, math.nan], [0, 0, 0, 1, 1, 1, 1], "mean")
    assert (row["value"], row["low"], row["high"], row["of"]) == (2, 1, 3, 6)
    assert cell(row, "{:.1f}") == "2.0 [1.0, 3.0]"
    assert bootstrap([5, 1, 4, 2])["value"] == 3
    assert bootstrap([5, 1, 4])["value"] == 4


# Shattered gradients.


def test_expected_cosines_by_hand() -> None:
    """One layer: the gates agree on 1 - angle / pi. Two: the angle behind the first is arccos of Cho and Saul's."""
    assert shattered.expected(1.0, 1, False) == pytest.approx(0.75)
    angle = math.acos((math.sin(math.pi / 4) + 0.75 * math.pi * math.cos(math.pi / 4)) / math.pi)
    assert shattered.expected(1.0, 2, False) == pytest.approx(0.75 * (1 - angle / math.pi))
    assert shattered.expected(0.1, 64, True) > 0.8 > 0.3 > shattered.expected(0.1, 64, False)


@pytest.mark.parametrize("residual", [False, True])
def test_slopes_are_those_of_the_function(residual: bool) -> None:
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal((5, 4)), rng.standard_normal((5, 5)), rng.standard_normal((5, 5))]
    readout, x = rng.standard_normal(5), rng.standard_normal((3, 4))

    def f(point: Array) -> Array:
        h = point @ weights[0].T
        for level, w in enumerate(weights[1:], start=1):
            branch = np.maximum(h, 0) @ w.T
            h = h + branch / math.sqrt(level) if residual else branch
        return np.maximum(h, 0) @ readout

    moved = np.stack([(f(x + e) - f(x - e)) / 2e-6 for e in 1e-6 * np.eye(4)], axis=1)
    assert shattered.slopes(weights, readout, x, residual) == pytest.approx(moved, abs=1e-5)


def test_a_step_is_as_long_as_asked_and_at_right_angles() -> None:
    x = np.random.default_rng(2).standard_normal((3, 2, 5))
    way = (shattered.stepped(x, 0.1, np.random.default_rng(3)) - x).reshape(3, -1)
    assert np.linalg.norm(way, axis=1) == pytest.approx(0.1 * np.linalg.norm(x.reshape(3, -1), axis=1))
    assert (way * x.reshape(3, -1)).sum(1) == pytest.approx(0, abs=1e-12)
    assert shattered.cosines(np.array([[3.0, 4.0], [0, 0]]), np.array([[4.0, 3.0], [1, 1]]))[
        0
    ] == pytest.approx(0.96)
    assert np.isnan(shattered.cosines(np.zeros((1, 2)), np.ones((1, 2)))[0])


def test_a_linear_network_does_not_shatter(saved: Path) -> None:
    x = np.random.default_rng(4).random((4, 6), np.float32)
    table = shattered.shipped(saved, x, (0.0, 1.0), 0)
    assert table["gradient"]["0.1"]["low"] == pytest.approx(1, abs=1e-6)


# Softplus.


def test_one_neuron_by_hand() -> None:
    """f(a) = softplus(2 a) at a = 1.5 from the root 0: ln 2 / beta, z / 2, beta z^2 / 8, 0."""
    beta = 2.0
    networks = MLPs((np.array([[[2.0]]]), np.array([[[1.0]]])), (np.zeros((1, 1)), np.zeros((1, 1))))
    terms = softplus.expand(networks, np.zeros((1, 1)), np.array([[1.5]]), beta)[:, 0]
    whole = math.log1p(math.exp(6)) / 2
    expected = [math.log(2) / 2, 1.5, 2.25, 0]
    assert terms == pytest.approx([*(t / whole for t in expected), 1 - sum(expected) / whole])


def test_jets_are_derivatives_along_the_line() -> None:
    networks = draw(5, np.random.default_rng(5)).explaining(np.zeros(5, np.int64))
    rng = np.random.default_rng(6)
    root, x = rng.random((5, 10)), rng.random((5, 10))

    def f(t: float) -> Array:
        point, beta = root + t * (x - root), 3.0
        for w, b in zip(networks.weights[:-1], networks.biases[:-1], strict=True):
            point = softplus.softplus(np.einsum("noi,ni->no", w, point) + b, beta)
        return np.einsum("noi,ni->no", networks.weights[-1], point)[:, 0] + networks.biases[-1][:, 0]

    h = 1e-2
    third = (f(2 * h) - 2 * f(h) + 2 * f(-h) - f(-2 * h)) / (2 * h**3)
    finite = np.array([f(0), (f(h) - f(-h)) / (2 * h), (f(h) - 2 * f(0) + f(-h)) / (2 * h * h), third / 6])
    assert softplus.expand(networks, root, x, 3.0)[:4] == pytest.approx(finite / f(1), rel=1e-3, abs=1e-4)


def test_terms_add_up_and_the_second_order_grows_with_beta() -> None:
    measured = softplus.measure(40, 0, (1.0, 30.0))
    for rows in measured["terms"].values():
        assert rows["1.0"]["remainder"]["value"] < 0.01 < rows["30.0"]["remainder"]["value"]
        assert rows["1.0"]["second order"]["value"] < rows["30.0"]["second order"]["value"]


# Adversarial roots.


def test_neighbours_are_of_another_class() -> None:
    x = np.array([[0.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    assert adversarial_roots.neighbours(x, np.array([1, 1, 2])) == pytest.approx(
        [5, math.sqrt(18), math.sqrt(18)]
    )
    assert np.isnan(adversarial_roots.neighbours(x, np.array([1, 1, 1]))).all()


def test_the_nearest_root_of_a_linear_network_is_the_foot_on_its_plane(saved: Path) -> None:
    """f = w . x: the root is x - w (w . x) / |w|^2, a step of |w . x| / |w|."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((6, 8)) @ rng.standard_normal((8, 3))
    x = np.random.default_rng(7).random((4, 6), np.float32)
    row, pictures = adversarial_roots.network(saved, x, (-10.0, 10.0), 0)
    logits = (x @ w)[(x @ w).max(1) > 0]
    x = x[(x @ w).max(1) > 0]
    step = logits.max(1) / np.linalg.norm(w[:, logits.argmax(1)], axis=0)
    assert row["found"] == row["inputs"] == len(x) > 2
    assert row["measures"]["length"]["value"] == pytest.approx(
        np.median(step / np.linalg.norm(x, axis=1)), rel=1e-3
    )
    assert row["measures"]["gradient"]["low"] == pytest.approx(1)
    assert len(pictures) == adversarial_roots.SHOWN


# Roots in networks.


def test_no_root_of_a_linear_network_lies_outside(saved: Path) -> None:
    x = np.random.default_rng(8).random((2, 6), np.float32)
    rules = roots_in_networks.network(saved, x, (0.0, 1.0), 4, 0)["rules"]
    assert list(rules) == list(roots_in_networks.RULES)
    for table in rules.values():
        assert list(table) == ["layer0"]
        assert table["layer0"]["region"]["high"] == 0


# Kinds of model.

SMALL = ("linear, five classes", "linear, one margin", "kernel machine", "trees", "detector", "LSTM")


def test_no_kind_gets_a_sentence_that_is_false_of_it() -> None:
    told = kinds.measure(0, SMALL)["kinds"]
    for name in ("linear, five classes", "linear, one margin", "trees"):
        assert "gives no node a rule" in told[name]["refused"]
    for name in ("kernel machine", "detector", "LSTM"):
        assert set(told[name]["findings"]) == set(kinds.FINDINGS)
    words = {name: " ".join(f["sentence"] for f in row["findings"].values()) for name, row in told.items()}
    assert "share one margin" in words["kernel machine"]
    assert "cell" not in words["kernel machine"]
    assert "lower layers" not in words["kernel machine"]
    assert "as the theory asks" not in words["LSTM"]
    assert "a cell or a loop" in words["LSTM"]
    assert "tokens" not in words["detector"]
