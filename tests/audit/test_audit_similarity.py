"""How alike two heatmaps are: by hand, by formula, and after folding."""

from __future__ import annotations

import numpy as np

from onnxdtd.audit.probe import SKETCH, fold
from onnxdtd.audit.similarity import compare, cosine, cosines, maps, spearman, ssim


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
