"""LIME, KernelSHAP and Anchors through their own packages: right on models whose answer is known."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.comparison.neighbour import NEIGHBOURS
from tests.support.command_line import DIGIT, DIGIT_MODEL, Cli, command_line
from tests.support.model_text import model
from tests.support.paths import MODELS

pytestmark = [
    pytest.mark.skipif(
        not all(entry.installed for entry in NEIGHBOURS.values()),
        reason="needs the extra `compare`: lime, shap, anchor-exp, scikit-image",
    ),
    pytest.mark.filterwarnings("ignore"),
]
X = np.array([[2, -1, 1, 0.5]], np.float32)
W = np.array([[1, -1], [0.5, 0.5], [-1, 1], [0, 0]], np.float32)


@pytest.fixture(scope="module")
def softmax() -> onnx.ModelProto:
    return model("(float[N, 4] x) => (float[N, 2] y) { z = MatMul(x, w) y = Softmax<axis = 1>(z) }", w=W)


def probability(shown: tuple[int, ...], label: int) -> float:
    z = (X[0] * np.isin(np.arange(4), shown)) @ W
    return float(np.exp(z[label]) / np.exp(z).sum())


def shapley(label: int) -> list[float]:
    """By definition: over all subsets of the other columns."""
    values = []
    for i in range(4):
        others = [j for j in range(4) if j != i]
        value = 0.0
        for size in range(4):
            weight = math.factorial(size) * math.factorial(3 - size) / math.factorial(4)
            for s in itertools.combinations(others, size):
                value += weight * (probability((*s, i), label) - probability(s, label))
        values.append(value)
    return values


@pytest.mark.parametrize("label", [0, 1])
def test_kernel_shap_is_shapley(softmax: onnx.ModelProto, label: int) -> None:
    comparison = onnxdtd.compare(softmax, X, "kernel_shap", [label], repeats=0)
    cell = comparison.cells[0, "kernel_shap"]
    np.testing.assert_allclose(cell.relevance["x"], shapley(label), atol=1e-6)
    assert cell.extras["base_value"] == pytest.approx(probability((), label))
    assert cell.share == pytest.approx(1)
    assert comparison.covers == "4 columns, each covered by 0"


def test_a_background_stands_in_for_columns(softmax: onnx.ModelProto) -> None:
    rows = np.random.default_rng(0).standard_normal((150, 4))
    cell = onnxdtd.compare(softmax, X, "kernel_shap", [0], background=rows, repeats=0).cells[0, "kernel_shap"]
    drawn = rows[np.sort(np.random.default_rng(0).permutation(150)[:100])]
    z = drawn @ W.astype(np.float64)
    assert cell.extras["base_value"] == pytest.approx(
        (np.exp(z[:, 0]) / np.exp(z).sum(axis=1)).mean(), abs=1e-6
    )
    assert cell.share == pytest.approx(1)


@pytest.mark.parametrize("background", [None, np.random.default_rng(0).normal(0.3, 1, (200, 4))])
def test_lime_sees_the_signs(softmax: onnx.ModelProto, background: np.ndarray | None) -> None:
    """x W's first class: the second column makes no difference between the classes, the fourth none at all."""
    r = (
        onnxdtd.compare(softmax, X, "lime", [0], background=background, repeats=0)
        .cells[0, "lime"]
        .relevance["x"]
    )
    assert r[0] > 0 > r[2]
    assert abs(r[0]) > 3 * max(abs(r[1]), abs(r[3]))


