"""`run` on many inputs: files, folders, rows; a folder of results, tables and pages of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import onnxdtd
from tests.support.command_line import DIGIT_MODEL, Cli, array, dense, lines
from tests.support.model_text import model


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Three pictures in two folders, and a file that is none."""
    rng = np.random.default_rng(0)
    for name in ("a/one.png", "a/two.png", "b/one.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / "in" / name)
    (tmp_path / "in" / "b" / "bad.png").write_bytes(b"no picture")
    return tmp_path / "in"


def test_a_folder_of_pictures_of_which_one_is_bad(cli: Cli, tmp_path: Path, digits: Path) -> None:
    code, out, err = cli("run", DIGIT_MODEL, digits, "--preset", "unit", "-o", "out", "--no-audit")
    assert (code, "a/two.png  class" in out, "b: " in out) == (6, True, False)
    assert err.splitlines()[0] == "onnxdtd: 1 of 4 inputs could not be explained:"
    assert err.splitlines()[1].endswith("b/bad.png' is not an image that Pillow can read")
    table = lines(tmp_path / "out" / "summary.csv")
    assert [(line["input"], line["folder"], line["label"]) for line in table] == [
        ("a/one.png", "a/one", "a"), ("a/two.png", "a/two", "a"), ("b/one.png", "b/one", "b"),
    ]  # fmt: skip
    for line in table:
        e = onnxdtd.Explanation.load(tmp_path / "out" / line["folder"])
        assert e.inputs["image"].shape == (1, 1, 28, 28)
        assert e.label() == line["target"]
        assert float(line["logit"]) == pytest.approx(float(e.target_value[0]))
        alone = onnxdtd.Explainer(DIGIT_MODEL, preprocess="unit")(digits / line["input"])
        np.testing.assert_allclose(e.relevance["image"], alone.relevance["image"], rtol=1e-4, atol=1e-6)
        assert (alone.warnings, len(e.nodes)) == (e.warnings, len(alone.nodes))
        assert [n.lost for n in e.nodes] == [pytest.approx(n.lost, rel=1e-4, abs=1e-6) for n in alone.nodes]
    with Image.open(tmp_path / "out" / "contact.png") as sheet:
        assert sheet.width > sheet.height
    assert json.loads((tmp_path / "out" / "results.json").read_text())["faults"][0]["input"] == "b/bad.png"


def test_an_earlier_result_is_replaced_and_nothing_else(cli: Cli, tmp_path: Path, digits: Path) -> None:
    (digits / "b" / "bad.png").unlink()
    arguments = ["run", DIGIT_MODEL, digits, "--preset", "unit", "-o", "out", "--no-audit"]
    assert cli(*arguments)[0] == 0
    assert cli(*arguments)[0] == 0
    (tmp_path / "out" / "a" / "mine.txt").write_text("mine")
    code, _, err = cli(*arguments)
    assert (code, "holds 'a', not written by onnxdtd" in err) == (2, True)
    (tmp_path / "out" / "a" / "mine.txt").unlink()
    one = ["run", DIGIT_MODEL, digits / "a" / "one.png", "--preset", "unit", "-o", "out", "--no-audit"]
    assert cli(*one)[0] == 0
    assert not (tmp_path / "out" / "a").exists()
    assert cli(*arguments)[0] == 0


def test_files_by_json_and_by_sample(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    files = [array(tmp_path / "x.npy", [[1, 2], [3, 4]]), array(tmp_path / "y.npy", [[5, 6]])]
    code, out, _ = cli("run", "m.onnx", *files, "none.npy", "-o", "out", "--json", "-m", "epsilon_plus")
    told = json.loads(out)
    assert (code, [line["input"] for line in told["results"]]) == (6, ["x.npy[0]", "x.npy[1]", "y.npy"])
    assert [line["logit"] for line in told["results"]] == [4, 8, 12]
    assert [fault["input"] for fault in told["faults"]] == ["none.npy"]
    rows = lines(tmp_path / "out" / "relevance.csv")
    assert [row["input"] for row in rows] == ["x.npy[0]", "x.npy[1]", "y.npy"]
    amounts = [[float(row[name]) for name in ("[0]", "[1]", "(constants)")] for row in rows]
    np.testing.assert_allclose(amounts, [[1, 2, 1], [3, 4, 1], [5, 6, 1]], rtol=1e-5)
    assert (tmp_path / "out" / "columns.png").exists()
    code, out, _ = cli("run", "m.onnx", *files, "-o", "out", "--json", "--sample", "1:")
    assert [line["input"] for line in json.loads(out)["results"]] == ["x.npy[1]", "y.npy"]
    code, out, _ = cli("run", "m.onnx", files[0], "-o", "one", "--json", "--sample", "1")
    assert (code, json.loads(out)["target_value"]) == (0, [8.0])
    code, _, err = cli("run", "m.onnx", "none.npy", "nowhere.npy", "-o", "out")
    assert (code, err) == (2, "onnxdtd: 'none.npy' is not there (so with 'nowhere.npy')\n")


def test_rows_of_a_file_for_a_model_of_a_fixed_batch(cli: Cli, tmp_path: Path) -> None:
    proto = model("(float[2, 2] x) => (float[2, 2] y) { y = Relu(x) }")
    onnx.save(proto, tmp_path / "two.onnx")
    x = array(tmp_path / "x.npy", [[1, 2], [3, 1], [5, 4]])
    code, out, _ = cli("run", "two.onnx", x, "-o", "out", "--json")
    told: Any = json.loads(out)
    assert code == 0
    assert [(line["folder"], line["logit"]) for line in told["results"]] == [
        ("x/0", 2),
        ("x/1", 3),
        ("x/2", 5),
    ]


def test_a_csv_by_names_of_features(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx", labels=["low", "mid", "high"])
    (tmp_path / "f.txt").write_text("age\nsize\n")
    (tmp_path / "l.txt").write_text("cat\ndog\ncow\n")
    (tmp_path / "rows.csv").write_text("size,name,age\n2,Tom,1\n4,Kim,3\n")
    names = ["--features", "f.txt", "--labels", "l.txt"]
    code, out, err = cli("run", "m.onnx", "rows.csv", *names, "-o", "out", "-m", "epsilon_plus")
    assert (code, err) == (0, "")
    assert "What speaks for class 0 'cat' most: size = 2 (+2), age = 1 (+1)" in " ".join(out.split())
    rows = lines(tmp_path / "out" / "relevance.csv")
    amounts = [[float(row[name]) for name in ("age", "size", "logit")] for row in rows]
    np.testing.assert_allclose(amounts, [[1, 2, 4], [3, 4, 8]], rtol=1e-5)
    code, _, err = cli("run", "m.onnx", "rows.csv", *names, "-t", "dogg")
    assert (code, "did you mean 'dog'?" in err) == (2, True)
    (tmp_path / "rows.csv").write_text("siz,age\n2,1\n")
    assert cli("run", "m.onnx", "rows.csv", "--features", "f.txt") == (
        2, "", "onnxdtd: 'rows.csv' lacks the column 'size'; did you mean 'siz'?\n",
    )  # fmt: skip


def test_parquet_is_an_extra(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dense(tmp_path / "m.onnx")
    files = [array(tmp_path / f"{name}.npy", [[1, 2]]) for name in "xy"]
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    code, _, err = cli("run", "m.onnx", *files, "--parquet")
    assert (code, "Parquet needs pyarrow" in err) == (2, True)
