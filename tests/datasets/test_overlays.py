"""`batch --overlays`: a picture of each row, and the first ones on one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import onnxdtd
from onnxdtd.datasets.task import spelled
from tests.support.command_line import Cli, dense
from tests.support.model_text import model

pytest.importorskip("pyarrow", reason="shards are Parquet")


def test_overlays_and_their_contact_sheet(cli: Cli, tmp_path: Path) -> None:
    """A picture of each row that was explained, whatever is stored; none of a row that failed."""
    net = model("(float[N, 1, 8, 8] x) => (float[N, 2] y) { f = Flatten(x)\n y = MatMul(f, w) }",
                w=np.ones((64, 2), np.float32))  # fmt: skip
    onnx.save(net, tmp_path / "image.onnx")
    x = np.random.default_rng(0).random((3, 1, 8, 8)).astype(np.float32)
    x[1] = np.nan
    np.save(tmp_path / "x.npy", x)
    words = ("batch", "image.onnx", "x.npy", "-o", "job", "--target", 0, "--store", "sum")
    code, _, err = cli(*words, "--overlays")
    assert (code, "1 row could not be explained" in err) == (6, True)
    results = onnxdtd.Results(tmp_path / "job")
    pictures = {path.name for path in (tmp_path / "job" / "overlays").iterdir()}
    assert pictures == {f"{spelled(name)}.png" for name in results.ids}
    assert results.ids == ["0", "2"]
    with Image.open(tmp_path / "job" / "contact.png") as sheet:
        assert min(sheet.size) > 300
    code, _, err = cli(*words)
    assert (code, "its store.overlays is true, here it is false" in err) == (2, True)


def test_a_table_is_drawn_as_bars(tmp_path: Path) -> None:
    rows = np.random.default_rng(7).normal(size=(3, 2)).astype(np.float32)
    store = onnxdtd.Store(overlays=True)
    onnxdtd.batch(
        dense(tmp_path / "net.onnx"), rows, tmp_path / "job", method="gradient_x_input", store=store
    )
    names = {path.name for path in (tmp_path / "job" / "overlays").iterdir()}
    assert names == {f"{spelled(str(i))}.png" for i in range(3)}
