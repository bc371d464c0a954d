"""`concepts`: relevance of channels, their reference rows and where they are, by hand.

h = relu(x),    y0 = 2 h0,    y1 = h0 / 2 + 3 h1

row   x         y           target  relevance of h   activation of h
a     (3, 0)    (6, 1.5)    0       (6, 0)           (3, 0)
b     (5, 4)    (10, 14.5)  1       (2.5, 12)        (5, 4)
c     (1, -2)   (2, .5)     0       (2, 0)           (1, 0)
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.lessons.channels import Highest
from onnxdtd.lessons.layers import layer_of
from tests.support.command_line import Cli
from tests.support.model_text import model

pytest.importorskip("pyarrow", reason="shards are Parquet")
TEXT = "(float[N, 2] x) => (float[N, 2] y) { h = Relu(x)\n y = MatMul(h, w) }"
W = np.array([[2, 0.5], [0, 3]], np.float32)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    onnx.save(model(TEXT, w=W), tmp_path / "net.onnx")
    (tmp_path / "rows.csv").write_text("id,p,q\na,3,0\nb,5,4\nc,1,-2\n")
    return {"model": tmp_path / "net.onnx", "data": tmp_path / "rows.csv", "method": "composite"}


@pytest.mark.parametrize("keep", [(), ("h",)])
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", ["composite", "gradient_x_input"])
def test_channels_and_their_references(
    job: dict[str, Any], tmp_path: Path, keep: tuple[str, ...], engine: str, method: str
) -> None:
    """RelMax and ActMax put the rows in another order; relevance that was stored is the same as that made anew."""
    rules = [{"op": "MatMul", "use": "epsilon", "epsilon": 0.0}] if method == "composite" else None
    results = onnxdtd.batch(
        **{**job, "method": method}, out=tmp_path / "job", store=onnxdtd.Store(keep=keep), engine=engine, rules=rules
    )  # fmt: skip
    concepts = onnxdtd.concepts(results, "h", references=2)
    assert (concepts.layer.name, concepts.layer.axis, concepts.layer.channels) == ("h", 1, 2)
    zero, one = concepts.classes["0"], concepts.classes["1"]
    assert [(c["channel"], c["share"], c["relevance"], c["rows"]) for c in zero] == [
        (0, pytest.approx(1), pytest.approx(4), 2), (1, 0, 0, 2),
    ]  # fmt: skip
    assert [(c["channel"], c["share"], c["positive"]) for c in one] == [
        (1, pytest.approx(12 / 14.5), 1), (0, pytest.approx(2.5 / 14.5), 1),
    ]  # fmt: skip
    assert [(r.id, r.name, r.value) for r in concepts.relevant[0]] == [
        ("a", "0", pytest.approx(6)), ("b", "1", pytest.approx(2.5)),
    ]  # fmt: skip
    assert [(r.id, r.value) for r in concepts.active[0]] == [("b", 5), ("a", 3)]
    assert [r.id for r in concepts.relevant[1]] == ["b", "a"]  # of equal ones the first
    located = concepts.where("b")
    assert located.shares == {1: pytest.approx(12 / 14.5), 0: pytest.approx(2.5 / 14.5)}
    np.testing.assert_allclose(located.parts[1].relevance["x"], [[0, 12]], rtol=1e-6)
    np.testing.assert_allclose(located.parts[0].relevance["x"], [[2.5, 0]], rtol=1e-6)
    only = onnxdtd.concepts(results, "h", classes=["1"])
    assert (list(only.classes), len(only.relevant[0])) == (["1"], 1)
    assert len(onnxdtd.concepts(results, "h", references=2**62).relevant[0]) == 3  # as many as there are rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"providers": 0}, "damaged: 'providers' is of another type"),
        ({"source": []}, "damaged: 'source' is of another type"),
        ({"source": None}, "damaged: 'source' is of another type"),
        ({"source": {"model": ["net.onnx"]}}, "damaged: 'model' is of another type"),
        ({"source": {"model": __file__}}, "damaged: it lacks 'method'"),
        ({"store": {"keep": 1}}, "damaged: store: 'keep' is of another type"),
        ({"features": {"p": 1}}, "damaged: 'features' is of another type"),
    ],
)
def test_a_manifest_that_says_what_no_job_does_is_told(
    job: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    onnxdtd.batch(**job, out=tmp_path / "job")
    manifest = json.loads((tmp_path / "job" / "manifest.json").read_text())
    (tmp_path / "job" / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(onnxdtd.InputError, match=message):
        onnxdtd.concepts(tmp_path / "job", "h")


def test_channels_that_look_at_one_place_agree(tmp_path: Path) -> None:
    """Channel 0 sees the first pixel only, channel 1 the others, of which each row has another one lit."""
    masks = np.zeros((1, 2, 3, 3), np.float32)
    masks[0, 0, 0, 0] = 1
    masks[0, 1] = 1 - masks[0, 0]
    net = model(
        "(float[N, 1, 3, 3] x) => (float[N, 2] y) { p = Mul(x, m)\n h = Relu(p)\n"
        " s = ReduceSum<keepdims = 0>(h, axes)\n y = MatMul(s, w) }",
        m=masks, axes=np.array([2, 3]), w=np.array([[3, 0], [1, 0]], np.float32),
    )  # fmt: skip
    onnx.save(net, tmp_path / "net.onnx")
    rows = np.zeros((3, 1, 3, 3), np.float32)
    rows[:, 0, 0, 0] = 1
    rows.reshape(3, -1)[[0, 1, 2], [2, 4, 6]] = 1
    np.save(tmp_path / "x.npy", rows)
    results = onnxdtd.batch(tmp_path / "net.onnx", tmp_path / "x.npy", tmp_path / "job", 0, "epsilon_plus")
    concepts = onnxdtd.concepts(results, "h", references=3)
    assert [entry["channel"] for entry in concepts.classes["0"]] == [0, 1]
    assert concepts.agreement(0) == pytest.approx(1)
    assert concepts.agreement(1) == pytest.approx(0)


def test_the_rows_with_the_largest_numbers() -> None:
    highest = Highest(1, 2)
    for row, x in enumerate([1.0, 3.0, 1.0, 3.0, np.nan, 2.0]):
        highest.add(row, np.array([x]))
    assert highest.of(0) == [(1, 3.0), (3, 3.0)]


def test_the_layer_that_is_taken() -> None:
    """The last feature map; without one, what the last weighted node reads; of (N, T, F) the last axis."""
    maps = model(
        "(float[N, 1, 4, 4] x) => (float[N, 2] y) { c = Conv(x, k)\n r = Relu(c)\n f = Flatten(r)\n"
        " y = MatMul(f, w) }",
        k=np.ones((3, 1, 3, 3), np.float32), w=np.ones((12, 2), np.float32),
    )  # fmt: skip
    plan = onnxdtd.Explainer(maps).plan()
    layer = layer_of(plan)
    assert (layer.name, layer.axis, layer.channels, layer.why) == ("r", 1, 3, "the last feature map")
    assert layer_of(plan, "c").why == ""
    with pytest.raises(
        onnxdtd.UsageError, match=r"layers with channels are 'c' \(3\), 'r' \(3\), 'f' \(12\)"
    ):
        layer_of(plan, "x")
    with pytest.raises(onnxdtd.UsageError, match="no value and no node is named 'relu_9'"):
        layer_of(plan, "relu_9")
    with pytest.raises(onnxdtd.UsageError, match="'r' has no channels on axis 4"):
        layer_of(plan, "r", 4)
    assert layer_of(onnxdtd.Explainer(model(TEXT, w=W)).plan()).name == "h"
    tokens = model(
        "(float[N, 5, 4] x) => (float[N, 5, 2] y) { h = MatMul(x, v)\n r = Relu(h)\n y = MatMul(r, w) }",
        v=np.ones((4, 6), np.float32), w=np.ones((6, 2), np.float32),
    )  # fmt: skip
    layer = layer_of(onnxdtd.Explainer(tokens).plan())
    assert (layer.name, layer.axis, layer.channels) == ("r", 2, 6)


def test_the_command_its_files_and_what_it_refuses(cli: Cli, job: dict[str, Any], tmp_path: Path) -> None:
    assert cli("batch", "net.onnx", "rows.csv", "-o", "job", "-m", "composite")[0] == 0
    code, out, err = cli("concepts", "job", "-o", "out", "--row", "b", "--references", 1, "--json")
    document = json.loads(out)
    assert (code, document["settings"]["layer"]) == (0, "h")
    assert err == "onnxdtd: no pictures of channels: neither pictures nor texts were explained\n"
    assert document["references"]["0"]["actmax"][0]["id"] == "b"
    assert list(document["where"]["shares"]) == ["1", "0"]
    with (tmp_path / "out" / "references.csv").open() as file:
        lines = [(line["channel"], line["by"], line["id"]) for line in csv.DictReader(file)]
    assert lines == [("0", "relmax", "a"), ("1", "relmax", "b"), ("0", "actmax", "b"), ("1", "actmax", "b")]
    code, out, _ = cli("concepts", "job", "-o", "out")
    assert (code, "layer: h, 2 channels, what the last weighted node reads" in out) == (0, True)
    for words in (
        ["--layer", "g"],
        ["--class", "seven"],
        ["--row", "z"],
        ["--relmax", "median"],
        ["--top", 0],
    ):
        code, out, err = cli("concepts", "job", "-o", "out", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), words
    assert cli("batch", "net.onnx", "rows.csv", "-o", "many", "-m", "occlusion")[0] == 0
    code, _, err = cli("concepts", "many", "-o", "out")
    assert (code, "was explained by occlusion, which takes many passes" in err) == (2, True)
    (tmp_path / "rows.csv").write_text("id,p,q\na,3,0\nz,5,4\nc,1,-2\n")
    code, _, err = cli("concepts", "job", "-o", "out")
    assert (code, "row 1 was 'b' and is 'z'" in err) == (2, True)


def test_pictures_of_channels(tmp_path: Path) -> None:
    net = model(
        "(float[N, 1, 9, 9] x) => (float[N, 2] y) { c = Conv(x, k)\n r = Relu(c)\n f = ReduceMean<axes = [2, 3],"
        " keepdims = 0>(r)\n y = MatMul(f, w) }",
        k=np.random.default_rng(0).normal(size=(3, 1, 3, 3)).astype(np.float32), w=np.ones((3, 2), np.float32),
    )  # fmt: skip
    onnx.save(net, tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(5, 1, 9, 9)).astype(np.float32))
    results = onnxdtd.batch(tmp_path / "net.onnx", tmp_path / "x.npy", tmp_path / "job", 0)
    concepts = onnxdtd.concepts(results, references=2, top=1)
    concepts.save(tmp_path / "out", located=concepts.where("3", top=2))
    (channel,) = concepts.relevant
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"concepts.json", "channels.csv", "references.csv", "where.png", f"channel-{channel}.png"}
