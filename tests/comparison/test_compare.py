"""Comparisons: the native methods side by side, how alike they are, what they cost, what is left out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.comparison import clock
from onnxdtd.comparison.agreement import matrices, overlap, seen
from onnxdtd.comparison.neighbour import NEIGHBOURS
from onnxdtd.comparison.parts import Parts, cut
from tests.support.command_line import DIGIT, DIGIT_MODEL, REFUSED, dense
from tests.support.model_text import model
from tests.support.paths import MODELS

X = np.array([[1, 2], [3, -1], [0.5, 0.25]], np.float32)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense(tmp_path_factory.mktemp("linear") / "m.onnx", labels=["a", "b", "c"])


def test_overlap_by_hand() -> None:
    a = np.array([[9, -8, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]])
    b = np.array([[9, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]])
    assert overlap(a, b).tolist() == [0.5]  # of two each, one in common
    assert overlap(a, a).tolist() == overlap(a, -3 * a).tolist() == [1]
    assert np.isnan(overlap(a, 0 * a)).all()


def test_elements_equally_large_share_the_places() -> None:
    flat = np.ones((1, 20))  # two places for twenty
    one = np.zeros((1, 20))
    one[0, 3] = 1  # one place taken, one for nineteen zeros
    assert overlap(flat, flat)[0] == pytest.approx(1)
    assert overlap(flat, one)[0] == pytest.approx((0.1 + 19 * 1 / 19) / 2)


def test_overlap_of_strangers_is_chance(rng: np.random.Generator) -> None:
    overlaps = overlap(rng.standard_normal((300, 500)), rng.standard_normal((300, 500)))
    assert overlaps.mean() == pytest.approx(0.1, abs=0.005)


def test_matrices_are_whole(rng: np.random.Generator) -> None:
    first, third = rng.standard_normal((2, 4, 5))
    by_measure = matrices([first, None, third, -2 * first, np.zeros((4, 5))])
    assert list(by_measure) == ["cosine", "spearman", "top10"]
    for name, matrix in by_measure.items():
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.isnan(matrix[1]).all()
        assert np.isnan(matrix[4]).all()
        np.testing.assert_allclose(matrix[[0, 2, 3], [0, 2, 3]], 1)
        assert matrix[0, 3] == pytest.approx(1 if name == "top10" else -1)
    cosine = first.ravel() @ third.ravel() / np.linalg.norm(first) / np.linalg.norm(third)
    assert by_measure["cosine"][0, 2] == pytest.approx(cosine)


def test_channels_are_seen_summed() -> None:
    image = np.arange(24.0).reshape(3, 2, 4)
    np.testing.assert_array_equal(seen(image), image.sum(axis=0))
    np.testing.assert_array_equal(seen(image.T, "NHWC"), image.T.sum(axis=-1))
    np.testing.assert_array_equal(seen(np.arange(5.0)), np.arange(5.0))


def test_cells_are_the_explainers_own(linear: Path) -> None:
    comparison = onnxdtd.compare(
        linear, X, ["gradient_x_input", "epsilon_plus", "gradient"], [0, 1], sample=1
    )
    assert comparison.methods == ("gradient_x_input", "epsilon_plus", "gradient")
    assert comparison.targets == ("class 0 'a'", "class 1 'b'")
    assert comparison.values == (3.0, -1.0)
    for number, target in enumerate((0, 1)):
        for method in comparison.methods:
            e = onnxdtd.explain(linear, X[1:2], target, method)
            cell = comparison.cells[number, method]
            np.testing.assert_array_equal(cell.relevance["x"], e.relevance["x"][0])
            assert cell.arrived == pytest.approx(float(e.relevance["x"].sum()))
    cell = comparison.cells[0, "gradient_x_input"]
    np.testing.assert_allclose(cell.relevance["x"], [3, -1])  # x_i w_i0
    assert (cell.started, cell.share, cell.adds_up) == (1, None, False)
    assert comparison.cells[0, "epsilon_plus"].share == pytest.approx(2 / 3)  # the bias keeps a third


def test_targets_of_each_sample(linear: Path) -> None:
    comparison = onnxdtd.compare(linear, X, "gradient", [[2, 1, 0], None], sample=1)
    assert comparison.targets == ("class 1 'b'", "class 0 'a'")


def test_a_fixed_batch_is_explained_whole() -> None:
    net = "{ y = Gemm(x, w) }"
    w = np.array([[1, 2], [3, 4]], np.float32)
    fixed = model(f"(float[3, 2] x) => (float[3, 2] y) {net}", w=w)
    free = model(f"(float[N, 2] x) => (float[N, 2] y) {net}", w=w)
    a, b = (onnxdtd.compare(m, X, "gradient_x_input", sample=2) for m in (fixed, free))
    r = a.cells[0, "gradient_x_input"].relevance["x"]
    np.testing.assert_array_equal(r, b.cells[0, "gradient_x_input"].relevance["x"])
    assert r.shape == (2,)


def test_all_takes_what_the_model_allows(linear: Path) -> None:
    comparison = onnxdtd.compare(linear, X[:1], repeats=1, options={"smoothgrad": {"samples": 2}})
    assert {*comparison.methods, *comparison.refused, *comparison.equal} == {
        *onnxdtd.METHODS,
        *onnxdtd.PASSES,
    }
    assert set(comparison.refused) == REFUSED
    assert "input's range" in comparison.refused["epsilon_gamma_box"]
    assert comparison.cells[0, "smoothgrad"].extras["samples"] == 2
    assert set(comparison.timings) == set(comparison.methods)
    assert all(timing.seconds > 0 and timing.repeats >= 1 for timing in comparison.timings.values())
    method = comparison.methods[0]
    assert comparison.multiple(method) == pytest.approx(
        comparison.timings[method].seconds / comparison.forward.seconds
    )


def test_one_that_is_named_is_refused_at_once(linear: Path) -> None:
    with pytest.raises(onnxdtd.UsageError, match="range"):
        onnxdtd.compare(linear, X[:1], ["dtd", "epsilon_gamma_box"])
    with pytest.raises(onnxdtd.UsageError) as error:
        onnxdtd.compare(linear, X[:1], ["nonsense", "dtd", "neither"], options={"occlusion": {}})
    assert [line.split(";")[0].split(",")[0] for line in str(error.value).splitlines()] == [
        "no method 'nonsense'", "no method 'neither'", "options for 'occlusion'",
    ]  # fmt: skip
    with pytest.raises(onnxdtd.UnsupportedError, match="grad_cam: "):
        onnxdtd.compare(linear, X[:1], "grad_cam")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 3}, "sample 3 is not in a batch of 3"),
        ({"sample": -1}, "sample -1 is not"),
        ({"targets": []}, "no target"),
        ({"targets": [7]}, "out of range"),
        ({"methods": []}, "no method is given"),
        ({"options": {"dtd": {"steps": 3}}}, "dtd has no option steps"),
    ],
)
def test_what_cannot_be_is_refused(linear: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(onnxdtd.UsageError, match=message):
        onnxdtd.compare(linear, X, **{"methods": "dtd", **options})


def test_targets_of_two_outputs_are_refused() -> None:
    two = model("(float[N, 2] x) => (float[N, 2] y, float[N, 2] z) { y = Relu(x) z = Neg(x) }")
    with pytest.raises(onnxdtd.TargetError, match="several outputs, y, z"):
        onnxdtd.compare(two, X, "gradient", ["y:0", "z:0"])


def test_a_missing_package_is_named(linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not any(entry.installed for entry in NEIGHBOURS.values())
    for name in ("lime", "kernel_shap", "anchors"):
        with pytest.raises(onnxdtd.UsageError, match=rf'{name} needs .*pip install "onnxdtd\[compare\]"'):
            onnxdtd.compare(linear, X[:1], ["dtd", name])


def test_progress_only_grows(linear: Path) -> None:
    reports: list[tuple[int, int]] = []
    onnxdtd.compare(linear, X, ["dtd", "gradient"], [0, 1], progress=lambda *now: reports.append(now))
    done = [now for now, _ in reports]
    assert done == sorted(done)
    assert reports[-1] == (200, 200)


def test_the_median_leaves_the_first_call_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.accumulate(
        [0, 2, 0, 0.3, 0, 0.1, 0, 0.2]
    )  # a first call of 2 s, then 0.3, 0.1 and 0.2 s
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(ticks))
    answers = iter("abcd")
    answer, timing = clock.timed(lambda: next(answers), 3)
    assert answer == "a"
    assert timing == clock.Timing(pytest.approx(0.2), 3)  # type: ignore[arg-type]


def test_a_slow_method_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, clock.PATIENCE + 1])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(ticks))
    assert clock.timed(lambda: None, 3)[1] == clock.Timing(clock.PATIENCE + 1, 1)


def test_columns_are_covered_one_by_one() -> None:
    parts = cut(np.array([5.0, 6, 7]))
    np.testing.assert_array_equal(parts.at(np.array([[1, 0, 1], [0, 0, 0]])), [[5, 0, 7], [0, 0, 0]])
    np.testing.assert_array_equal(
        cut(np.array([5.0, 6, 7]), cover=np.ones(3)).at(np.zeros((1, 3))), [[1, 1, 1]]
    )


def test_a_sequence_is_cut_in_time() -> None:
    x = np.arange(20.0).reshape(2, 10)
    parts = cut(x, "NCT", 5)
    assert parts.count == 5
    np.testing.assert_array_equal(parts.labels, [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]] * 2)
    np.testing.assert_array_equal(parts.cover, [[4.5] * 10, [14.5] * 10])
    assert "5 stretches of time" in parts.words


def test_weights_are_spread() -> None:
    x = np.zeros((1, 4, 4))
    parts = Parts(x, x, np.arange(16).reshape(1, 4, 4) // 8, "")
    np.testing.assert_array_equal(parts.spread(np.array([2.0, 4.0])), np.repeat([2, 4], 8).reshape(1, 4, 4))
    assert parts.spread(np.array([2.0, 4.0]), share=True).sum() == 6


def test_an_image_is_cut_into_superpixels() -> None:
    pytest.importorskip("skimage", reason="needs the extra `compare`")
    parts = cut(np.load(DIGIT)[0])
    assert 20 <= parts.count <= 90
    assert parts.labels.shape == (1, 28, 28)
    assert set(np.unique(parts.labels)) == set(range(parts.count))
    assert np.unique(parts.cover).size == 1
    assert parts.cover.mean() == pytest.approx(np.load(DIGIT).mean(), rel=1e-5)


def test_shapes_without_parts_are_refused() -> None:
    with pytest.raises(onnxdtd.UsageError, match="no image, sequence or table"):
        cut(np.zeros((5, 6, 7)))
    with pytest.raises(onnxdtd.UsageError, match="superpixels"):
        cut(np.zeros(4), count=1)


def test_the_folder_holds_everything(tmp_path: Path) -> None:
    comparison = onnxdtd.compare(DIGIT_MODEL, np.load(DIGIT), ["dtd", "gradient_x_input"], [None, 5])
    folder = comparison.save(tmp_path / "out")
    document = json.loads((folder / "compare.json").read_text())
    assert document["schema"] == "onnxdtd.compare/1"
    assert document["files"] == ["compare.json", "compare.png", "inputs.npz", "relevance.npz"]
    assert [t["target"] for t in document["targets"]] == ["class 3 '3'", "class 5 '5'"]
    assert document["targets"][0]["methods"]["dtd"]["share"] == pytest.approx(1, abs=1e-5)
    assert document["targets"][0]["similarity"]["cosine"][0][1] == comparison.similarity[0]["cosine"][0, 1]
    assert document["timings"]["dtd"]["forward_passes"] == comparison.multiple("dtd")
    with np.load(folder / "relevance.npz") as arrays:
        assert sorted(arrays) == sorted(f"{n}/{m}/image" for n in (0, 1) for m in comparison.methods)
        np.testing.assert_array_equal(arrays["1/dtd/image"], comparison.cells[1, "dtd"].relevance["image"])
    comparison.save(folder)  # an earlier result may be replaced
    (folder / "mine.txt").touch()
    with pytest.raises(onnxdtd.UsageError, match=r"mine\.txt"):
        comparison.save(folder)


def test_wine_by_every_method() -> None:
    comparison = onnxdtd.compare(MODELS / "wine_mlp.onnx", np.load(MODELS / "wine_sample.npy"), repeats=1)
    assert set(comparison.refused) == {*REFUSED, "natural"}
    assert comparison.cells[0, "dtd"].share == pytest.approx(1, abs=1e-5)
