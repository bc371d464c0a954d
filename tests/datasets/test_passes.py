"""Rows that lie side by side share all work but their files; a row that does not fit spoils no other."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.audit.conservation import unbalance, unbalances
from onnxdtd.datasets import job as jobs
from onnxdtd.datasets.work import Work
from onnxdtd.workers import Reader
from tests.support.batches import same
from tests.support.command_line import dense
from tests.support.metric_cases import WEIGHTS, linear
from tests.support.model_text import model
from tests.support.paths import MODELS

pytest.importorskip("pyarrow", reason="shards are Parquet")
ROWS = np.random.default_rng(7).normal(size=(23, 3)).astype(np.float32)


def rows_one_by_one(model: Any, x: Any) -> list[Any]:
    explainer = onnxdtd.Explainer(model, "gradient_x_input")
    return [explainer(row[None]).relevance["x"][0] for row in x]


@pytest.mark.parametrize("form", ["rows", "columns", "compressed", "float64", "array", "labelled"])
@pytest.mark.parametrize("batch", ["N", 4])
def test_arrays_of_every_form_and_models_of_every_batch(tmp_path: Path, form: str, batch: str | int) -> None:
    """A fixed batch of 4 is filled up in the last pass; shards of 10 rows end within a pass."""
    data: Any = tmp_path / "x.npy"
    x = ROWS.astype(np.float64) if form == "float64" else ROWS
    if form in ("rows", "columns", "float64"):
        np.save(data, np.asfortranarray(x) if form == "columns" else x)
    elif form == "array":
        data = x
    else:
        data = tmp_path / "x.npz"
        np.savez_compressed(data, x=x, **({"labels": np.arange(23)} if form == "labelled" else {}))
    results = onnxdtd.batch(
        linear(WEIGHTS, batch), data, tmp_path / "out", method="gradient_x_input", shard_rows=10
    )
    assert results.ids == [str(i) for i in range(23)]
    np.testing.assert_allclose(results.to_numpy(), rows_one_by_one(linear(WEIGHTS), ROWS), rtol=1e-6)
    labels = [row["label"] for row in results.rows(["label"])]
    assert labels == (list(range(23)) if form == "labelled" else [None] * 23)


def test_one_row_that_does_not_fit_fails_alone_and_is_tried_again(tmp_path: Path) -> None:
    """In the middle of a pass; afterwards its neighbours are done, and it stands alone in a shard of its own."""
    x = ROWS.copy()
    x[11, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    options: dict[str, Any] = {"method": "gradient_x_input", "shard_rows": 10}
    results = onnxdtd.batch(linear(WEIGHTS), tmp_path / "x.npy", tmp_path / "out", **options)
    assert results.failed == {"11": results.failed["11"]}
    assert results.failed["11"].startswith("'x.npy[11]': input 'x' holds 1 NaN")
    np.testing.assert_array_equal(
        results.to_numpy(), rows_one_by_one(linear(WEIGHTS), np.delete(ROWS, 11, 0))
    )
    np.save(tmp_path / "x.npy", ROWS)
    again = onnxdtd.batch(linear(WEIGHTS), tmp_path / "x.npy", tmp_path / "out", retry_failed=True, **options)
    assert (len(again), again.failed, len(list((tmp_path / "out" / "shards").iterdir()))) == (23, {}, 4)
    np.testing.assert_array_equal(again["11"]["relevance"]["x"], rows_one_by_one(linear(WEIGHTS), ROWS)[11])


def test_a_number_beyond_float16_fails_its_row(tmp_path: Path) -> None:
    x = ROWS.copy()
    x[5] = 1e6
    results = onnxdtd.batch(
        linear(WEIGHTS), x, tmp_path / "out", method="gradient_x_input", store=onnxdtd.Store(dtype="float16")
    )
    assert results.failed == {"5": "relevance.x exceeds 65504, the largest number of float16: store float32"}
    assert (len(results), results.to_numpy().dtype) == (22, np.float16)
    assert "5" not in results.ids


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", ["epsilon_plus", "gradient", "gradient_x_input", "dtd"])
def test_the_books_of_all_samples_at_once_are_those_of_each(engine: Any, method: str) -> None:
    """With a sample of nothing, whose logits are those of the biases."""
    x = np.load(MODELS / "mnist_heldout.npz")["images"][:4, None].astype(np.float32) / 255
    x[2] = 0
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", method, engine=engine)
    e, plan = explainer(x, 3), explainer.plan()
    each = [unbalance(plan, e.conservation.sample(i)) for i in range(len(x))]
    expected = [np.nan if value is None else value for value in each]
    np.testing.assert_allclose(unbalances(plan, e), expected, rtol=1e-4, atol=1e-6)


class Fatal(Work):
    """Ends its process over the task from row 30 on."""

    def __call__(self, task: Any) -> Any:
        if task.places[0] == 30:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(task)


def test_a_task_that_ends_every_process_is_named_and_not_its_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process has two tasks in hand, of which either may be the one."""
    np.save(tmp_path / "x.npy", np.resize(ROWS, (100, 2)))
    job: dict[str, Any] = {
        "model": dense(tmp_path / "net.onnx"), "data": tmp_path / "x.npy", "engine": "numpy", "shard_rows": 5,
    }  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "Work", Fatal)
        with pytest.raises(onnxdtd.UsageError, match="3 processes died over the 5 rows from '30' on"):
            onnxdtd.batch(out=tmp_path / "job", workers=2, **job)
    same(list(onnxdtd.batch(out=tmp_path / "job", **job)), list(onnxdtd.batch(out=tmp_path / "whole", **job)))


def test_large_rows_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the model leaves open how large they are: four rows of 2^17 numbers fill a pass."""
    net = model(
        "(float[N, T] x) => (float[N, 1] y) { y = ReduceSum<keepdims = 1>(x, axis) }", axis=np.array([1])
    )
    counts = []
    together = Reader.together

    def counted(reader: Reader, place: int, count: int) -> Any:
        counts.append(count)
        return together(reader, place, count)

    monkeypatch.setattr(Reader, "together", counted)
    x = np.ones((9, 1 << 17), np.float32)
    results = onnxdtd.batch(net, x, tmp_path / "out", method="gradient_x_input", store=onnxdtd.Store("sum"))
    assert (len(results), counts) == (9, [1, 4, 4])