@pytest.mark.parametrize("background", [None, np.random.default_rng(0).uniform(-3, 3, (400, 3))])
def test_an_anchor_is_what_decides(background: np.ndarray | None) -> None:
    """Class 1 where the second column is above 0, whatever the others say."""
    w = np.array([[0, 0], [-9, 9], [0, 0]], np.float32)
    step = model(
        "(float[N, 3] x) => (float[N, 2] y) { z = MatMul(x, w) y = Add(z, b) }", w=w, b=np.float32([1, 0])
    )
    x = np.array([[1, 2.5, -1]], np.float32)
    comparison = onnxdtd.compare(step, x, ["anchors", "gradient"], [1, 0], background=background, repeats=0)
    cell = comparison.cells[0, "anchors"]
    assert cell.relevance["x"].tolist() == [0, 1, 0]
    assert cell.extras["precision"] >= 0.95
    assert cell.extras["reached"] is True
    assert 0 < cell.extras["coverage"] < 1
    assert (1, "anchors") not in comparison.cells
    assert comparison.refused == {"anchors": "anchors explains the predicted class, 1, not 0"}


def test_the_seed_fixes_everything_and_the_global_generator_stays(softmax: onnx.ModelProto) -> None:
    names = ["lime", "anchors"]
    np.random.seed(7)
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    first, again, other = (onnxdtd.compare(softmax, X, names, seed=seed, repeats=0) for seed in (3, 3, 4))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr]
    for name in names:
        r = [c.cells[0, name].relevance["x"] for c in (first, again, other)]
        np.testing.assert_array_equal(r[0], r[1])
    assert not np.array_equal(first.cells[0, "lime"].relevance["x"], other.cells[0, "lime"].relevance["x"])


def test_superpixels_of_a_digit() -> None:
    names = ["lime", "kernel_shap", "anchors"]
    options = {"lime": {"num_samples": 200}, "kernel_shap": {"nsamples": 200}}
    comparison = onnxdtd.compare(DIGIT_MODEL, np.load(DIGIT), names, options=options, repeats=0)
    ink = np.load(DIGIT)[0] > 0.5
    for name in names:
        r = comparison.cells[0, name].relevance["image"]
        assert r.shape == (1, 28, 28)
        assert np.abs(r)[ink].mean() > 1.5 * np.abs(r)[~ink].mean(), name
    assert comparison.cells[0, "kernel_shap"].share == pytest.approx(1)
    assert set(np.unique(comparison.cells[0, "anchors"].relevance["image"])) == {0, 1}
    assert comparison.cells[0, "lime"].extras["predictions"] == 201


def test_a_search_without_end_is_given_up(softmax: onnx.ModelProto) -> None:
    options = {"anchors": {"max_predictions": 40}}
    comparison = onnxdtd.compare(softmax, X, ["gradient", "anchors"], options=options, repeats=0)
    assert "none within 40 predictions" in comparison.refused["anchors"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"methods": "lime", "options": {"lime": {"nonsense": 1}}},
            "lime has no option nonsense; it takes num_samples",
        ),
        ({"methods": "lime", "background": np.zeros((1, 4))}, "two rows or more of 4"),
        ({"methods": "lime", "background": np.zeros((5, 3))}, "two rows or more of 4"),
    ],
)
def test_what_cannot_be_is_refused(
    softmax: onnx.ModelProto, options: dict[str, object], message: str
) -> None:
    with pytest.raises(onnxdtd.UsageError, match=message):
        onnxdtd.compare(softmax, X, **options)  # type: ignore[arg-type]


def test_two_inputs_are_refused() -> None:
    two = model("(float[N, 2] a, float[N, 2] b) => (float[N, 2] y) { y = Add(a, b) }")
    with pytest.raises(onnxdtd.UnsupportedError, match="one input, not 2"):
        onnxdtd.compare(two, {"a": X[:, :2], "b": X[:, 2:]}, "lime")


def test_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli: Cli = command_line(capsys, tmp_path, monkeypatch)
    np.savez(
        tmp_path / "rows.npz",
        background=np.random.default_rng(0).uniform(0, 15, (60, 13)),
        labels=np.zeros(60),
    )
    code, out, err = cli(
        "compare", MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy", "-m", "dtd,lime,anchors", "--background",
        "rows.npz", "--set", "lime.num_samples=50", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["covers"] == "60 rows of a background"
    cells = document["targets"][0]["methods"]
    assert cells["lime"]["extras"]["num_samples"] == 50
    assert 0 <= cells["anchors"]["extras"]["precision"] <= 1
