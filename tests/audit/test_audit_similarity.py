"""How alike two heatmaps are: by hand, by formula, and after folding."""

from __future__ import annotations

import math

import numpy as np
import pytest

import onnxdtd
from onnxdtd.audit import run_audit
from onnxdtd.audit.similarity import compare, cosine, cosines, maps, spearman, ssim
from onnxdtd.audit.sketch import SKETCH, fold
from tests.support.model_text import model


def test_similarities_by_hand(rng: np.random.Generator) -> None:
    a, b = np.array([[3.0, 4, 0], [1, 0, 0], [0, 0, 0]]), np.array([[4.0, 3, 0], [-2, 0, 0], [1, 2, 3]])
    np.testing.assert_allclose(cosine(a, b), [0.96, -1.0, np.nan])
    # Ranks (1.5, 1.5, 3, 4) and (4, 1, 2, 3), minus their means: (-1, -1, 0.5, 1.5) . (1.5, -1.5, -0.5, 0.5).
    tied = spearman(np.array([[1.0, 1, 2, 3]]), np.array([[9.0, 1, 5, 6]]))
    np.testing.assert_allclose(tied, [0.5 / np.sqrt(4.5 * 5)])
    np.testing.assert_allclose(spearman(a[:1] ** 3 - 7, a[:1]), [1.0])
    m = rng.standard_normal((2, 9, 8))
    np.testing.assert_allclose(ssim(m, 5 * m), 1.0)
    assert (np.abs(ssim(m, rng.standard_normal((2, 9, 8)))) < 0.3).all()
    vectors = rng.standard_normal((2, 3, 5))
    np.testing.assert_allclose(cosines(vectors)[1, 0, 2], cosine(vectors[1:, 0], vectors[1:, 2])[0])


def test_ssim_is_the_formula_in_one_window(rng: np.random.Generator) -> None:
    a, b = rng.random((2, 1, 7, 7))
    a, b = a / a.max(), b / b.max()
    ca, cb = a - a.mean(), b - b.mean()
    top = (2 * a.mean() * b.mean() + 0.02**2) * (2 * (ca * cb).mean() + 0.06**2)
    low = (a.mean() ** 2 + b.mean() ** 2 + 0.02**2) * ((ca**2).mean() + (cb**2).mean() + 0.06**2)
    np.testing.assert_allclose(ssim(a, b), top / low)


def test_only_images_have_maps(rng: np.random.Generator) -> None:
    image = rng.random((2, 3, 8, 9))
    np.testing.assert_allclose(maps({"x": image}, 2), image.sum(axis=1))
    np.testing.assert_allclose(maps({"x": np.moveaxis(image, 1, 3)}, 2), image.sum(axis=1))
    assert maps({"x": image[:, :, :5]}, 2) is None
    table = {"x": rng.random((2, 30))}
    assert compare(table, table, 2)["ssim"] is None


def test_folds_keep_cosines(rng: np.random.Generator) -> None:
    a = rng.standard_normal((50, 40_000)) ** 3
    b = 0.7 * a + 0.3 * rng.standard_normal(a.shape) ** 3
    assert fold(a).shape == (50, SKETCH)
    error = cosine(fold(a), fold(b)) - cosine(a, b)
    assert np.abs(error).max() < 0.04
    assert error.std() < 0.01
    np.testing.assert_array_equal(fold(a[:, :100]), a[:, :100])
    # Sums without random signs would make positive heatmaps alike that share no pixel.
    left, right = (np.abs(a) * (np.arange(40_000) % 2 == k) for k in (0, 1))
    assert np.abs(cosine(fold(left), fold(right))).max() < 0.04


SATURATED = "(float[N, 2] x) => (float[N, 1] y) { a = Tanh(x) y = MatMul(a, v) }"
SQUARED = "(float[N, 2] x) => (float[N, 1] y) { a = MatMul(x, v) y = Relu(a) }"


@pytest.mark.parametrize(
    ("text", "weights", "x", "method", "falls"),
    [
        (SATURATED, [1, 0.05], [4, 1], "attnlrp", (math.tanh(4), 0.05 * math.tanh(1))),
        (SQUARED, [3, 0.1], [0.01, 5], "dtd", (0.03, 0.5)),
    ],
)
def test_where_gradient_x_input_differs_the_model_is_asked(text, weights, x, method, falls):
    """A tanh that is full has no slope, and the heatmap's input counts; the squares of weights look at no input."""
    explainer = onnxdtd.Explainer(model(text, v=np.float32(weights).reshape(2, 1)), method)
    e = explainer(np.float32([x]), 0)
    [finding] = run_audit(explainer, e, ["gradient_x_input"]).findings
    assert finding.details["cosine"] < 0.5
    assert (finding.details["fall"], finding.details["fall_by_gradient"]) == pytest.approx(falls, rel=1e-5)
    assert finding.fired == (falls[0] < falls[1])
    sides = "the model sides with that" if finding.fired else "the model sides with the heatmap"
    assert sides in finding.sentence


def test_likeness_of_seeds_is_not_told_of_the_inside_of_a_cell(rng: np.random.Generator) -> None:
    """Rank and convergence look at a cell from outside, and say so; without one they say nothing of it."""
    weights = {
        "w": rng.normal(size=(1, 4, 3)), "u": rng.normal(size=(1, 4, 4)) / 4, "v": rng.normal(size=(4, 9)),
    }  # fmt: skip
    cell = (
        "(float[5, N, 3] x) => (float[N, 9] y) { [cell] s, h = RNN<hidden_size = 4>(x, w, u) l = Squeeze(h, a)"
        "y = MatMul(l, v) }"
    )
    recurrent = model(cell, **{k: np.float32(array) for k, array in weights.items()}, a=np.array([0]))
    dense = model(
        "(float[N, 3] x) => (float[N, 9] y) { y = MatMul(x, v) }", v=np.float32(rng.normal(size=(3, 9)))
    )
    for source, x, said in (
        (recurrent, rng.normal(size=(5, 1, 3)), True),
        (dense, rng.normal(size=(1, 3)), False),
    ):
        explainer = onnxdtd.Explainer(source, "epsilon_plus")
        explanation = explainer(np.float32(x), target=0)
        for finding in run_audit(explainer, explanation, only=["rank", "convergence"]).findings:
            assert finding.value is not None
            assert ("It does not apply inside of 'cell', a cell or a loop." in finding.sentence) is said
