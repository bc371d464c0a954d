"""A job's folder says of what it was made, so that what is asked of it later needs neither model nor data named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.datasets.recipe import reopened
from tests.support.command_line import dense
from tests.support.model_text import model

pytest.importorskip("pyarrow", reason="shards are Parquet")
ROWS = np.random.default_rng(7).normal(size=(6, 2)).astype(np.float32)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "rows.npy", ROWS)
    return {"model": dense(tmp_path / "net.onnx"), "data": tmp_path / "rows.npy", "out": tmp_path / "job"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"target": "1", "input_range": (-4, 4), "features": ["u", "v"]},
        {"target": 2, "method": "composite", "rules": [{"op": "Gemm", "use": "gamma", "gamma": 0.5}]},
        {"method": "integrated_gradients", "options": {"steps": 4}, "engine": "numpy"},
    ],
)
def test_a_job_is_opened_again_as_it_was_explained(job: dict[str, Any], settings: dict[str, Any]) -> None:
    results = onnxdtd.batch(**job, **settings)
    again = reopened(results.folder)
    assert again.data is not None
    (row, *_) = again.data
    e = again.explainer(row.inputs, again.target)
    np.testing.assert_allclose(e.relevance["x"][0], results["0"]["relevance"]["x"], rtol=1e-6)


def test_names_of_classes_and_fixed_inputs_come_back(job: dict[str, Any], tmp_path: Path) -> None:
    explainer = onnxdtd.Explainer(job["model"], labels=["a", "b", "c"])
    results = onnxdtd.batch(explainer, job["data"], job["out"], "c")
    assert reopened(results.folder).explainer(ROWS[:1], "c").label() == "class 2 'c'"
    proto = model("(float[N, 2] x, float[1] k) => (float[N, 2] y) { y = Mul(x, k) }")
    onnx.save(proto, tmp_path / "two.onnx")
    results = onnxdtd.batch(tmp_path / "two.onnx", job["data"], tmp_path / "fixed", 0, fixed={"k": 3.0})
    e = reopened(results.folder).explainer(ROWS[:1], 0)
    np.testing.assert_allclose(e.relevance["x"], [[3 * ROWS[0, 0], 0]], rtol=1e-6)


def test_what_is_lost_or_is_another_is_told(job: dict[str, Any], tmp_path: Path) -> None:
    def mine(*_: Any) -> Any:
        return onnxdtd.RULES["epsilon"].make()

    results = onnxdtd.batch(**job, method=mine)
    with pytest.raises(onnxdtd.InputError, match="its method cannot be written down: give the explainer"):
        reopened(results.folder)
    assert reopened(results.folder, onnxdtd.Explainer(job["model"], mine)).data is not None
    results = onnxdtd.batch(job["model"], ROWS, tmp_path / "arrays")
    assert reopened(results.folder).data is None
    assert reopened(results.folder, data=job["data"]).data is not None
    with pytest.raises(onnxdtd.InputError, match='its method is "auto", here it is "gradient"'):
        reopened(results.folder, onnxdtd.Explainer(job["model"], "gradient"))
    dense(job["model"], scale=2)
    with pytest.raises(onnxdtd.InputError, match=r"explained otherwise: its model\.(sha256|weights) is"):
        reopened(results.folder)
    job["model"].unlink()
    with pytest.raises(onnxdtd.InputError, match="is gone: name the model"):
        reopened(results.folder)
    manifest = json.loads((results.folder / "manifest.json").read_text())
    assert manifest["source"]["data"] is None
