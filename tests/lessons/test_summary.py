"""`summary`: parts of every kind by hand, beeswarms, regions, tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.lessons.parts import parts_of
from onnxdtd.render.beeswarm import beeswarm, shares, swarm
from tests.support.command_line import Cli, dense
from tests.support.model_text import model

pytest.importorskip("pyarrow", reason="shards are Parquet")


def test_the_parts_of_every_kind() -> None:
    picture = np.zeros((3, 14, 14))
    picture[1, 0, 0], picture[2, 13, 13] = 2, 5
    parts = parts_of(picture)
    assert parts["channel"].tolist() == [0, 2, 5]
    assert (parts["region"][0], parts["region"][48], parts["region"].sum()) == (2, 5, 7)
    assert list(parts_of(np.ones((9, 10)))) == ["region"]
    sequence = parts_of(np.array([[1.0, 2, 4], [8, 16, 32]]))
    assert sequence["feature"].tolist() == [9, 18, 36]
    assert sequence["position"].tolist() == [7, 56]
    assert list(parts_of(np.ones(4))) == ["feature"]
    assert list(parts_of(np.ones(4), tokens=True)) == ["position"]


def test_points_of_a_swarm_that_fall_together_go_apart() -> None:
    """Three at one place: in the middle, and a step to both sides; another one alone stays in the middle."""
    heights = swarm(np.array([0.5, -0.5, 0.5, 0.5]))
    np.testing.assert_allclose(heights, [0, 0, 0.08, -0.08])
    assert np.abs(swarm(np.zeros(1000))).max() <= 0.4


def test_values_are_coloured_from_the_lowest_to_the_highest() -> None:
    np.testing.assert_allclose(shares(np.arange(21.0))[[0, 1, 10, 19, 20]], [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(
        shares(np.array([0.0, 0, 0, 0, 0, 0, 0, 1.0])), [0, 0, 0, 0, 0, 0, 0, 1], atol=0.6
    )
    np.testing.assert_array_equal(shares(np.array([3.0, np.nan, 3.0])), [0.5, np.nan, 0.5])
    assert np.isnan(shares(np.array([np.nan]))).all()
    with pytest.raises(onnxdtd.UsageError, match="NaN or infinity"):
        beeswarm(np.array([[np.inf]]), None, ["a"], "title")


def test_a_table_has_a_swarm_for_each_class(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "net.onnx")
    rows = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    lines = [f"{a},{b},{'even' if i % 2 == 0 else 'odd'}" for i, (a, b) in enumerate(rows.tolist())]
    (tmp_path / "rows.csv").write_text("\n".join(["u,v,label", *lines]) + "\n")
    assert cli("batch", "net.onnx", "rows.csv", "-o", "job", "-m", "gradient_x_input")[0] == 0
    code, out, err = cli("summary", "job", "-o", "lesson")
    assert (code, err, "written: " in out) == (0, "", True)
    names = sorted(path.name.split("-")[1] for path in (tmp_path / "lesson").glob("beeswarm-*.png"))
    assert names == ["even", "odd"]
    lesson = json.loads((tmp_path / "lesson" / "lesson.json").read_text())
    assert (lesson["rows"], lesson["left_out"]) == ({"even": 6, "odd": 6}, 0)
    (tmp_path / "rows.csv").unlink()
    code, _, err = cli("summary", "job", "-o", "lesson")
    assert (code, "values are not shown" in err) == (0, True)
    assert cli("summary", "job", "-o", "job")[0] == 2


def test_pictures_have_regions(tmp_path: Path) -> None:
    net = model("(float[N, 1, 7, 7] x) => (float[N, 1] y) { f = Flatten(x)\n y = MatMul(f, w) }",
                w=np.ones((49, 1), np.float32))  # fmt: skip
    onnx.save(net, tmp_path / "net.onnx")
    x = np.zeros((2, 1, 7, 7), np.float32)
    x[:, 0, 3, 2] = [1, 3]
    x[1, 0, 0, 0] = 1
    np.savez(tmp_path / "x.npz", x=x, labels=np.array([4, 4]))
    results = onnxdtd.batch(
        tmp_path / "net.onnx", tmp_path / "x.npz", tmp_path / "job", 0, "gradient_x_input"
    )
    lesson = onnxdtd.summarise(results)
    cells = {part["part"]: (part["mean"], part["share"]) for part in lesson.parts if part["kind"] == "region"}
    assert {cell: amounts for cell, amounts in cells.items() if amounts[0]} == {
        "3,2": (pytest.approx(2), pytest.approx(7 / 8)), "0,0": (pytest.approx(0.5), pytest.approx(1 / 8)),
    }  # fmt: skip
    lesson.draw(tmp_path / "lesson")
    assert {path.name for path in (tmp_path / "lesson").iterdir()} == {
        "lesson.json",
        "parts.csv",
        "regions-1.png",
    }


def test_tokens_are_counted_by_what_they_are(cli: Cli, tmp_path: Path) -> None:
    """y = sum of the weights of the tokens, 1, 10 and -100 for tokens 0, 1 and 2: each gets its weight."""
    net = model("(int64[N, 3] input_ids) => (float[N, 1] y) { e = Gather(w, input_ids)\n y = ReduceSum<keepdims = 0>"
                "(e, axis) }", w=np.array([[1], [10], [-100]], np.float32), axis=np.array([1]))  # fmt: skip
    onnx.save(net, tmp_path / "net.onnx")
    np.savez(tmp_path / "x.npz", input_ids=np.array([[0, 1, 1], [2, 0, 0]]), labels=np.array([5, 5]))
    assert cli("batch", "net.onnx", "x.npz", "-o", "job", "--target", "0", "-m", "gradient_x_input")[0] == 0
    (tmp_path / "vocab.txt").write_text("a\nb\nc\n")
    lesson = onnxdtd.summarise(tmp_path / "job", tokenizer=tmp_path / "vocab.txt")
    tokens = [(p["part"], p["mean"], p["share"]) for p in lesson.parts if p["kind"] == "token"]
    assert tokens == [
        ("c", pytest.approx(50), pytest.approx(100 / 102 / 2)),
        ("b", pytest.approx(10), pytest.approx(20 / 21 / 2)),
        ("a", pytest.approx(1.5), pytest.approx((1 / 21 + 2 / 102) / 2)),
    ]
    positions = [p["mean"] for p in lesson.parts if p["kind"] == "position"]
    np.testing.assert_allclose(positions, [50.5, 5.5, 5.5])
    code, out, _ = cli("summary", "job", "--json")
    assert [p["part"] for p in json.loads(out)["parts"] if p["kind"] == "token"] == ["2", "1", "0"]
    (tmp_path / "x.npz").unlink()
    assert "token" not in {part["kind"] for part in onnxdtd.summarise(tmp_path / "job").parts}
    code, _, err = cli("summary", "job", "--tokenizer", "vocab.txt")
    assert (code, err.count("\n")) == (2, 1)
