"""Every metric by hand, on numbers small enough to write out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.metrics import METRICS, evaluate
from onnxdtd.metrics.perturb import area, counts, ranking
from onnxdtd.metrics.statistics import bootstrap
from onnxdtd.metrics.view import View
from tests.support.metric_cases import TABLE, WEIGHTS, by_hand, linear, linear_image, scores, text_scores


def sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def test_pixel_flipping_by_hand() -> None:
    """x = (1, 1, 1), f = 3 a + 2 b - c = 4, relevance (3, 2, -1).

    Zeros, the most first: 4, 1, -1, 0; the least first: 4, 5, 3, 0. Means (0, 1, 2): 4, 1, 1, 0 and 4, 3, 3, 0.
    """
    by_score = scores(by_hand("pixel_flipping"), "gradient_x_input", "pixel_flipping")
    zeros = {"over_most": 3, "over_least": 1, "under_most": 1, "under_least": 3, "most_minus_least": 2}
    means = {
        "over_most": 2.5,
        "over_least": 1.5,
        "under_most": 1.5,
        "under_least": 2.5,
        "most_minus_least": 1,
    }
    expected = {
        f"{fill}.{k}": v
        for fill, of_fill in (("constant", zeros), ("mean", means))
        for k, v in of_fill.items()
    }
    assert by_score == pytest.approx(expected)


def test_curves_are_those_of_the_hand() -> None:
    curves = by_hand("pixel_flipping", limit=1).curves
    np.testing.assert_allclose(curves["pixel_flipping.constant.most"]["gradient_x_input"].mean, [4, 1, -1, 0])
    np.testing.assert_allclose(curves["pixel_flipping.constant.least"]["gradient_x_input"].mean, [4, 5, 3, 0])


def test_another_constant() -> None:
    """With twos: f = 4, 3 * 2 + 2 - 1 = 7, 9, 8."""
    by_score = scores(by_hand("pixel_flipping", constant=2.0), "gradient_x_input", "pixel_flipping")
    assert by_score["constant.under_most"] == pytest.approx((4 + 7 + 9 + 8) / 4)


def test_deletion_by_hand() -> None:
    """The other logit is 0, so p = sigmoid(f) along 4, 1, -1, 0; sigmoid(1) + sigmoid(-1) = 1."""
    by_score = scores(by_hand("deletion"), "gradient_x_input", "deletion")
    assert by_score == pytest.approx({"area": (sigmoid(4) / 2 + 1 + 0.25) / 3})


def test_insertion_by_hand() -> None:
    """From the means (0, 1, 2): f = 0; a restored: 3; b: 3; c: 4."""
    by_score = scores(by_hand("insertion"), "gradient_x_input", "insertion")
    assert by_score == pytest.approx({"area": (0.25 + 2 * sigmoid(3) + sigmoid(4) / 2) / 3})


def test_sparseness_by_hand() -> None:
    """|r| = 1, 2, 3 of 6: 1 - 2 (1/6 2.5/3 + 2/6 1.5/3 + 3/6 0.5/3) = 2/9. All in one of three: 1 - 1/3."""
    assert scores(by_hand("sparseness"), "gradient_x_input", "sparseness") == pytest.approx({"gini": 2 / 9})
    one = {"one": lambda x, t: np.array([[0, -5, 0]] * len(x)), "same": lambda x, t: np.full(x.shape, -2)}
    result = evaluate(linear(WEIGHTS), TABLE, one, metrics="sparseness")
    assert result.summary("one", "sparseness.gini").mean == pytest.approx(2 / 3)
    assert result.summary("same", "sparseness.gini").mean == pytest.approx(0)


def test_stability_by_hand() -> None:
    """R(x) = x: the change is the noise itself, its slope 1 / |x|. An R that jumps from x to -x changes by 2."""
    methods = {"identity": lambda x, t: x, "flip": lambda x, t: np.where(x == np.round(x), x, -np.round(x))}
    result = evaluate(linear(WEIGHTS), TABLE, methods, metrics="stability", input_range=(-4, 4), seed=7)
    by_score = scores(result, "identity", "stability")
    u = 0.02 * 8 * np.random.default_rng([7, 0, *b"noise"]).uniform(-1, 1, (10, 3))
    assert by_score["lipschitz"] == pytest.approx(1 / np.sqrt(3), rel=1e-5)
    assert by_score["max_sensitivity"] == pytest.approx(
        np.linalg.norm(u, axis=1).max() / np.sqrt(3), rel=1e-5
    )
    assert scores(result, "flip", "stability")["max_sensitivity"] == pytest.approx(2)


def test_noise_stays_in_a_stated_range() -> None:
    seen: list[Any] = []

    def watch(x: Any, target: Any) -> Any:
        seen.append(x)
        return x

    evaluate(linear(WEIGHTS), TABLE, watch, metrics="stability", input_range=(-1, 3))
    every = np.concatenate(seen)
    assert every.min() == -1
    assert every.max() == 3


def test_class_sensitivity_by_hand() -> None:
    """f = 3 a + 2 b - c and g = a: relevance (3, 2, -1) and (1, 0, 0), cosine 3 / sqrt(14)."""
    w = np.array([[3, 1], [2, 0], [-1, 0]])
    result = evaluate(linear(w), TABLE[:1], ["gradient_x_input", "epsilon_plus"], metrics="class_sensitivity")
    assert result.summary("gradient_x_input", "class_sensitivity.cosine").mean == pytest.approx(
        3 / np.sqrt(14)
    )


def test_class_sensitivity_asks_no_method_of_a_logit_that_changes_sign() -> None:
    """g = -a: gradient x input says (-1, 0, 0); what starts with g < 0 is negative whatever the rule sees."""
    w = np.array([[3, -1], [2, 0], [-1, 0]])
    result = evaluate(linear(w), TABLE[:1], ["gradient_x_input", "epsilon_plus"], metrics="class_sensitivity")
    assert result.summary("gradient_x_input", "class_sensitivity.cosine").mean == pytest.approx(
        -3 / np.sqrt(14)
    )
    assert result.summary("epsilon_plus", "class_sensitivity.cosine").count == 0


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_region_perturbation_by_hand(layout: str) -> None:
    """Four regions of 2 x 2 over both channels with f = 4 + 3 + 2 + 1: 10, 6, 3, 1, 0 and 10, 9, 7, 4, 0."""
    w = np.kron([[4, 1], [2, 3]], np.ones((2, 2))) / 8
    images = np.ones((1, 2, 4, 4), np.float32)
    images = np.moveaxis(images, 1, -1) if layout == "NHWC" else images
    result = evaluate(
        linear_image([[w, w]], layout), images, "gradient_x_input", metrics="region_perturbation", patch=2,
        fills=["constant"], layout=layout,
    )  # fmt: skip
    by_score = scores(result, "gradient_x_input", "region_perturbation")
    expected = {"over_most": 6, "over_least": 4, "under_most": 4, "under_least": 6, "most_minus_least": 2}
    assert by_score == pytest.approx({f"constant.{k}": v for k, v in expected.items()})


def test_comprehensiveness_by_hand() -> None:
    """f = 3 + 2 - 1 = 4. Of three words, shares up to 20 % are one word, 50 % are two: without them 1 and -1."""
    by_hand = sigmoid(4) - np.mean([sigmoid(1)] * 4 + [sigmoid(-1)])
    assert text_scores("comprehensiveness") == pytest.approx({"comprehensiveness.mean": by_hand}, rel=1e-5)


def test_sufficiency_by_hand() -> None:
    """The same words alone: 3 and 5."""
    by_hand = sigmoid(4) - np.mean([sigmoid(3)] * 4 + [sigmoid(5)])
    assert text_scores("sufficiency") == pytest.approx({"sufficiency.mean": by_hand}, rel=1e-5)


def test_every_metric_has_its_case() -> None:
    cases = {
        name.removeprefix("test_").removesuffix("_by_hand") for name in globals() if name.endswith("_by_hand")
    }
    assert cases == set(METRICS)
    for entry in METRICS.values():
        assert entry.source
        assert "Source: " in (entry.measure.__doc__ or "")


def test_units_are_pixels_over_channels_and_columns() -> None:
    image = View({"x": (2, 2, 3)}, "NCHW")
    np.testing.assert_array_equal(image.units(1), [0, 1, 2, 3, 4, 5] * 2)
    np.testing.assert_array_equal(image.units(2), [0, 0, 1, 0, 0, 1] * 2)
    np.testing.assert_array_equal(image.channel, [0] * 6 + [1] * 6)
    np.testing.assert_array_equal(View({"x": (2, 3, 2)}, "NHWC").units(1), np.repeat(range(6), 2))
    both = View({"a": (2,), "b": (3,)})
    np.testing.assert_array_equal(both.units(5), range(5))
    np.testing.assert_array_equal(both.channel, range(5))
    assert not both.spatial


def test_blur_of_four_places() -> None:
    """Two by two places, deviation 1: a neighbour weighs exp(-1/2), and the weights of a row sum to 1."""
    near = 1 / (1 + np.exp(-0.5))
    view = View({"x": (2, 2, 2)}, "NCHW")
    blurred = view.blurred(np.array([1.0, 0, 0, 0, 5, 5, 5, 5]))
    far = 1 - near
    np.testing.assert_allclose(blurred, [near * near, near * far, far * near, far * far, 5, 5, 5, 5])


def test_equal_relevance_is_ordered_at_random() -> None:
    orders = np.stack([ranking(np.zeros(50), np.random.default_rng(k)) for k in range(400)])
    # Each place is on average in the middle: the mean of 400 ranks of 0..49 has a deviation of 0.72.
    assert np.abs(orders.mean(axis=0) - 24.5).max() < 4
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(ranking(np.array([0.5, -1, 2]), rng), [1, 2, 0])
    tied = ranking(np.array([0, 7, 0, 9, 0]), rng)
    assert (tied[3], tied[1]) == (0, 1)


def test_grid_and_area() -> None:
    np.testing.assert_array_equal(counts(10, 4), [0, 2, 5, 8, 10])
    np.testing.assert_array_equal(counts(3, 20), [0, 1, 2, 3])
    assert area(np.array([1.0, 0.5, 0.0])) == pytest.approx(0.5)


def test_bootstrap_of_two_inputs() -> None:
    """Of 0 and 2, a quarter of the resamples has mean 0, a quarter 2; columns that differ by 1 always do."""
    values = np.array([[0.0, 1, np.nan], [2, 3, 5]])
    both, shifted, one, gap = bootstrap(np.c_[values, values[:, 1] - values[:, 0]], 1000, 0)
    assert (both.mean, both.low, both.high, both.count) == (1, 0, 2, 2)
    assert (shifted.low, shifted.high) == (1, 3)
    assert (one.mean, one.count) == (5, 1)
    assert np.isnan(one.low)
    assert (gap.mean, gap.low, gap.high) == (1, 1, 1)
    assert gap.excludes_zero


def test_bootstrap_covers_the_mean() -> None:
    rng = np.random.default_rng(0)
    summaries = bootstrap(rng.exponential(size=(60, 300)), 500, 0)
    covered = np.mean([s.low <= 1 <= s.high for s in summaries])
    assert 0.88 < covered < 0.98
