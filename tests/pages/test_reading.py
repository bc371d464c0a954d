"""What the folders' loaders give back is what was saved, and types of a file are those of the fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.audit import AuditReport, AuditSet
from onnxdtd.comparison import Comparison
from onnxdtd.folder import plain
from onnxdtd.hints import made
from onnxdtd.metrics.saved import SavedEvaluation
from tests.support.model_text import model

X = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)


def network() -> onnx.ModelProto:
    w = np.array([[1, 2], [3, -1]], np.float32)
    return model("(float[N, 2] x) => (float[N, 2] y) { h = MatMul(x, w) r = Relu(h) y = MatMul(r, w) }", w=w)


def test_an_audit_comes_back(tmp_path: Path) -> None:
    explainer = onnxdtd.Explainer(network(), "attnlrp")
    reports = {f"{i}": onnxdtd.run_audit(explainer, explainer(X[i : i + 1]), quick=True) for i in range(2)}
    again = AuditReport.load(reports["0"].save(tmp_path / "one"))
    assert plain(again.document()) == plain(reports["0"].document())
    audits = AuditSet(reports, {"2": "why"})
    assert AuditSet.load(audits.save(tmp_path / "many")).document() == audits.document()


def test_a_comparison_comes_back(tmp_path: Path) -> None:
    c = onnxdtd.compare(network(), X, ["attnlrp", "gradient_x_input", "dtd"], [0, 1], input_range=(-3, 3))
    again = Comparison.load(c.save(tmp_path / "c"))
    assert again.document() == c.document()
    np.testing.assert_array_equal(again.cells[1, "dtd"].relevance["x"], c.cells[1, "dtd"].relevance["x"])
    assert isinstance(again.sheet().maps[0, "attnlrp"], np.ndarray)


def test_an_evaluation_comes_back(tmp_path: Path) -> None:
    """Means, differences in both directions, and the ranking are those of the evaluation itself."""
    metrics = ["pixel_flipping", "sparseness"]
    e = onnxdtd.evaluate(network(), X, ["dtd", "gradient", "random"], metrics=metrics, out=tmp_path / "e",
                         input_range=(-3, 3))  # fmt: skip
    saved = SavedEvaluation.load(tmp_path / "e")
    assert (saved.methods, saved.headlines, saved.inputs) == (e.methods, e.headlines, 2)
    for score in e.headlines:
        assert saved.ranking(score) == e.ranking(score)
        for a, b in (("dtd", "random"), ("random", "dtd")):
            one, other = e.difference(score, a, b), saved.difference(score, a, b)
            np.testing.assert_allclose([*vars(one).values()], [*vars(other).values()])
    (name, *_) = saved.curves
    np.testing.assert_allclose(saved.curves[name]["dtd"].mean, e.curves[name]["dtd"].mean)


def test_rows_at_equal_distances(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="a job's shards are Parquet")
    rows = np.arange(22, dtype=np.float32).reshape(11, 2)
    results = onnxdtd.batch(network(), {"x": rows}, tmp_path / "job", method="gradient", shard_rows=4)
    assert [row["row"] for row in results.spread(3)] == [0, 5, 10]
    assert [row["row"] for row in results.spread(99, ["row"])] == list(range(11))
    (row,) = results.spread(1, ["relevance.x"])
    np.testing.assert_array_equal(row["relevance"]["x"], next(iter(results))["relevance"]["x"])
    with pytest.raises(onnxdtd.UsageError, match="no column"):
        next(results.spread(1, ["none"]))


@dataclass(frozen=True)
class Inner:
    number: float


@dataclass(frozen=True)
class Outer:
    pair: tuple[int, str]
    inner: tuple[Inner, ...]
    side: Literal["a", "b"]
    array: np.ndarray[Any, np.dtype[Any]]
    maybe: float | None = None


def test_an_entry_of_json_as_a_dataclass() -> None:
    document = {
        "pair": [1, "x"],
        "inner": [{"number": "nan", "more": 1}],
        "side": "b",
        "array": [1, 2.5],
        "maybe": 3,
    }
    outer = made(Outer, document)
    assert (outer.pair, outer.side, outer.maybe) == ((1, "x"), "b", 3.0)
    assert np.isnan(outer.inner[0].number)
    np.testing.assert_array_equal(outer.array, [1, 2.5])
    for name, wrong in (("pair", [1]), ("pair", ["1", "x"]), ("inner", [{}]), ("inner", {}), ("side", "c"),
                        ("side", []), ("array", ["x"]), ("maybe", True), ("maybe", "none")):  # fmt: skip
        with pytest.raises(ValueError, match=f"'{name}' is of another type"):
            made(Outer, {**document, name: wrong})
    with pytest.raises(ValueError, match="lacks 'side'"):
        made(Outer, {"pair": [1, "x"], "inner": []})
