"""What a model without an axis for samples is told of: its one sample, whole."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.each import explain_each
from onnxdtd.inputs import Row
from onnxdtd.reading import column_names, shows
from tests.support.command_line import Cli
from tests.support.model_text import model

RNG = np.random.default_rng(0)


def pictured() -> onnx.ModelProto:
    """(3, 8, 8) to four scores; the last one likes what is in the centre of any channel."""
    w = RNG.normal(size=(3, 8, 8, 4)).astype(np.float32) * 0.01
    w[:, 3:5, 3:5, 3] = 1
    text = "(float[3, 8, 8] x) => (float[4] y) { f = Reshape(x, flat) y = MatMul(f, w) }"
    return model(text, flat=np.array([-1]), w=w.reshape(192, 4))


def test_the_sentence_and_the_picture_are_of_all_channels(tmp_path: Path) -> None:
    x = np.zeros((3, 8, 8), np.float32)
    x[2, 3:5, 3:5] = 1  # where a picture of the first channel alone would show nothing
    e = onnxdtd.Explainer(pictured(), "gradient_x_input")(x)
    assert (e.batch_axis, e.target) == (None, (((3,),),))
    assert "The strongest red lies in the centre (100% of the red)." in " ".join(shows(e))
    folder = e.save(tmp_path / "out")
    assert (folder / "heatmap.png").exists()
    assert onnxdtd.Explanation.load(folder).relevance["x"].shape == (3, 8, 8)


def test_a_vector_is_one_row_of_a_table(tmp_path: Path) -> None:
    """y = (x_0 - 2 x_1, 3 x_2): by the first, x = (1, -1, 5) gets (1, 2, 0)."""
    source = model(
        "(float[3] x) => (float[2] y) { y = MatMul(x, w) }", w=np.float32([[1, 0], [-2, 0], [0, 3]])
    )
    e = onnxdtd.Explainer(source, "gradient_x_input")(np.float32([1, -1, 5]), target=0)
    assert column_names(e) == ["[0]", "[1]", "[2]"]
    folder = e.save(tmp_path / "out")
    with (folder / "relevance.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert [float(line[f"[{i}]"]) for i in range(3)] == [1, 2, 0]


@pytest.mark.parametrize("command", ["run", "audit", "report", "compare"])
def test_every_command_on_one_input(cli: Cli, command: str) -> None:
    onnx.save(pictured(), "m.onnx")
    np.save("x.npy", RNG.random((3, 8, 8), np.float32))
    assert cli(command, "m.onnx", "x.npy", "-o", "page.html" if command == "report" else "out")[0] == 0


def test_rows_are_not_taken_for_answers_of_all() -> None:
    """Two pictures have five boxes together: a row would be repeated, and what is said of both told of it."""
    text = "(float[2, 3, 4, 4] x) => (float[5, 6] y) { f = Reshape(x, flat) s = MatMul(f, w) y = Reshape(s, boxes) }"
    source = model(text, flat=np.array([-1]), w=RNG.random((96, 30), np.float32), boxes=np.array([5, 6]))
    faults: list[str] = []
    rows = [Row(str(i), {"x": np.full((1, 3, 4, 4), i, np.float32)}) for i in range(3)]
    made = explain_each(onnxdtd.Explainer(source), rows, faulty=lambda name, error: faults.append(str(error)))
    assert list(made) == []
    assert len(faults) == 3
    assert all("does not tell the rows of a batch apart" in fault for fault in faults)
