"""Data sets of a model that has no axis for samples: each row is explained as it is alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import onnxdtd
from onnxdtd.methods import METHODS
from onnxdtd.server.model import prepared
from onnxdtd.server.question import asked
from onnxdtd.viewer.workspace import described
from tests.support.command_line import Cli
from tests.support.model_text import model

RNG = np.random.default_rng(0)
X = RNG.random((4, 3, 8, 8), np.float32)
SUMS = np.array([[1, 0], [1, 2], [0, 1]], np.float32)
WEIGHTS = np.array([[1, 2], [0, 3], [0, 4]], np.float32)
FILES = ["0.npy", "1.npy", "2.npy", "3.npy"]


def pictured(channels: int = 3) -> onnx.ModelProto:
    """(C, 8, 8) to four logits, by a convolution."""
    rng = np.random.default_rng(7)
    text = """
        h = Unsqueeze(x, zero) c = Conv<pads = [1, 1, 1, 1]>(h, k) r = Relu(c)
        p = GlobalAveragePool(r) f = Reshape(p, flat) y = MatMul(f, w)
    """
    return model(
        f"(float[{channels}, 8, 8] x) => (float[4] y) {{ {text} }}",
        zero=np.array([0]), flat=np.array([-1]),
        k=rng.normal(size=(6, channels, 3, 3)).astype(np.float32), w=rng.normal(size=(6, 4)).astype(np.float32),
    )  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a stack of its inputs, and a file of each."""
    monkeypatch.chdir(tmp_path)
    onnx.save(pictured(), "m.onnx")
    np.save("stack.npy", X)
    for i, x in enumerate(X):
        np.save(f"{i}.npy", x)
    return tmp_path


def close(actual: Any, desired: Any) -> None:
    """But for rounding: onnxruntime may add up in another order."""
    np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_sample_is_explained_as_it_is_without_the_axis(method: str, engine: Any) -> None:
    bare = onnxdtd.Explainer(pictured(), method, engine, input_range=(0, 1), verify=True)
    for x in (X[0], X[:1]):
        one, other = bare(X[0]), bare.by_sample(x)
        assert (other.target, other.batch_axis) == (one.target, 0)
        close(other.relevance["x"], one.relevance["x"][None])
        close(other.outputs["y"], one.outputs["y"][None])


def test_a_model_with_samples_is_itself() -> None:
    explainer = onnxdtd.Explainer(model("(float[N, 2] x) => (float[N, 2] y) { y = Relu(x) }"))
    assert explainer.by_sample is explainer
    assert explainer.by_sample.by_sample is explainer


def test_many_without_the_axis_are_refused_by_name() -> None:
    with pytest.raises(onnxdtd.InputError, match=r"takes one sample, without a further axis: x\[0\]"):
        onnxdtd.Explainer(pictured())(X)
    with pytest.raises(onnxdtd.InputError, match="batch is fixed: give 1 at a time"):
        onnxdtd.Explainer(pictured()).by_sample(X)


def expected() -> list[Any]:
    explainer = onnxdtd.Explainer("m.onnx")
    return [explainer(x).relevance["x"] for x in X]


@pytest.mark.parametrize("inputs", [["stack.npy"], FILES])
def test_run_takes_a_stack_or_a_file_for_each(cli: Cli, here: Path, inputs: list[str]) -> None:
    code, _, err = cli("run", "m.onnx", *inputs, "-o", "out")
    assert (code, err) == (0, "")
    folders = sorted(p.parent for p in Path("out").rglob("relevance.npz"))
    assert len(folders) == len(X)
    for folder, r in zip(folders, expected(), strict=True):
        close(onnxdtd.Explanation.load(folder).relevance["x"][0], r)


@pytest.mark.parametrize("stack", [X[:, :1], X[:, 0]])
def test_a_first_axis_of_one_is_a_channel_or_a_batch(cli: Cli, here: Path, stack: Any) -> None:
    """(1, 8, 8) is fed as it is in either case, whether a stack (N, 1, 8, 8) or (N, 8, 8) holds it."""
    onnx.save(pictured(1), "m.onnx")
    np.save("stack.npy", stack)
    right = [onnxdtd.Explainer("m.onnx")(x[:1]).relevance["x"] for x in X]
    assert cli("batch", "m.onnx", "stack.npy", "-o", "out")[0] == 0
    results = onnxdtd.Results("out")
    for name, r in zip(results.ids, right, strict=True):
        close(results[name]["relevance"]["x"], r.reshape(results[name]["relevance"]["x"].shape))
    assert cli("run", "m.onnx", "stack.npy", "-o", "each")[0] == 0
    assert cli("evaluate", "m.onnx", "stack.npy", "--metrics", "deletion", "-o", "scores")[0] == 0
    predicted = onnxdtd.predict_fn("m.onnx", probabilities=False)(X[:, 0])
    outputs = [onnxdtd.Explainer("m.onnx")(x[:1]).outputs["y"] for x in X]
    np.testing.assert_allclose(predicted, outputs, rtol=1e-6)


