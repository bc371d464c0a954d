"""`onnxdtd compare`, and the neighbours in the table of methods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import DIGIT, DIGIT_MODEL, REFUSED, Cli, array, dense
from tests.support.paths import MODELS


def test_the_summary(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli(
        "compare", DIGIT_MODEL, DIGIT, "-m", "dtd,gradient_x_input,epsilon_gamma_box", "-t", "top", "-t", "5"
    )
    assert (code, err) == (0, "")
    assert out.index("class 3 '3', 28.42") < out.index("class 5 '5', 3.278")
    assert "100.0%" in out
    for words in ("cosine\n", "rank correlation (Spearman)\n", "overlap of the top 10 %\n", "forward passes"):
        assert out.count(words) >= 2
    assert "written  onnxdtd-compare: compare.json, compare.png, inputs.npz, relevance.npz" in out
    with Image.open(tmp_path / "onnxdtd-compare" / "compare.png") as picture:
        assert min(picture.size) > 400


def test_json_is_one_object(cli: Cli, tmp_path: Path) -> None:
    batch = array(tmp_path / "x.npy", [[1, 2], [3, -1]])
    model = dense(tmp_path / "m.onnx", labels=["a", "b", "c"])
    code, out, err = cli(
        "compare", model, batch, "-m", "all,taylor", "--sample", 1, "-t", "a", "-o", "out", "--json"
    )
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["sample"] == 1
    assert document["targets"][0]["target"] == "class 0 'a'"
    assert set(document["refused"]) == REFUSED
    assert document["targets"][0]["methods"]["taylor"]["extras"]["root_found"] is True
    written = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert document == {**written, "directory": str(tmp_path / "out")}


def test_what_is_left_out_is_told(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("compare", dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]]))
    assert code == 0
    assert (
        "left out  epsilon_gamma_box: " in " ".join(out.split("\n")).replace("    ", " ") or "left out" in out
    )
    assert "grad_cam: " in out


def test_settings_go_to_their_method(cli: Cli) -> None:
    code, out, _ = cli(
        "compare", DIGIT_MODEL, DIGIT, "-m", "dtd,smoothgrad", "--set", "smoothgrad.samples=3", "--json"
    )
    assert code == 0
    assert json.loads(out)["targets"][0]["methods"]["smoothgrad"]["extras"]["samples"] == 3


def test_every_fault_is_told_at_once(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli(
        "compare", DIGIT_MODEL, tmp_path / "none.npy", "-m", "nonsense,dtd", "--set", "smoothgrad.samples=3",
        "--set", "samples=3",
    )  # fmt: skip
    assert (code, out) == (2, "")
    for words in (
        "none.npy' is not there",
        "no method 'nonsense'",
        "options for 'smoothgrad'",
        "--set samples=3",
    ):
        assert words in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sample", "4"), "sample 4 is not in a batch of 1"),
        (("-t", "3", "-t", "77"), "target 77 is out of range"),
        (("--background", "no.npz"), "'no.npz' is not a whole .npz file"),
        (("--engine", "abacus"), "no engine 'abacus'"),
    ],
)
def test_what_cannot_be_is_refused(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = cli("compare", DIGIT_MODEL, DIGIT, "-m", "dtd", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_strangers_files_are_not_touched(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    code, _, err = cli("compare", DIGIT_MODEL, DIGIT, "-m", "dtd", "-o", "out")
    assert code == 2
    assert "thesis.txt" in err


def test_a_missing_extra_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = cli("compare", DIGIT_MODEL, DIGIT, "-m", "dtd,lime")
    assert code == 2
    assert 'lime needs lime (BSD-2-Clause), not installed here: pip install "onnxdtd[compare]"' in err


def test_a_table_has_bars(cli: Cli, tmp_path: Path) -> None:
    rows = MODELS / "wine_sample.npy"
    code, out, _ = cli("compare", MODELS / "wine_mlp.onnx", rows, "-m", "dtd,gradient", "-o", "out")
    assert code == 0
    assert "compare.png" in out
    with np.load(tmp_path / "out" / "relevance.npz") as arrays:
        assert arrays["0/dtd/input"].shape == (13,)


def test_the_table_of_methods_shows_the_neighbours(cli: Cli) -> None:
    _, out, _ = cli("methods")
    for name in (
        "lime",
        "kernel_shap",
        "anchors",
        "anchor-exp",
        'pip install "onnxdtd[compare]"',
        "alibi needs",
    ):
        assert name in out
    _, out, _ = cli("methods", "--json")
    neighbours = {row["method"]: row for row in json.loads(out)["neighbours"]}
    assert set(neighbours) == {"lime", "kernel_shap", "anchors"}
    assert neighbours["lime"]["settings"] == ["num_samples"]
