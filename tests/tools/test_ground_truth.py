"""The measures of tools/ground_truth by hand, and what its pictures are said to be. Nothing is trained."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tools.ground_truth.measures import cell_mask, hit, share
from tools.ground_truth.page import gammas, mean, networks, page
from tools.ground_truth.photographs import MissingError, package_file
from tools.ground_truth.scenes import BRIGHTEST, FAINTEST, mosaics, textured
from tools.ground_truth.subjects import box_mask, overlap
from tools.paths import DOCS, FIGURES

RESULTS = json.loads((FIGURES / "ground_truth.json").read_text())["networks"]


def test_the_share_counts_positive_relevance_of_summed_channels() -> None:
    """Channels sum to (3, 1; -5, 0): of 4 positive, 3 lie inside; all negative is a share of 0."""
    relevance = np.array([[[[2.0, 2], [-5, 1]], [[1, -1], [0, -1]]]])
    mask = np.array([[[True, False], [True, False]]])
    np.testing.assert_allclose(share(relevance, mask), [0.75])
    np.testing.assert_allclose(share(-np.abs(relevance), mask), [0.0])


def test_cells_are_counted_row_by_row() -> None:
    masks = cell_mask(np.arange(4), 2, 4)
    assert masks.sum(axis=0).tolist() == [[1] * 4, [1] * 4]
    assert masks[1].tolist() == [[False, False, True, True], [False] * 4]
    assert masks[2].tolist() == [[False] * 4, [True, True, False, False]]


def test_a_hit_is_the_cell_of_most_net_relevance() -> None:
    """Cells sum to (1, 2, 3, -9): the third is the right one; a map of zeros is worth chance."""
    relevance = np.array([[[[1.0, 2], [3, -9]]]] * 2 + [[[[0.0, 0], [0, 0]]]])
    np.testing.assert_allclose(hit(relevance, np.array([2, 3, 1])), [1, 0, 0.25])


def test_texture_stays_below_the_stroke() -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 10:18, 12:16] = 255
    scene = textured(images, np.arange(3), rng)
    assert scene.strokes.sum(axis=(1, 2)).tolist() == [32] * 3
    stroke, ground = scene.pictures[:, 0][scene.strokes], scene.pictures[:, 0][~scene.strokes]
    assert stroke.min() >= FAINTEST
    assert 0 <= ground.min() < ground.max() <= BRIGHTEST


def test_a_mosaic_has_four_classes_each_in_its_cell() -> None:
    pictures = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 3), np.float32)
    made = mosaics(pictures, np.arange(6), 5, np.random.default_rng(1))
    assert made.pictures.shape == (5, 1, 4, 6)
    np.testing.assert_array_equal(made.pictures[:, 0, ::2, ::3].reshape(5, 4), made.classes)
    assert all(len(set(four)) == 4 for four in made.classes.tolist())


def test_boxes() -> None:
    """Centre (2, 1), 2 wide, 2 high: columns 1 and 2 of rows 0 and 1. Shifted by 1 of 2, a third is shared."""
    mask = box_mask(np.array([2, 1, 2, 2]), 3, 4)
    assert np.argwhere(mask).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert overlap(np.array([2, 1, 2, 2]), np.array([3, 1, 2, 2])) == pytest.approx(1 / 3)
    assert overlap(np.array([2, 1, 2, 2]), np.array([9, 1, 2, 2])) == 0


def test_what_is_not_installed_is_named_with_what_mends_it() -> None:
    with pytest.raises(MissingError, match=r"no_such_package/data.*pip install"):
        package_file("no_such_package", "data")


def test_the_page_is_what_the_json_says() -> None:
    assert page(RESULTS) == (DOCS / "ground_truth.md").read_text("utf-8"), (
        "run python -m tools.ground_truth --words"
    )


def test_auto_is_close_to_the_best_in_the_grid() -> None:
    """Its mean is within .05 of the best single method's, on no network it is more than .15 behind."""
    played = networks(RESULTS, "grid")
    names = [n for n in RESULTS[played[0]]["grid"] if n != "auto" and not n.startswith("gamma")]
    best = np.nanmax([mean(RESULTS, "grid", name) for name in names])
    assert mean(RESULTS, "grid", "auto") > best - 0.05
    for network in played:
        shares = {name: one["share"]["mean"] for name, one in RESULTS[network]["grid"].items()}
        assert shares["auto"] > max(shares[name] for name in names if name in shares) - 0.15


def test_gamma_is_the_best_over_all_games() -> None:
    every = gammas(RESULTS)
    assert max(every, key=lambda name: every[name]) == "gamma 1"


def test_z_box_in_front_is_worse_on_strokes() -> None:
    """What decided the first layer's rule: grid and stroke together."""
    for gamma in ("gamma 0.25", "gamma 0.5", "gamma 1"):
        both = [
            mean(RESULTS, "grid", name) + mean(RESULTS, "stroke", name)
            for name in (gamma, gamma + ", z-box first")
        ]
        assert both[0] > both[1] + 0.1