def test_a_stack_of_one_is_a_sample(cli: Cli, here: Path) -> None:
    np.save("one.npy", X[:1])
    assert cli("run", "m.onnx", "one.npy", "-o", "out")[0] == 0
    close(onnxdtd.Explanation.load("out").relevance["x"][0], expected()[0])
    np.save("two.npy", X[:1, :2])
    code, _, err = cli("run", "m.onnx", "two.npy", "-o", "none")
    assert (code, err) == (
        2, "onnxdtd: input 'x' has shape (1, 2, 8, 8) where the model takes (3, 8, 8)\n",
    )  # fmt: skip


def test_a_line_of_a_table_is_a_sample(cli: Cli, here: Path) -> None:
    """y = (a + b, 2 b + c): of (1, -1, 5), the second score's summands are (0, -2, 5)."""
    onnx.save(model("(float[3] x) => (float[2] y) { y = MatMul(x, w) }", w=SUMS), "t.onnx")
    Path("one.csv").write_text("a,b,c\n1,-1,5\n")
    Path("two.csv").write_text("a,b,c\n1,-1,5\n2,0,0\n")
    for file, count in (("one.csv", 1), ("two.csv", 2)):
        code, _, err = cli("run", "t.onnx", file, "--method", "gradient_x_input", "-o", file[:3])
        assert (code, err) == (0, "")
        found = [onnxdtd.Explanation.load(p.parent) for p in sorted(Path(file[:3]).rglob("relevance.npz"))]
        assert len(found) == count
        np.testing.assert_array_equal(found[0].relevance["x"], [[0, -2, 5]])


@pytest.mark.parametrize("data", ["stack.npy", FILES, X, [*zip("abcd", X, strict=True)]])
@pytest.mark.parametrize("workers", [1, 2])
def test_batch_keeps_a_row_for_each(here: Path, data: Any, workers: int) -> None:
    onnxdtd.batch("m.onnx", data, "out", workers=workers)
    results = onnxdtd.Results("out")
    for name, r in zip(results.ids, expected(), strict=True):
        close(results[name]["relevance"]["x"], r)


def test_a_job_goes_on_and_its_rows_are_read_again(cli: Cli, here: Path) -> None:
    assert cli("batch", "m.onnx", "stack.npy", "-o", "out", "--limit", 2)[0] == 0
    assert cli("batch", "m.onnx", "stack.npy", "-o", "out")[0] == 0
    code, _, err = cli("report", "out", "-o", "page.html")
    assert (code, err) == (0, "")


def test_every_command_on_many(cli: Cli, here: Path) -> None:
    for arguments in (
        ("evaluate", "m.onnx", "stack.npy", "--metrics", "deletion,sparseness", "-o", "scores"),
        ("audit", "m.onnx", "stack.npy", "--quick", "-o", "audits"),
        ("report", "m.onnx", "0.npy", "1.npy", "-o", "page.html"),
    ):
        code, _, err = cli(*arguments)
        assert (code, err) == (0, ""), arguments


def test_an_evaluation_takes_explainers_arrays_and_functions(here: Path) -> None:
    r = np.concatenate([onnxdtd.Explainer("m.onnx", "gradient")(x).relevance["x"][None] for x in X])
    methods = {
        "named": "gradient", "made": onnxdtd.Explainer("m.onnx", "gradient"), "stored": r,
        "own": lambda x, target: onnxdtd.Explainer("m.onnx", "gradient")(x[0]).relevance["x"][None],
    }  # fmt: skip
    found = onnxdtd.evaluate("m.onnx", X, methods, metrics="deletion")
    for name in methods:
        np.testing.assert_allclose(found.values[name], found.values["named"], rtol=1e-5)


def test_compare_is_of_the_whole_sample(here: Path) -> None:
    found = onnxdtd.compare("m.onnx", X[0], ("gradient", "epsilon_plus"))
    assert found.cells[0, "gradient"].relevance["x"].shape == (3, 8, 8)
    expected = onnxdtd.Explainer("m.onnx", "epsilon_plus")(X[0]).relevance["x"]
    close(found.cells[0, "epsilon_plus"].relevance["x"], expected)


