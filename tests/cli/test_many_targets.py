"""Several inputs and several targets at once: a result for each, what fails alone, and what shares a walk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import onnxdtd
from onnxdtd.cli.places import Places
from onnxdtd.each import explain_targets
from onnxdtd.explainer import Explainer
from onnxdtd.render.contact import ACROSS, Thumb, beside
from tests.support.command_line import DIGIT_MODEL, Cli, array, dense, lines
from tests.support.model_text import model


def relu(path: Path) -> Path:
    """As many outputs as inputs, so that rows of different lengths have different targets."""
    onnx.save(model("(float[N, T] x) => (float[N, T] y) { y = Relu(x) }"), path)
    return path


def test_pictures_have_a_result_for_each_target(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / f"{name}.png")
    code, out, _ = cli(
        "run", DIGIT_MODEL, "a.png", "b.png", "--preset", "unit", "-o", "out", "-t", "3", "-t", "3 - 5"
    )
    assert (code, "one for each of 2 targets" in " ".join(out.split())) == (0, True)
    table = lines(tmp_path / "out" / "summary.csv")
    assert [(line["input"], line["asked"], line["folder"]) for line in table] == [
        ("a.png", "3", "a/1-3"), ("a.png", "3 - 5", "a/2-3-5"),
        ("b.png", "3", "b/1-3"), ("b.png", "3 - 5", "b/2-3-5"),
    ]  # fmt: skip
    explainer = onnxdtd.Explainer(DIGIT_MODEL, preprocess="unit")
    for line in table:
        e = onnxdtd.Explanation.load(tmp_path / "out" / line["folder"])
        alone = explainer(tmp_path / line["input"], line["asked"])
        np.testing.assert_allclose(e.relevance["image"], alone.relevance["image"], rtol=1e-4, atol=1e-6)
        assert (len(e.findings) > 3, (tmp_path / "out" / line["folder"] / "heatmap.png").exists()) == (
            True,
            True,
        )
    with Image.open(
        tmp_path / "out" / "contact.png"
    ) as sheet:  # of each the picture and two maps, in one row
        assert sheet.width > 6 * 240
        assert sheet.height < 2 * 300
    code, out, _ = cli("report", "out", "-o", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert (code, "4 explanations" in out) == (0, True)
    assert [
        name for name in ("a.png, 3: the", "a.png, 3 - 5: the", "b.png, 3: the") if name not in page
    ] == []


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_target_that_one_input_lacks_loses_nothing_else(cli: Cli, tmp_path: Path, engine: str) -> None:
    relu(tmp_path / "t.onnx")
    files = [array(tmp_path / "a.npy", [[1, 2]]), array(tmp_path / "b.npy", [[1, 2, 3], [4, 5, 6]])]
    ways = ["-t", "0", "-t", "2", "-o", "out", "--engine", engine, "--json"]
    code, out, err = cli("run", "t.onnx", *files, "none.npy", *ways)
    told: Any = json.loads(out)
    assert [(line["input"], line["asked"], line["logit"]) for line in told["results"]] == [
        ("a.npy", "0", 1), ("b.npy[0]", "0", 1), ("b.npy[0]", "2", 3), ("b.npy[1]", "0", 4), ("b.npy[1]", "2", 6),
    ]  # fmt: skip
    assert code == 6
    assert err.splitlines()[0] == "onnxdtd: 3 of 8 explanations could not be made:"
    assert sorted(line.partition(": target 2 is out")[0] for line in err.splitlines()[1:]) == [
        "onnxdtd: 'a.npy', target '2'", "onnxdtd: 'none.npy' is not there",
    ]  # fmt: skip
    assert [(fault["input"], fault.get("asked")) for fault in sorted(told["faults"], key=str)] == [
        ("a.npy", "2"), ("none.npy", None),
    ]  # fmt: skip
    rows = lines(tmp_path / "out" / "relevance.csv")
    amounts = [[float(row[name] or 0) for name in ("[0]", "[1]", "[2]")] for row in rows]
    np.testing.assert_allclose(amounts, [[1, 0, 0], [1, 0, 0], [0, 0, 3], [4, 0, 0], [0, 0, 6]], rtol=1e-5)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["columns-2-2.png"]
    code, _, err = cli("run", "t.onnx", files[0], "none.npy", "-t", "4", "-t", "5", "-o", "nothing")
    assert (code, len(err.splitlines()), (tmp_path / "nothing").exists()) == (2, 3, False)


def test_targets_of_one_output_share_a_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dense(tmp_path / "m.onnx")
    explainer = onnxdtd.Explainer(tmp_path / "m.onnx", "epsilon_plus")
    data = onnxdtd.open_data([array(tmp_path / "x.npy", [[1, 2], [3, 4], [5, 6]])], explainer.inputs)
    walks, one_walk = [], Explainer.one_walk

    def counted(self: Explainer, x: Any, targets: Any, **ways: Any) -> Any:
        walks.append((len(x["x"]), len(targets)))
        return one_walk(self, x, targets, **ways)

    monkeypatch.setattr(Explainer, "one_walk", counted)
    made = [*explain_targets(explainer, data, [0, 1], faulty=lambda *fault: pytest.fail(str(fault)))]
    assert walks == [(3, 2)]
    assert [row.id for row, _ in made] == ["x.npy[0]", "x.npy[1]", "x.npy[2]"]
    assert [[float(e.target_value[0]) for e in each.values()] for _, each in made] == [
        [float(explainer(row.inputs, k).target_value[0]) for k in (0, 1)] for row, _ in made
    ]


def test_targets_of_two_outputs_have_their_findings(cli: Cli, tmp_path: Path) -> None:
    onnx.save(
        model("(float[N, 3] x) => (float[N, 3] y, float[N, 3] z) { y = Relu(x) z = Mul(x, x) }"), "two.onnx"
    )
    files = [array(tmp_path / f"{name}.npy", [[1, 2, 3]]) for name in "ab"]
    ways = ["-t", "z:2", "-t", "y:1", "-m", "epsilon_plus", "-o", "out", "--json"]
    code, out, err = cli("run", "two.onnx", *files, *ways, "--fail-on", "input_blind")
    assert [(line["input"], line["logit"]) for line in json.loads(out)["results"]] == [
        ("a.npy", 9), ("a.npy", 2), ("b.npy", 9), ("b.npy", 2),
    ]  # fmt: skip
    fired = [line for line in json.loads(out)["results"] if "input_blind" in line["fired"].split()]
    assert code == (5 if fired else 0)
    assert err.splitlines() == [
        f"onnxdtd: input_blind fired for '{line['input']}', target '{line['asked']}'" for line in fired
    ]


def test_a_page_of_several_inputs_and_targets(cli: Cli, tmp_path: Path) -> None:
    relu(tmp_path / "t.onnx")
    files = [array(tmp_path / "a.npy", [[1, 2]]), array(tmp_path / "b.npy", [[1, 2, 3]])]
    code, out, err = cli("report", "t.onnx", *files, "-t", "0", "-t", "2", "-o", "page.html", "--json")
    assert (code, json.loads(out)["explanations"]) == (6, 3)
    assert err.splitlines()[0] == "onnxdtd: 1 of 4 explanations could not be made:"
    page = (tmp_path / "page.html").read_text()
    assert [name for name in ("a.npy, 0: the", "b.npy, 0: the", "b.npy, 2: the") if name not in page] == []
    code, out, _ = cli("report", "t.onnx", files[0], "-t", "0", "-t", "1", "-o", "one.html", "--json")
    assert (code, json.loads(out)["explanations"]) == (0, 2)


def test_one_input_has_pages_of_all_its_targets(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")  # y = (x_0 + x_1 + 1, ...)
    x = array(tmp_path / "x.npy", [[1, 2], [3, 4]])
    ways = ["-t", "0", "-t", "top", "-m", "epsilon_plus", "-o", "out/one"]
    code, out, _ = cli("run", "m.onnx", x, *ways)
    assert (code, "and a folder for each target" in " ".join(out.split())) == (0, True)
    table = lines(tmp_path / "out" / "one" / "summary.csv")
    assert [(line["asked"], line["row"], line["folder"], float(line["logit"])) for line in table] == [
        ("0", "0", "1-0", 4), ("0", "1", "1-0", 8), ("top", "0", "2-top", 4), ("top", "1", "2-top", 8),
    ]  # fmt: skip
    rows = lines(tmp_path / "out" / "one" / "relevance.csv")
    assert [(row["asked"], row["row"], round(float(row["[1]"]), 4)) for row in rows[:2]] == [
        ("0", "0", 2),
        ("0", "1", 4),
    ]
    pictures = sorted(path.name for path in (tmp_path / "out" / "one").glob("*.png"))
    assert pictures == ["columns-1-0.png", "columns-2-top.png"]
    code, out, _ = cli("report", "out/one", "-o", "one.html", "--json")
    assert (code, json.loads(out)["title"]) == (0, "4 explanations")
    code, _, err = cli("report", "out")
    assert (code, "name one of those in it, such as 'one'" in err) == (2, True)
    code, _, _ = cli("run", "m.onnx", x, "-o", "out/one", "--no-audit")
    assert (code, (tmp_path / "out" / "one" / "1-0").exists()) == (0, False)


def test_a_fault_that_inputs_share_is_told_once_in_full(cli: Cli, tmp_path: Path) -> None:
    onnx.save(model("(float[N, 1, 4, 4] x) => (float[N, 1, 4, 4] y) { y = Relu(x) }"), "p.onnx")
    np.save("bad.npy", np.zeros((3, 1, 4, 5), np.uint8))
    good = array(tmp_path / "good.npy", np.ones((1, 1, 4, 4)))
    for command, names in (("run", "'bad.npy[1]', 'bad.npy[2]'"), ("batch", "'bad.npy[1]', 'bad.npy[2]'")):
        code, _, err = cli(command, "p.onnx", good, "bad.npy", "-o", command)
        first, shape, kind = err.splitlines()
        assert (code, first.startswith("onnxdtd: 3 ")) == (6, True)
        assert shape.startswith("onnxdtd: 'bad.npy[0]': input 'x' has shape")
        assert "--preset unit" in kind
        assert [line.endswith(f"(so with {names})") for line in (shape, kind)] == [True, True]
    code, _, err = cli("evaluate", "p.onnx", "bad.npy", "-o", "scores", "--methods", "gradient")
    assert (code, "has shape" in err, "--preset unit" in err) == (2, True, True)


def test_no_file_takes_the_folder_of_another() -> None:
    places = Places(
        ["a/z.npy", "a.npy", "c.npy", "c/0.npy", "d.npy", "d.npy", "/e/x.png", "e/x.jpg", "[f].npy"]
    )
    names = ["a/z.npy", "a.npy", "c.npy[0]", "c.npy[1]", "c/0.npy", "d.npy", "d.npy", "/e/x.png", "e/x.jpg"]
    assert [places(name) for name in [*names, "[f].npy[0]"]] == [
        "a/z", "a.npy", "c/0", "c/1", "c-2/0.npy", "d.npy", "d.npy-2", "e/x", "e/x.jpg", "[f]/0",
    ]  # fmt: skip


def test_maps_of_an_input_stand_in_a_row() -> None:
    cell = Thumb(("a",), (np.zeros((240, 240, 3), np.uint8),))
    assert beside([[cell]] * 9)[1] == ACROSS
    assert beside([[cell, cell]] * 9)[1] == ACROSS
    assert beside([[cell] * 4] * 9)[1] == 4
    cells, across = beside([[cell] * 8] * 2)
    assert (across, len(cells), [len(c.pictures) for c in cells[:12]]) == (ACROSS, 24, [1] * 8 + [0] * 4)
