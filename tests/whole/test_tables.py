"""What is kept at values inside, summed up by layer, by head and by token."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer
from onnxdtd.kept import tables
from tests.support.command_line import command_line
from tests.support.paths import GOLDENS

FOLDER = GOLDENS / "transformer"
SOFTMAX = {"script": "*oftmax*", "dynamo": "*softmax*", "attention": "SoftmaxOutSafe*"}


def golden() -> tuple[dict[str, Any], Any]:
    arrays = dict(np.load(FOLDER / "relevance.npz"))
    return {"ids": arrays["ids"], "mask": arrays["mask"]}, arrays["target"].tolist()


def test_sums_by_hand() -> None:
    """Two samples of two heads, as (N, H, Q, K) and as exporters write them, (N H, Q, K); a layer (N, T, D)."""
    weights = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2) - 8
    layer = np.array([[[1, -2, 3], [4, 5, 6]], [[0, 0, 1], [1, 1, -1]]], np.float32)
    made = tables({"a": weights, "b": weights.reshape(4, 2, 2), "c": layer}, 1, 2, 2)
    assert made.layers["c"] == (2, 4)
    for name in "ab":  # 0 ... 7
        assert made.layers[name] == (28, 28)
        assert made.heads[name].relevance.tolist() == [6, 22]
        assert made.tokens[name].relevance.tolist() == [12, 16]  # by keys
    assert made.tokens["c"].relevance.tolist() == [1, 1]
    assert made.tokens["c"].size.tolist() == [1, 3]
    assert "c" not in made.heads
    assert made.lines(("x", "y"))["tokens"][4:] == [
        {"value": "c", "position": 0, "token": "x", "relevance": 1, "size": 1},
        {"value": "c", "position": 1, "token": "y", "relevance": 1, "size": 3},
    ]


def test_layers_stand_in_the_order_of_their_numbers() -> None:
    names = ["layer.10/Softmax", "layer.2/Softmax", "layer.2/Softmax_1", "ids"]
    assert [*tables(dict.fromkeys(names, np.ones((1, 2), np.float32)), 0, 1, 0).layers] == [
        "ids", "layer.2/Softmax", "layer.2/Softmax_1", "layer.10/Softmax",
    ]  # fmt: skip


def test_what_hangs_on_no_sample_is_left_out() -> None:
    assert tables({"shared": np.ones((5, 4), np.float32)}, 0, 2, 0).layers == {}
    assert tables({"shared": np.ones((5, 4), np.float32)}, 0, 1, 0).layers["shared"] == (20, 20)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("export", SOFTMAX)
def test_heads_and_tokens_of_a_transformer_add_up_to_its_layers(export: str, engine: Any) -> None:
    feeds, target = golden()
    e = Explainer(FOLDER / f"{export}.onnx", "attnlrp", engine)(feeds, target, keep=[SOFTMAX[export]])
    for sample, mask in enumerate(feeds["mask"]):
        made = e.tables(sample)
        assert len(made.layers) == len(made.heads) == len(made.tokens) == 2
        for name, layer in made.layers.items():
            assert made.heads[name].relevance.sum() == pytest.approx(layer.relevance, rel=1e-6)
            assert made.tokens[name].size.sum() == pytest.approx(layer.size, rel=1e-6)
            assert made.tokens[name].size.shape == mask.shape
            assert not made.tokens[name].size[mask == 0].any()  # nobody looks at padding
    assert "heads of" in str(made)


def test_run_writes_the_tables(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli, (feeds, _) = command_line(capsys, tmp_path, monkeypatch), golden()
    np.savez("x.npz", **feeds)
    (tmp_path / "tokens.txt").write_text("\n".join(f"t{i}" for i in range(feeds["ids"].shape[1])))
    code, out, _ = cli("run", str(FOLDER / "dynamo.onnx"), "x.npz", "--keep", "*softmax*", "-o", "out",
                       "--tokens", "tokens.txt", "--method", "attnlrp", "--no-audit")  # fmt: skip
    assert (code, "kept_heads.csv" in out) == (0, True)
    rows = {
        kind: list(csv.DictReader((tmp_path / f"out/kept_{kind}.csv").read_text().splitlines()))
        for kind in ("layers", "heads", "tokens")
    }
    assert [*rows["layers"][0]] == ["row", "value", "relevance", "size"]
    assert [*rows["heads"][0]] == ["row", "value", "head", "relevance", "size"]
    assert [*rows["tokens"][0]] == ["row", "value", "position", "token", "relevance", "size"]
    assert rows["tokens"][1]["token"] == "t1"
    total = sum(float(row["relevance"]) for row in rows["layers"])
    assert sum(float(row["relevance"]) for row in rows["tokens"]) == pytest.approx(total, rel=1e-6)
