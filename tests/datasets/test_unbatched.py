"""Data sets of a model without a batch axis: each row is explained as it is alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import onnxdtd
from tests.support.command_line import Cli
from tests.support.model_text import model
from tests.support.unbatched import X, close, pictured

SUMS = np.array([[1, 0], [1, 2], [0, 1]], np.float32)
FILES = ["0.npy", "1.npy", "2.npy", "3.npy"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a stack of its inputs, and a file of each."""
    monkeypatch.chdir(tmp_path)
    onnx.save(pictured(), "m.onnx")
    np.save("stack.npy", X)
    for i, x in enumerate(X):
        np.save(f"{i}.npy", x)
    return tmp_path


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
    assert len(onnxdtd.Results("out").ids) == 2
    assert cli("batch", "m.onnx", "stack.npy", "-o", "out", "--limit", 4)[0] == 0
    assert len(onnxdtd.Results("out").ids) == 4
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
def test_pictures_go_in_as_the_shape_tells(cli: Cli, rng: np.random.Generator, channels: int) -> None:
    onnx.save(pictured(channels), "m.onnx")
    mode = "L" if channels == 1 else "RGB"
    pixels = rng.integers(0, 256, (2, 8, 8) if channels == 1 else (2, 8, 8, 3), np.uint8)
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
