"""Every metric by hand, on numbers small enough to write out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.errors import InputError, UsageError
from onnxdtd.metrics import METRICS, evaluate
from onnxdtd.metrics.impute import linear as imputed
from onnxdtd.metrics.perturb import area, counts, ranking
from onnxdtd.metrics.statistics import bootstrap
from onnxdtd.metrics.superpixels import superpixels
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


def test_what_texts_are_asked_is_asked_of_tables() -> None:
    """Means (0, 1, 2) for what is removed: without a 1, without a and b 1; a alone 3, a and b alone 3."""
    for metric, removed in (("comprehensiveness", 1), ("sufficiency", 3)):
        by_score = scores(by_hand(metric), "gradient_x_input", metric)
        assert by_score == pytest.approx({"mean": sigmoid(4) - sigmoid(removed)})


def test_road_by_hand() -> None:
    """Ten places in a row, 8 in the first, 1 in the last; f is the first, g four times the last: 8 against 4.

    The most relevant first, the first place becomes what its nearest neighbour is, 0 or at last 1: class g. The least
    first, the last place becomes 0, and at the ninth step 8: class g then only.
    """
    x, w = np.zeros((1, 1, 1, 10), np.float32), np.zeros((2, 1, 1, 10))
    x[..., 0], x[..., 9], w[0, ..., 0], w[1, ..., 9] = 8, 1, 1, 4
    falling = {"falling": np.arange(10.0, 0, -1).reshape(x.shape)}
    result = evaluate(linear_image(w), x, falling, metrics="road", layout="NCHW")
    by_score = scores(result, "falling", "road")
    assert by_score == pytest.approx({"least_minus_most": 8 / 9, "most": 0, "least": 8 / 9})


def test_removed_places_are_means_of_their_neighbours() -> None:
    """Between 0 and 3: 1 and 2. The middle of nine: direct neighbours weigh 2, diagonal ones 1, of 12."""
    row = imputed(np.array([[0.0], [9], [9], [3]]), np.array([False, True, True, False]))
    np.testing.assert_allclose(row[:, 0], [0, 1, 2, 3], atol=1e-6)
    square = np.array([[1.0, 2, 3], [4, 99, 5], [6, 7, 8]])[..., None]
    middle = imputed(square, np.eye(3, dtype=bool) & (np.arange(3) == 1))[1, 1, 0]
    assert middle == pytest.approx((2 * (2 + 4 + 5 + 7) + 1 + 3 + 6 + 8) / 12)
    rng = np.random.default_rng(0)
    hole = rng.random((30, 20)) < 0.8
    v = imputed(rng.normal(size=(30, 20, 2)), hole)
    weights = {(a, b): 1 + (a * b == 0) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)}
    for y, x in np.argwhere(hole)[:40]:
        near = [(v[y + a, x + b], w) for (a, b), w in weights.items() if 0 <= y + a < 30 and 0 <= x + b < 20]
        mean = sum(value * w for value, w in near) / sum(w for _, w in near)
        np.testing.assert_allclose(v[y, x], mean, atol=1e-2)


def test_irof_by_hand() -> None:
    """The four squares of an even picture, f = 4 + 3 + 2 + 1, the mean of the data 0: 10, 6, 3, 1, 0."""
    w = np.kron([[4, 1], [2, 3]], np.ones((2, 2))) / 4
    images = np.stack([np.ones((1, 4, 4)), -np.ones((1, 4, 4))]).astype(np.float32)
    result = evaluate(
        linear_image([[w], [0 * w]]),
        images,
        "gradient_x_input",
        metrics="irof",
        patch=2,
        target=0,
        layout="NCHW",
    )
    kept = np.array([sigmoid(f) for f in (10, 6, 3, 1, 0)]) / sigmoid(10)
    by_score = scores(result, "gradient_x_input", "irof")
    assert by_score == pytest.approx({"area": 1 - area(kept)}, rel=1e-6)


def test_pieces_follow_colours() -> None:
    """A border in the middle of the squares: pieces end there."""
    picture = np.zeros((8, 8, 1))
    picture[:, 3:] = 1
    labels = superpixels(picture, 4)
    assert not set(labels[:, :3].ravel()) & set(labels[:, 3:].ravel())
    assert labels.max() == 3


def test_infidelity_by_hand() -> None:
    """Zeros: the change is the sum of relevance, exactly. Means (0, 1, 2): said (3, 2, -1), changed (3, 0, 1)."""
    result = by_hand("infidelity", seed=5)
    draws = [np.random.default_rng([5, 0, *f"part {k}".encode()]).random(3) < 0.5 for k in range(10)]
    said, change = np.array(draws) @ [3, 2, -1], np.array(draws) @ [3, 0, 1]
    expected = {
        "constant.scaled": 0,
        "constant.error": 0,
        "mean.scaled": 1 - (said @ change) ** 2 / (said @ said) / (change @ change),
        "mean.error": np.mean((said - change) ** 2),
    }
    assert scores(result, "gradient_x_input", "infidelity") == pytest.approx(expected, abs=1e-6)
    against = {"against": lambda x, t: -x * WEIGHTS[:, 0], "nothing": lambda x, t: 0 * x}
    result = evaluate(linear(WEIGHTS), TABLE, against, metrics="infidelity", target=0)
    assert [scores(result, m, "infidelity")["constant.scaled"] for m in against] == [1, 1]


def test_localisation_by_hand() -> None:
    """Relevance 3, 1, 2, -1, the first and the last inside: 3 of 6; of the two largest one; the largest."""
    r = {"r": np.array([3.0, 1, 2, -1]).reshape(1, 1, 2, 2)}
    model, x = linear_image(np.ones((2, 1, 2, 2))), np.ones((1, 1, 2, 2), np.float32)
    options = {"metrics": "localisation", "layout": "NCHW"}
    result = evaluate(model, x, r, masks=np.array([[[1, 0], [0, 1]]]), **options)
    assert scores(result, "r", "localisation") == pytest.approx({"mass": 0.5, "rank": 0.5, "pointing": 1})
    result = evaluate(model, x, r, masks=np.zeros((1, 2, 2)), **options)
    assert all(np.isnan(value) for value in scores(result, "r", "localisation").values())
    with pytest.raises(UsageError, match="metric localisation: nothing says where the object is"):
        evaluate(model, x, r, **options)
    with pytest.raises(InputError, match=r"the mask of input 0 is \(3, 2\), the model sees 4 pixels"):
        evaluate(model, x, r, masks=np.ones((1, 3, 2)), **options)


def test_a_square_is_removed_in_all_channels() -> None:
    part = View({"x": (2, 5, 6), "t": (4,)}, "NCHW").part(np.random.default_rng(0), 3)
    square = part[:60].reshape(2, 5, 6)
    np.testing.assert_array_equal(square[0], square[1])
    rows, columns = np.nonzero(square[0])
    assert (square[0].sum(), np.ptp(rows), np.ptp(columns)) == (9, 2, 2)


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
