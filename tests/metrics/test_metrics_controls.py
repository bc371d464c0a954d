"""Controls: what knows the model beats chance in every score of faithfulness; what knows nothing scores at chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.metrics import Evaluation, evaluate
from tests.support.metric_cases import linear, linear_image
from tests.support.paths import MODELS

RNG = np.random.default_rng(11)
FAITHFUL = ["pixel_flipping", "region_perturbation", "deletion", "insertion"]
IMAGE_WEIGHTS = RNG.standard_normal((3, 2, 8, 8)) / 4
IMAGES = RNG.random((60, 2, 8, 8)).astype(np.float32)
TABLE_WEIGHTS = RNG.standard_normal((12, 3))
ROWS = RNG.standard_normal((60, 12)).astype(np.float32)


def image_oracle(x: Any, target: Any) -> Any:
    return x * IMAGE_WEIGHTS[target]


def table_oracle(x: Any, target: Any) -> Any:
    return x * TABLE_WEIGHTS.T[target]


def images(methods: Any, **more: Any) -> Evaluation:
    options = {"metrics": FAITHFUL, "input_range": (0, 1), "layout": "NCHW", "steps": 12, **more}
    return evaluate(linear_image(IMAGE_WEIGHTS), IMAGES, methods, **options)


@pytest.fixture(scope="module")
def judged() -> list[Evaluation]:
    table = evaluate(
        linear(TABLE_WEIGHTS), ROWS, {"oracle": table_oracle, "random": "random", "constant": "constant"},
        metrics=["pixel_flipping", "deletion", "insertion"],
    )  # fmt: skip
    return [images({"oracle": image_oracle, "random": "random", "constant": "constant"}), table]


def test_an_oracle_beats_a_random_heatmap_in_every_score(judged: list[Evaluation]) -> None:
    for result in judged:
        assert len(result.scores) >= 12
        for score in result.scores:
            gain = result.difference(score, "oracle", "random")
            better = gain.low > 0 if result.higher_is_better(score) else gain.high < 0
            assert better, (score, gain)


def test_random_beats_nothing_and_is_not_beaten_by_a_constant(judged: list[Evaluation]) -> None:
    """Of 27 and 12 correlated paired intervals of 95 % a few may miss chance; most may not."""
    for result in judged:
        missed = [s for s in result.scores if result.difference(s, "constant", "random").excludes_zero]
        assert len(missed) <= 0.15 * len(result.scores), missed


@pytest.mark.parametrize("control", ["random", "constant"])
def test_controls_score_at_chance(control: str) -> None:
    """Over seeds, the interval of `most minus least` holds 0 about as often as it says."""
    fine = []
    for seed in range(20):
        result = evaluate(linear(TABLE_WEIGHTS), ROWS[:40], control, metrics="pixel_flipping", seed=seed)
        summaries = [result.summary(control, score) for score in result.headlines]
        assert len(summaries) == 2
        fine += [not s.excludes_zero for s in summaries]
    assert 0.86 < np.mean(fine) <= 1


def test_ties_are_not_broken_by_place() -> None:
    """Only the first columns matter: by place, a constant map would be an oracle."""
    w = np.zeros((12, 2))
    w[:4, 0] = 5.0
    result = evaluate(linear(w), np.abs(ROWS), "constant", metrics="pixel_flipping", target=0)
    assert not result.summary("constant", "pixel_flipping.constant.most_minus_least").excludes_zero
    placed = evaluate(
        linear(w), np.abs(ROWS), lambda x, t: np.tile(np.arange(12, 0, -1), (len(x), 1)), metrics="pixel_flipping",
        target=0,
    )  # fmt: skip
    (name,) = placed.methods
    assert placed.summary(name, "pixel_flipping.constant.most_minus_least").low > 1


def test_an_oracle_is_stable_and_tells_classes_apart() -> None:
    result = evaluate(
        linear(TABLE_WEIGHTS), ROWS, {"oracle": table_oracle, "random": "random", "constant": "constant"},
        metrics=["stability", "class_sensitivity", "sparseness"],
    )  # fmt: skip
    assert result.difference("stability.max_sensitivity", "oracle", "random").high < -1
    assert result.difference("class_sensitivity.cosine", "oracle", "constant").high < -0.5
    assert result.summary("constant", "class_sensitivity.cosine").mean == pytest.approx(1)
    assert result.difference("sparseness.gini", "oracle", "random").low > 0


def test_methods_beat_chance_on_digits() -> None:
    held_out = np.load(MODELS / "mnist_heldout.npz")["images"][:12, None]
    digits = (held_out / 255).astype(np.float32)
    result = evaluate(MODELS / "mnist_cnn.onnx", digits, ["dtd", "composite", "random"], steps=10)
    for score in result.headlines[:6]:
        assert score.startswith(("pixel_flipping", "region_perturbation"))
        for method in ("dtd", "composite"):
            assert result.summary(method, score).low > 1
        assert result.ranking(score)[-1] == "random"
    assert result.summary("dtd", "class_sensitivity.cosine").mean > 0.9
