"""`evaluate`: the same numbers whatever the batch, however often interrupted; data and methods of all kinds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from onnxdtd.entries import MetricEntry, Panel
from onnxdtd.errors import InputError, TargetError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import Preprocess
from onnxdtd.metrics import METRICS, Evaluation, evaluate
from onnxdtd.metrics.case import Case, Measured
from onnxdtd.metrics.journal import Journal
from tests.support.command_line import PHOTO
from tests.support.metric_cases import TABLE, WEIGHTS, by_hand, linear, linear_image
from tests.support.model_text import model
from tests.support.paths import MODELS

CNN = MODELS / "mnist_cnn.onnx"
FAST: dict[str, Any] = {"steps": 6, "draws": 2, "resamples": 200}


@pytest.fixture(scope="module")
def digits() -> Any:
    return (np.load(MODELS / "mnist_heldout.npz")["images"][:7, None] / 255).astype(np.float32)


def values(result: Evaluation) -> Any:
    return np.stack([result.values[m] for m in result.methods])


def test_the_batch_changes_nothing_but_rounding(digits: Any) -> None:
    methods = ["dtd", "integrated_gradients", "random"]
    whole, single = (evaluate(CNN, digits[:5], methods, batch=b, **FAST) for b in (32, 1))
    assert whole.scores == single.scores
    np.testing.assert_allclose(values(whole), values(single), rtol=1e-3, atol=1e-4)


def test_seeds(digits: Any) -> None:
    def drawn_with(seed: int) -> Any:
        return values(
            evaluate(CNN, digits[:3], ["random", "dtd"], metrics=["deletion", "stability"], seed=seed, **FAST)
        )

    np.testing.assert_array_equal(drawn_with(3), drawn_with(3))
    assert (drawn_with(3) != drawn_with(4)).any(axis=(1, 2)).all()


def test_an_order_of_methods_or_inputs_changes_no_score(digits: Any) -> None:
    one = evaluate(CNN, digits, ["random", "dtd"], **FAST)
    other = evaluate(CNN, digits[:4], ["dtd", "gradient", "random"], fills=["blur"], **FAST)
    score = "pixel_flipping.blur.most_minus_least"
    for method in ("dtd", "random"):
        a, b = (r.values[method][:4, r.scores.index(score)] for r in (one, other))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_interrupted_it_continues(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"methods": ["dtd", "random"], "batch": 3, **FAST}
    whole = evaluate(CNN, digits, out=tmp_path / "whole", **options)
    append, written = Journal.append, []

    def failing(self: Journal, record: Any) -> None:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(record["input"])
        append(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", failing)
        with pytest.raises(KeyboardInterrupt):
            evaluate(CNN, digits, out=tmp_path / "part", **options)
    results = tmp_path / "part" / "results.jsonl"
    assert len(results.read_text().splitlines()) == 4
    assert json.loads((tmp_path / "part" / "evaluation.json").read_text())["state"] == "running"
    with results.open("a") as file:
        file.write('{"method": "dtd", "inp')  # as a crash leaves it
    continued = evaluate(CNN, digits, out=tmp_path / "part", **options)
    np.testing.assert_array_equal(values(continued), values(whole))
    assert continued.document() == whole.document()
    assert sorted(results.read_text().splitlines()) == sorted(
        (tmp_path / "whole" / "results.jsonl").read_text().splitlines()
    )


def test_what_is_there_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"metrics": "sparseness", "target": 0, "out": tmp_path / "out"}
    evaluate(linear(WEIGHTS), TABLE, ["gradient"], **options)
    more = evaluate(linear(WEIGHTS), TABLE, ["random", "gradient"], **options)
    assert more.methods == ("random", "gradient")
    assert not np.isnan(values(more)).any()
    monkeypatch.setattr(Journal, "append", None)
    np.testing.assert_array_equal(
        values(evaluate(linear(WEIGHTS), TABLE, "random", **options)), values(more)[:1]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "its seed is 0, here it is 1"),
        ({"steps": 9}, "settings.steps is 20, here it is 9"),
        ({"data": TABLE + 1}, "data.sha256"),
        ({"data": TABLE[:1]}, "data.count is 2, here it is 1"),
        ({"model": linear(WEIGHTS * 2)}, "its model"),
        ({"metrics": "deletion"}, "its metrics"),
        ({"target": 1}, "its target"),
    ],
)
def test_another_evaluation_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    options = {"model": linear(WEIGHTS), "data": TABLE, "methods": "gradient", "metrics": "sparseness"}
    evaluate(**options, out=tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError, match="holds another evaluation: .*" + message):
        evaluate(**{**options, **change}, out=tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_a_strangers_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'mine\.txt', not written by onnxdtd"):
        evaluate(linear(WEIGHTS), TABLE, "gradient", out=tmp_path)
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_every_form_of_data_is_the_same(tmp_path: Path) -> None:
    labels = np.array([1, 0])
    np.savez(tmp_path / "named.npz", x=TABLE, labels=labels)
    np.savez_compressed(tmp_path / "other.npz", anything=np.asfortranarray(TABLE), labels=labels)
    np.save(tmp_path / "plain.npy", TABLE)
    forms: list[tuple[Any, Any]] = [
        (TABLE, labels), ({"x": TABLE, "labels": labels}, None), (tmp_path / "named.npz", None),
        (str(tmp_path / "other.npz"), None), (tmp_path / "plain.npy", labels.tolist()),
    ]  # fmt: skip
    evaluations = [
        evaluate(
            linear(WEIGHTS), data, "gradient_x_input", labels=beside, target="label", metrics="pixel_flipping"
        )
        for data, beside in forms
    ]
    assert len({json.dumps(result.document()) for result in evaluations}) == 1
    curve = evaluations[0].curves["pixel_flipping.constant.most"]["gradient_x_input"].mean
    assert curve[0] == pytest.approx((0 + -4) / 2)  # logit 1 of the first, 0 of the second


def test_a_folder_of_images(tmp_path: Path) -> None:
    names = [f"{k}{PHOTO.suffix}" for k in "ba"]
    for name in names:
        (tmp_path / name).write_bytes(PHOTO.read_bytes())
    (tmp_path / "notes.txt").write_text("no image")
    prepare = Preprocess(resize=(8, 8), scale=1 / 255)
    source = linear_image(np.random.default_rng(0).standard_normal((2, 3, 8, 8)))
    result = evaluate(
        source, tmp_path, "dtd", preprocess=prepare, metrics="deletion", out=tmp_path.with_name("scores")
    )
    lines = (tmp_path.with_name("scores") / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == sorted(names)
    assert result.notes == ()  # the preprocessing told the range
    with pytest.raises(InputError, match="nothing says how the model wants its pictures"):
        evaluate(source, tmp_path, "dtd")


@pytest.mark.parametrize("batch", [1, 3])
def test_models_with_a_fixed_batch(batch: int) -> None:
    data = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    methods = ["gradient_x_input", "integrated_gradients", "random"]
    fixed, free = (evaluate(linear(WEIGHTS, b), data, methods, **FAST) for b in (batch, "N"))
    np.testing.assert_allclose(values(fixed), values(free), rtol=1e-4, atol=1e-5)


def test_methods_of_all_kinds() -> None:
    ready = Explainer(linear(WEIGHTS), "integrated_gradients", options={"steps": 4})
    methods = {
        "function": lambda x, target: x * WEIGHTS.T[target],
        "array": TABLE * WEIGHTS[:, 0],
        "ready": ready,
    }
    result = evaluate(linear(WEIGHTS), TABLE, {**methods, "named": "gradient_x_input"}, target=0, **FAST)
    for method in ("function", "array", "ready"):
        for score in ("pixel_flipping.constant.over_most", "insertion.area", "sparseness.gini"):
            assert result.summary(method, score).mean == pytest.approx(
                result.summary("named", score).mean, rel=1e-4
            )
    assert result.summary("array", "stability.max_sensitivity").count == 0
    assert (
        result.summary("function", "class_sensitivity.cosine").count == 0
    )  # the other class is explained by zeros


def test_all_names_what_the_model_does_not_allow() -> None:
    result = evaluate(linear(WEIGHTS), TABLE, "all", metrics="sparseness")
    assert {"dtd", "gradient", "integrated_gradients", "natural", "random"} <= set(result.methods)
    assert "needs the input's range" in result.skipped["epsilon_gamma_box"]
    assert "spatial feature map" in result.skipped["grad_cam"]
    with pytest.raises(UsageError, match="epsilon_gamma_box needs the input's range"):
        evaluate(linear(WEIGHTS), TABLE, "epsilon_gamma_box")


def test_relevance_of_nothing_and_of_no_number() -> None:
    methods = {
        "zero": lambda x, t: np.zeros_like(x),
        "nan": lambda x, t: np.where(x == 1, np.nan, 1.0),
        "fine": lambda x, t: x,
    }
    result = evaluate(linear(WEIGHTS), TABLE, methods, **FAST)
    assert result.notes[-2:] == (
        "zero: the relevance of 2 of 2 inputs is zero, ordered at random there",
        "nan: the relevance of 2 of 2 inputs is not finite, which are left out",
    )
    for score in result.headlines:
        assert result.summary("nan", score).count == 0
    assert result.summary("zero", "pixel_flipping.mean.most_minus_least").count == 2
    assert result.summary("zero", "sparseness.gini").count == 0
    assert "nan " in result.table()
    json.loads(result.to_json())


def test_one_input_has_no_interval() -> None:
    result = by_hand("pixel_flipping", limit=1)
    summary = result.summary("gradient_x_input", "pixel_flipping.constant.most_minus_least")
    assert (summary.mean, summary.count) == (pytest.approx(2), 1)
    assert np.isnan(summary.low)
    assert "one input: a mean over one has no interval" in result.notes
    assert "[" not in result.table()


def test_what_a_table_or_a_single_output_cannot_have() -> None:
    result = evaluate(linear(WEIGHTS[:, :1]), TABLE, "gradient_x_input", **FAST)
    regions, chances = {"region_perturbation", "road", "irof"}, {"deletion", "insertion"}
    rationale = {"comprehensiveness", "sufficiency"}
    assert set(result.left_out) == regions | chances | rationale | {"class_sensitivity"}
    with pytest.raises(UsageError, match="metric deletion: the model has no class probabilities"):
        evaluate(linear(WEIGHTS[:, :1]), TABLE, "gradient", metrics="deletion")
    flat = model(
        "(float[N, 3] x) => (float[N] y) { y = ReduceSum<keepdims = 0>(x, axes) }", axes=np.array([1])
    )
    assert evaluate(flat, TABLE, "gradient_x_input", **FAST).inputs == 2


def test_sigmoid_and_softmax_are_the_probabilities() -> None:
    for head, p in (("Sigmoid", lambda z: 1 / (1 + np.exp(-z))), ("Softmax", lambda z: 1 / (1 + np.exp(-z)))):
        text = f"(float[N, 3] x) => (float[N, 2] y) {{ z = Gemm(x, w) y = {head}(z) }}"
        result = evaluate(
            model(text, w=WEIGHTS), TABLE, "gradient_x_input", metrics="deletion", target=0, limit=1
        )
        curve = result.curves["deletion.most"]["gradient_x_input"].mean
        np.testing.assert_allclose(curve, p(np.array([4, 1, -1, 0])), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": "magic"}, UsageError, "no method 'magic'"),
        ({"methods": []}, UsageError, "no method to evaluate"),
        ({"methods": ["gradient", "gradient"]}, UsageError, "two methods are named 'gradient'"),
        ({"methods": [TABLE]}, UsageError, "arrays of relevance need a name"),
        ({"methods": {"f": lambda x, t: x[:, :1]}}, UsageError, r"method 'f' returned float32 \(1, 1\)"),
        ({"methods": {"a": TABLE[:1]}}, UsageError, "relevance of fewer inputs"),
        ({"metrics": "magic"}, UsageError, "no metric magic"),
        ({"metrics": ["region_perturbation"]}, UsageError, "a table has no regions"),
        ({"stepps": 3}, UsageError, "no setting stepps"),
        ({"fills": ["green"]}, UsageError, "fills are some of"),
        ({"steps": 1}, UsageError, "steps is a whole number from 2 to 100,000"),
        ({"draws": 10**20}, UsageError, "draws is a whole number from 1 to 100,000"),
        ({"resamples": 2**31}, UsageError, "resamples is a whole number from 100 to 100,000"),
        ({"batch": 0}, UsageError, "batch is a number of 1 or more"),
        ({"seed": -1}, UsageError, "seed is a whole number from 0 to 4294967295"),
        ({"seed": 1.0}, UsageError, "not 1.0"),
        ({"limit": 0}, InputError, "limit is the number of inputs"),
        ({"target": "label"}, UsageError, "target label needs labels"),
        ({"target": "label", "labels": [0, 9]}, TargetError, "label 9 is none of the 2 classes"),
        ({"target": "label", "labels": [0]}, InputError, "labels are one integer for each input"),
        ({"target": 7}, TargetError, "out of range"),
        ({"data": TABLE[:0]}, InputError, "hold no inputs"),
        ({"data": {"x": TABLE, "z": TABLE}}, InputError, "no input 'z'"),
        ({"data": TABLE * np.nan}, InputError, r"'input\[0\]': input 'x' holds 3 NaN"),
        ({"data": "nowhere.npz"}, InputError, "is not there"),
        ({"data": "data.doc"}, InputError, "the suffix '.doc' is not one of"),
    ],
)
def test_refuses(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(**{"model": linear(WEIGHTS), "data": TABLE, "methods": "gradient", **options})


def test_damaged_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", x=TABLE)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:60])
    np.save(tmp_path / "whole.npy", np.tile(TABLE, (9, 1)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-7])
    np.savez(tmp_path / "objects.npz", x=np.array([None, 1]), allow_pickle=True)
    for name in ("cut.npz", "cut.npy", "objects.npz"):
        with pytest.raises(InputError, match=r"is not a whole|pickle"):
            evaluate(linear(WEIGHTS), tmp_path / name, "gradient")


def test_the_result_tells_and_draws(tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    result = evaluate(
        linear(WEIGHTS), TABLE, ["random", "gradient_x_input"], out=tmp_path / "out", target=0,
        progress=lambda done, total: reports.append((done, total)), **FAST,
    )  # fmt: skip
    assert reports[-1] == (4, 4)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written["state"] == "done"
    assert sorted(written["files"]) == sorted(os.listdir(tmp_path / "out"))
    assert {**json.loads(result.to_json()), "files": written["files"]} == written
    (gap,) = written["differences"]["deletion.area"]
    summary = result.difference("deletion.area", "random", "gradient_x_input")
    assert (gap["a"], gap["b"], gap["mean"]) == ("random", "gradient_x_input", pytest.approx(summary.mean))
    figure = result.figure()
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 4  # two fills, deletion, insertion
    assert [len(axes.lines) for axes in figure.axes] == [4, 4, 2, 2]
    some = result.figure(["random"])
    assert some is not None
    assert [len(axes.lines) for axes in some.axes] == [2, 2, 1, 1]
    first = result.table().splitlines()[2]
    assert first.startswith("gradient_x_input")
    assert first.endswith("*")
    with pytest.raises(UsageError, match="no score 'beauty'"):
        result.summary("random", "beauty")


def test_other_labels_are_other_data(tmp_path: Path) -> None:
    options: dict[str, Any] = {"metrics": "sparseness", "target": "label", "out": tmp_path / "out"}
    evaluate(linear(WEIGHTS), TABLE, "gradient_x_input", labels=[0, 0], **options)
    with pytest.raises(UsageError, match=r"data\.sha256"):
        evaluate(linear(WEIGHTS), TABLE, "gradient_x_input", labels=[0, 1], **options)


def test_no_pass_is_larger_than_the_batch() -> None:
    sizes: list[int] = []

    def watch(x: Any, target: Any) -> Any:
        sizes.append(len(x))
        return x

    evaluate(linear(WEIGHTS), np.tile(TABLE, (5, 1)), watch, metrics="sparseness", batch=4)
    assert sizes == [1, 4, 4, 2]  # the trial first


def test_the_table_marks_what_is_not_told_apart() -> None:
    methods = {"one": lambda x, t: x, "same": lambda x, t: x, "flat": lambda x, t: np.ones_like(x)}
    data = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    lines = evaluate(linear(WEIGHTS), data, methods, metrics="sparseness").table().splitlines()[2:]
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [
        ("one", "*"), ("same", "="), ("flat", "0.000]"),
    ]  # fmt: skip


def test_a_new_metric_with_a_curve_is_drawn_without_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def half_of_it(case: Case) -> Measured:
        return Measured({"half": 0.5}, {"most": np.full(3, 0.5)})

    panel = Panel(across="share of columns", up="a half", bounds=(0.0, 2.0))
    entry = MetricEntry(
        "half_of_it", half_of_it, "Always a half.", {"half": "higher"}, "this test", panel=panel
    )
    monkeypatch.setitem(METRICS, entry.name, entry)
    result = evaluate(linear(WEIGHTS), TABLE, "random", metrics=["half_of_it", "pixel_flipping"], **FAST)
    figure = result.figure()
    assert figure is not None
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "removed share",
        "removed share",
        "share of columns",
    ]
    assert figure.axes[-1].get_ylim() == (0.0, 2.0)
    assert [text.get_text() for text in figure.texts].count("half of it") == 1
