"""`batch` and `Results`: whole data sets in shards, which go on where they stopped."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.arrow import arrow
from onnxdtd.audit.conservation import conservation
from onnxdtd.inputs import Row
from onnxdtd.memory import limited
from onnxdtd.plan.cost import cost
from tests.support.batches import read, same
from tests.support.command_line import Cli, dense
from tests.support.paths import MODELS

pytest.importorskip("pyarrow", reason="shards are Parquet")
ROWS = np.random.default_rng(7).normal(size=(23, 2)).astype(np.float32)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return dense(tmp_path / "net.onnx")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    np.savez(tmp_path / "rows.npz", x=ROWS, labels=np.arange(23) % 3)
    return tmp_path / "rows.npz"


def test_rows_are_stored_as_they_are_explained_one_by_one(net: Path, rows: Path, tmp_path: Path) -> None:
    results = onnxdtd.batch(net, rows, tmp_path / "job", method="gradient_x_input", shard_rows=5)
    assert (len(results), results.ids, results.failed) == (23, [str(i) for i in range(23)], {})
    explainer = onnxdtd.Explainer(net, "gradient_x_input")
    for i, row in enumerate(results):
        e = explainer(ROWS[i : i + 1])
        assert (row["row"], row["label"], row["target"]) == (i, i % 3, e.target[0][0][0])
        assert row["prediction"] == row["target"]
        assert row["target_value"] == pytest.approx(float(e.target_value[0]))
        np.testing.assert_allclose(row["relevance"]["x"], e.relevance["x"][0], rtol=1e-6)
        assert row["sum"]["x"] == pytest.approx(float(e.relevance["x"].sum()), rel=1e-6)
    assert results.to_numpy().shape == (23, 2)
    assert results["7"]["row"] == 7
    assert len(list((tmp_path / "job" / "shards").iterdir())) == 5


@pytest.mark.parametrize(
    ("store", "dtype"), [("sum", "float32"), ("none", "float32"), ("relevance", "float16")]
)
def test_what_is_stored_is_chosen(net: Path, rows: Path, tmp_path: Path, store: str, dtype: str) -> None:
    results = onnxdtd.batch(net, rows, tmp_path / "job", store=onnxdtd.Store(store, dtype))
    assert ("sum.x" in results.columns, "relevance.x" in results.columns) == (
        store != "none",
        store == "relevance",
    )
    if store == "relevance":
        assert results.to_numpy().dtype == np.float16


def test_the_same_command_goes_on_and_another_is_refused(
    cli: Cli, net: Path, rows: Path, tmp_path: Path
) -> None:
    assert cli("batch", net, rows, "-o", "whole", "--shard-rows", 4)[0] == 0
    code, out, _ = cli("batch", net, rows, "-o", "job", "--shard-rows", 4, "--limit", 10)
    assert (code, out.startswith("10 rows explained, 0 failed")) == (0, True)
    code, out, _ = cli("batch", net, rows, "-o", "job", "--shard-rows", 4, "--json")
    end = json.loads(out.splitlines()[-1])
    assert (code, end["event"], end["done"], end["earlier"]) == (0, "finished", 23, 10)
    same(read(tmp_path / "job"), read(tmp_path / "whole"))
    code, _, err = cli("batch", net, rows, "-o", "job", "--shard-rows", 4, "-m", "gradient")
    assert (code, 'its method is "auto", here it is "gradient"' in err) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("")
    code, _, err = cli("batch", net, rows, "-o", "other")
    assert (code, "mine.txt" in err) == (2, True)


def test_failed_rows_are_named_and_tried_again(cli: Cli, net: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,a,b,label\nq,1,2,x\nr,1,zwei,y\ns,3,4,x\n")
    code, out, err = cli("batch", net, "rows.csv", "-o", "job")
    assert (code, out.startswith("2 rows explained, 1 failed")) == (6, True)
    assert "1 row could not be explained, see 'job/failed.jsonl':\n" in err
    assert "'rows.csv[1]': 'rows.csv', line 3, column 'b': 'zwei' is not a number" in err
    results = onnxdtd.Results(tmp_path / "job")
    assert (results.ids, [*results.failed]) == (["q", "s"], ["r"])
    assert "'zwei' is not a number" in results.failed["r"]
    assert [row["label"] for row in results] == ["x", "x"]
    (tmp_path / "rows.csv").write_text("id,a,b,label\nq,1,2,x\nr,1,2,y\ns,3,4,x\n")
    assert cli("batch", net, "rows.csv", "-o", "job")[0] == 6
    assert cli("batch", net, "rows.csv", "-o", "job", "--retry-failed")[0] == 0
    results = onnxdtd.Results(tmp_path / "job")
    assert (sorted(results.ids), results.failed) == (["q", "r", "s"], {})


def test_parquet_rows_and_lists_of_files(net: Path, tmp_path: Path) -> None:
    pa = arrow()
    table = pa.table(
        {"id": ["u", "v"], "b": [2.0, 0.1], "label": [7, 8], "a": pa.array([1, None], "float32")}
    )
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    explainer = onnxdtd.Explainer(net, "gradient_x_input", features=["a", "b"])
    results = onnxdtd.batch(explainer, tmp_path / "rows.parquet", tmp_path / "job")
    assert ([(row["id"], row["label"]) for row in results], [*results.failed]) == ([("u", 7)], ["v"])
    assert results["u"]["target_value"] == pytest.approx(4)
    for name in ("one", "two"):
        np.save(tmp_path / f"{name}.npy", ROWS[:2])
    (tmp_path / "list.txt").write_text("two.npy\n\none.npy\n")
    with tarfile.open(tmp_path / "rows.tar", "w") as tar:
        for name in ("one", "two"):
            np.save(tmp_path / "row.npy", ROWS[len(name)])
            tar.add(tmp_path / "row.npy", f"{name}.npy")
    results = onnxdtd.batch(net, tmp_path / "rows.tar", tmp_path / "tar", workers=2, shard_rows=1)
    assert [(row["id"], row["label"]) for row in results] == [("one", None), ("two", None)]
    results = onnxdtd.batch(net, tmp_path / "list.txt", tmp_path / "listed")
    assert results.ids == ["two.npy[0]", "two.npy[1]", "one.npy[0]", "one.npy[1]"]


def test_an_iterable_is_read_as_it_comes(net: Path, tmp_path: Path) -> None:
    def stream() -> Iterator[tuple[str, Any]]:
        for i, x in enumerate(ROWS):
            yield f"row {i}", x if i % 2 else {"x": x[None]}

    results = onnxdtd.batch(net, stream(), tmp_path / "job", shard_rows=4, limit=9)
    assert results.ids == [f"row {i}" for i in range(9)]
    same(list(onnxdtd.batch(net, stream(), tmp_path / "job", shard_rows=4))[:9], list(results))
    assert len(onnxdtd.Results(tmp_path / "job")) == 23
    with pytest.raises(onnxdtd.InputError, match="'a' is there twice"):
        onnxdtd.batch(net, iter([("a", ROWS[0]), ("a", ROWS[1])]), tmp_path / "other")
    for name in ("limit", "shard_rows"):
        for number in (-1, 0, 2**63, 1.0):
            with pytest.raises(onnxdtd.UsageError, match=f"{name} is a number of 1 or more, not {number}"):
                onnxdtd.batch(net, stream(), tmp_path / "none", **{name: number})


def test_a_pass_takes_as_many_rows_as_memory_holds(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the memory, less the weights, over thrice the activations of a row."""
    explainer = onnxdtd.Explainer(net)
    spent = cost(explainer.plan())
    weights = spent.memory - spent.activations
    called = onnxdtd.Explainer.__call__
    rows = [Row(str(i), {"x": x[None]}) for i, x in enumerate(ROWS)]
    for held, sizes in ((1, [1] * 23), (5, [5, 5, 5, 5, 3]), (70, [23])):
        passes: list[int] = []

        def counted(e: Any, x: Any, *rest: Any, passes: list[int] = passes, **more: Any) -> Any:
            passes.append(len(x["x"]))
            return called(e, x, *rest, **more)

        with monkeypatch.context() as patch, limited(2 * (weights + 3 * held * spent.activations)):
            patch.setattr(onnxdtd.Explainer, "__call__", counted)
            assert len(list(onnxdtd.explain_each(explainer, rows))) == 23
        assert passes == sizes