def test_predictions_are_a_row_for_each(here: Path) -> None:
    for source in ("m.onnx", onnxdtd.Explainer("m.onnx")):
        predicted = onnxdtd.predict_fn(source, probabilities=False)(X)
        outputs = [onnxdtd.Explainer("m.onnx")(x).outputs["y"] for x in X]
        np.testing.assert_allclose(predicted, outputs, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_go_in_as_the_shape_tells(cli: Cli, tmp_path: Path, channels: int) -> None:
    onnx.save(pictured(channels), "m.onnx")
    mode = "L" if channels == 1 else "RGB"
    pixels = RNG.integers(0, 256, (2, 8, 8) if channels == 1 else (2, 8, 8, 3), np.uint8)
    Path("pictures").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture, mode).save(f"pictures/{i}.png")
    planes = [p[None] if channels == 1 else np.moveaxis(p, -1, 0) for p in pixels]
    explainer = onnxdtd.Explainer("m.onnx", input_range=(0, 1))
    right = [explainer(np.float32(p) / 255).relevance["x"] for p in planes]
    assert cli("run", "m.onnx", "pictures/0.png", "--preset", "unit", "-o", "one")[0] == 0
    np.testing.assert_allclose(onnxdtd.Explanation.load("one").relevance["x"][0], right[0], atol=1e-6)
    assert cli("batch", "m.onnx", "pictures", "--preset", "unit", "-o", "many")[0] == 0
    results = onnxdtd.Results("many")
    for name, r in zip(results.ids, right, strict=True):
        np.testing.assert_allclose(results[name]["relevance"]["x"], r, atol=1e-6)
    e = onnxdtd.Explainer("m.onnx", preprocess="unit")("pictures/1.png")
    np.testing.assert_allclose(e.relevance["x"][0], right[1], atol=1e-6)


def test_steps_of_any_number_are_a_row(here: Path) -> None:
    """Of a file for each, and of the rows of a stack."""
    source = model(
        "(float[T, 3] x) => (float[2] y) { m = ReduceMean<keepdims = 0, axes = [0]>(x) y = MatMul(m, w) }",
        w=RNG.random((3, 2), np.float32),
    )
    explainer = onnxdtd.Explainer(source, "gradient_x_input")
    sizes = (5, 2, 5)
    for i, size in enumerate(sizes):
        np.save(f"{i}.npy", RNG.random((size, 3), np.float32))
    files = [Path(f"{i}.npy") for i in range(3)]
    data = onnxdtd.open_data(files, explainer.by_sample.inputs)
    made = {row.id: e for row, e in onnxdtd.explain_each(explainer, data)}
    for file in files:
        np.testing.assert_array_equal(
            made[file.name].relevance["x"][0], explainer(np.load(file)).relevance["x"]
        )


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_as_many_steps_as_classes_are_one_sample(engine: Any) -> None:
    """Two steps and two scores: the scores are not those of the steps."""
    source = model(
        "(float[T, 3] x) => (float[2] y) { m = ReduceMean<keepdims = 0, axes = [0]>(x) y = MatMul(m, w) }",
        w=WEIGHTS,
    )
    e = onnxdtd.Explainer(source, "gradient", engine=engine)(np.ones((2, 3), np.float32))
    assert (e.batch_axis, e.target) == (None, (((1,),),))
    np.testing.assert_allclose(e.relevance["x"], [[1, 1.5, 2]] * 2)


def test_a_server_takes_a_sample_with_the_axis_and_without() -> None:
    served = prepared("m", onnxdtd.Explainer(pictured()))
    right = onnxdtd.Explainer(pictured())(X[0])
    for x in (X[0], X[:1]):
        answer = served.answer(asked(served.explainer, {"x": x}, {}, True))
        close(answer.tensors["relevance.x"][0], right.relevance["x"])
        close(answer.tensors["y"][0], right.outputs["y"])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_page_offers_ways_to_prepare_a_picture(channels: int) -> None:
    assert "imagenet" in described(onnxdtd.Explainer(pictured(channels)))["presets"]


def test_names_go_with_the_axis() -> None:
    first = onnxdtd.Explainer(pictured())
    assert first.by_sample.loaded.labels is None
    named = first.by(labels=["a", "b", "c", "d"])
    assert named.by_sample(X[0]).label() == named(X[0]).label()
    assert named(X[0]).label() == "class 2 'c'"


def test_fixed_inputs_stay_as_they_are() -> None:
    """y = s w mean(x): the scale s is fixed at 2."""
    source = model(
        "(float[T, 3] x, float s) => (float[2] y) "
        "{ m = ReduceMean<keepdims = 0, axes = [0]>(x) v = MatMul(m, w) y = Mul(v, s) }",
        w=WEIGHTS,
    )
    explainer = onnxdtd.Explainer(source, "gradient", fixed={"s": 2}, verify=True).by_sample
    assert list(explainer.inputs) == ["x"]
    e = explainer(np.ones((4, 3), np.float32))
    np.testing.assert_allclose(e.relevance["x"], [[[1, 1.5, 2]] * 4])
    for bare in (onnxdtd.Explainer(source, "gradient"), onnxdtd.Explainer(source, "gradient").by_sample):
        again = bare.by(fixed={"s": 2}, verify=True).by_sample
        np.testing.assert_array_equal(again(np.ones((1, 4, 3), np.float32)).relevance["x"], e.relevance["x"])
