"""The root search: projection on a plane in a box, edges of flat zeros, refining, the truth in two dimensions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.passes.passes import Passes
from onnxdtd.passes.plane import nearest_on_plane
from onnxdtd.passes.search import Best, Search
from tests.passes.test_passes import DIGIT, explained
from tests.support.model_text import model
from tests.support.paths import MODELS


def boxed(x: np.ndarray, g: np.ndarray, drop: float, low: float, high: float) -> np.ndarray | None:
    """The nearest point by trying which elements stand at which wall: 3^D cases, each solved in closed form."""
    best = None
    for case in itertools.product((0, 1, 2), repeat=len(x)):
        free = np.array(case) == 0
        point = np.where(np.array(case) == 1, low, np.where(np.array(case) == 2, high, x))
        left = drop - g @ (x - point)
        if not free.any() or not g[free].any():
            if abs(left) > 1e-12:
                continue
        else:
            point = np.where(free, x - left / (g[free] @ g[free]) * g, point)
        inside = (point >= low - 1e-12).all() and (point <= high + 1e-12).all()
        if inside and (best is None or np.linalg.norm(point - x) < np.linalg.norm(best - x)):
            best = point
    return best


def test_the_nearest_point_of_the_plane_in_the_box(rng: np.random.Generator) -> None:
    unreachable = 0
    for _ in range(200):
        x, g = rng.random(4), rng.standard_normal(4) * (rng.random(4) > 0.2)
        drop = 1.5 * rng.standard_normal()
        expected = boxed(x, g, drop, 0, 1)
        nearest = nearest_on_plane(x, g, drop, np.zeros(4), np.ones(4))
        assert (nearest >= 0).all()
        assert (nearest <= 1).all()
        if expected is None:
            unreachable += 1
            corner = np.where(g * np.sign(drop) > 0, 0.0, np.where(g == 0, x, 1.0))
            np.testing.assert_array_equal(nearest, corner)
        else:
            np.testing.assert_allclose(nearest, expected, atol=1e-9)
    assert 10 < unreachable < 190


def network(rng: np.random.Generator, inputs: int) -> tuple[Any, Any]:
    """A random ReLU network of two layers, as a model and as a function."""
    w, b = rng.standard_normal((inputs, 12)), rng.standard_normal(12) * 0.3
    u, c = rng.standard_normal((12, 1)), rng.standard_normal(1) * 0.3
    text = (
        f"(double[N, {inputs}] x) => (double[N, 1] y) {{ h = Gemm(x, w, b) r = Relu(h) y = Gemm(r, u, c) }}"
    )
    return model(text, w=w, b=b, u=u, c=c), lambda x: (np.maximum(x @ w + b, 0) @ u + c)[..., 0]


def test_a_root_inside_a_flat_zero_is_moved_to_its_edge() -> None:
    source = model("(double[N, 2] x) => (double[N, 1] y) { r = Relu(x) y = MatMul(r, w) }", w=np.ones((2, 1)))
    passes = Passes(onnxdtd.Explainer(source, "taylor"), np.array([[2.0, -3.0]]), 0)
    search = Search(passes, passes.all)
    nearest = search.exact(Best(search.origin, search.zero, np.array([[-2.0, -3.0]]), np.zeros(1)))
    np.testing.assert_allclose(nearest.point, [[0, -3]], atol=0.003)
    assert nearest.value == 0


def test_refining_comes_nearer_and_never_goes_back(rng: np.random.Generator) -> None:
    before, after = [], []
    for _ in range(10):
        source, f = network(rng, 4)
        x = rng.uniform(-1, 1, (20, 4))
        x = x[f(x) > 0.05][:5]
        if not len(x):
            continue
        passes = Passes(onnxdtd.Explainer(source, "taylor"), x, 0)
        search = Search(passes, passes.all)
        best = search.exact(search.descend(search.start(0, 0), 5))
        there = np.abs(best.value) <= search.zero
        before += np.linalg.norm(best.point - x, axis=1)[there].tolist()
        after += np.linalg.norm(search.refine(best).point - x, axis=1)[there].tolist()
    gains = 1 - np.array(after) / np.array(before)
    assert len(gains) > 15
    assert (gains >= 0).all()
    assert gains.max() > 0.01


def test_the_root_is_nearly_the_nearest_in_two_dimensions(rng: np.random.Generator) -> None:
    """Against a grid of 401 x 401 points: never nearer than the truth, and rarely much farther."""
    axis = np.linspace(-2, 2, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    ratios, missed = [], 0
    for _ in range(15):
        source, f = network(rng, 2)
        values = f(grid)
        x = rng.uniform(-1, 1, (4, 2))
        x = x[f(x) > 0.05]
        if (values > 0).all() or not len(x):
            continue
        e = explained(source, "taylor", x, 0, input_range=(-2, 2))
        for point, distance, reached in zip(x, e.extras["distance"], e.extras["root_found"], strict=True):
            truth = np.linalg.norm(grid[values <= 0] - point, axis=1).min()
            if not reached:
                missed += 1
                continue
            assert distance >= truth - 0.015  # the grid's own error: a diagonal
            ratios.append(distance / truth)
    assert len(ratios) > 15
    assert missed <= 2
    assert np.median(ratios) < 1.005
    assert np.mean(np.array(ratios) < 1.02) > 0.8
    assert np.mean(np.array(ratios) < 1.1) > 0.9


def test_passes_know_their_range() -> None:
    passes = Passes(onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "taylor"), DIGIT, None)
    assert passes.low.shape == passes.high.shape == (1, 784)
    assert (passes.low.min(), passes.high.max()) == (0, 1)