def test_a_dry_run_foretells_and_writes_nothing(cli: Cli, net: Path, rows: Path, tmp_path: Path) -> None:
    code, out, _ = cli("batch", net, rows, "-o", "job", "--dry-run", "--json")
    forecast = json.loads(out)
    assert (code, forecast["rows"], forecast["left"]) == (0, 23, 23)
    assert forecast["bytes"] == 23 * forecast["row_bytes"] > 0
    assert not (tmp_path / "job").exists()


def test_what_the_rows_have_in_common(cli: Cli, net: Path, rows: Path, tmp_path: Path) -> None:
    """Mean |relevance| of a feature over the rows of a class, and its share of a row's."""
    results = onnxdtd.batch(net, rows, tmp_path / "job", method="gradient_x_input")
    code, out, _ = cli("summary", tmp_path / "job", "--json", "--csv", "parts.csv")
    lesson = json.loads(out)
    assert (code, lesson["rows"]) == (0, {"0": 8, "1": 8, "2": 7})
    r = np.abs(results.to_numpy()[1::3].astype(np.float64))
    parts = [part for part in lesson["parts"] if part["class"] == "1"]
    assert [(part["input"], part["kind"], part["part"]) for part in parts] == [
        ("x", "feature", "0"), ("x", "feature", "1"),
    ]  # fmt: skip
    np.testing.assert_allclose([part["mean"] for part in parts], r.mean(axis=0))
    np.testing.assert_allclose([p["share"] for p in parts], (r / r.sum(axis=1, keepdims=True)).mean(axis=0))
    assert len((tmp_path / "parts.csv").read_text().splitlines()) == 7
    assert cli("summary", tmp_path / "job")[0] == 0
    assert cli("summary", tmp_path)[0] == 2


def test_what_is_stored_of_a_row_is_that_of_a_call_for_it_alone(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Rows share passes, and their columns are made of whole passes."""
    x = rng.random((70, 1, 28, 28)).astype(np.float32)
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "epsilon_plus")
    stored = [*onnxdtd.batch(explainer, x, tmp_path / "out")]
    for i in (0, 63, 64, 69):
        e = explainer(x[i : i + 1])
        row, balance = stored[i], conservation(explainer.plan(), e)
        assert row["prediction"] == e.top(1)[0][0][0]
        assert (row["target_name"], row["target"]) == (e.label(), e.target[0][0][0])
        assert row["target_value"] == pytest.approx(e.target_value[0], rel=1e-5)
        assert row["sum"]["image"] == pytest.approx(e.relevance["image"].sum(), rel=1e-4)
        assert row["findings"] == [balance.name] * balance.fired
