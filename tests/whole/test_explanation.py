from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd.conservation import Conservation
from onnxdtd.errors import InputError, TargetError
from onnxdtd.explanation import SCHEMA, Explanation
from onnxdtd.node_report import NodeReport
from tests.support.paths import DOCS

DOCS = DOCS / "explanation.md"
FILES = {
    *("explanation.json", "inputs.npz", "outputs.npz", "relevance.npz"),
    *("heatmap.png", "summary.csv", "contact.png"),
}


def example(**changes: Any) -> Explanation:
    """Two samples, 2.5 started: 2.25 arrived, 0.25 lost to the bias (0.3125) and a dead window (-0.0625)."""
    relevance = np.array([[[0.5, 0.25], [0.25, 0.0]], [[0.5, 0.5], [0.5, -0.25]]], dtype=np.float32)
    nodes = (
        NodeReport("conv", "Conv", "linear", "zbox(0, 1)", 2.1875, 2.25, {"dead": -0.0625}, 2),
        NodeReport("relu", "Relu", "elementwise", "pass", 2.1875, 2.1875, {}, 1),
        NodeReport("fc", "Gemm", "linear", "zplus", 2.5, 2.1875, {"bias": 0.3125}, 0),
    )
    fields: dict[str, Any] = {
        "inputs": {"x": np.arange(8, dtype=np.float32).reshape(2, 2, 2), "ids": np.array([[1], [2]])},
        "outputs": {"y": np.array([[0.0, 1.0, 0.5], [1.5, -2.0, 0.0]], dtype=np.float32)},
        "relevance": {"x": relevance},
        "output": "y",
        "target": (((1,),), ((0,),)),
        "target_value": np.array([1.0, 1.5]),
        "seed": np.array([1.0, 1.5]),
        "method": "dtd",
        "reason": "every hidden layer is rectified",
        "engine": "numpy",
        "provider": "CPUExecutionProvider",
        "nodes": nodes,
        "model": {"name": "net", "path": None, "sha256": "0" * 64, "opset": {"": 17}, "producer": "test"},
        "notes": ("folded 'bn' into 'conv'",),
        "warnings": ("the input range is not known",),
        "labels": ("cat", "dog", "eel"),
        "versions": {"onnxdtd": "0.1.0", "numpy": "2.0.0"},
    }
    return Explanation(**{**fields, **changes})


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_sums() -> None:
    c = example().conservation
    assert (c.target, c.relevance, c.lost, c.error, c.relative) == (2.5, 2.25, 0.25, 0.0, 0.0)
    assert c.causes == {"bias": 0.3125, "dead": -0.0625}
    assert list(c.causes) == ["bias", "dead"]
    gain = dataclasses.replace(c.nodes[0], lost={"bias": 1.0, "dead": -2.0})
    assert list(dataclasses.replace(c, nodes=(gain,)).causes) == ["dead", "bias"]
    assert (c.lost_to("bias"), c.lost_to("epsilon")) == (0.3125, 0.0)
    assert [node.error for node in c.nodes] == [0.0, 0.0, 0.0]


def test_a_leak_shows_in_the_node_and_in_the_total() -> None:
    leak = dataclasses.replace(example().nodes[2], lost={})
    c = example(nodes=(*example().nodes[:2], leak)).conservation
    assert (leak.error, c.error, c.relative) == (0.3125, 0.3125, 0.125)


@pytest.mark.parametrize(("arrived", "relative"), [(0.0, 0.0), (0.5, math.inf)])
def test_relative_error_when_nothing_started(arrived: float, relative: float) -> None:
    assert Conservation(0.0, arrived, 0.0, ()).relative == relative


def test_sums_are_in_float64() -> None:
    large = np.array([[2.0**25, 1.0, 1.0, 1.0]], dtype=np.float32)
    assert example(relevance={"x": large}, nodes=()).conservation.relevance == 2**25 + 3


def test_rules_by_node() -> None:
    assert example().rules == {"conv": "zbox(0, 1)", "relu": "pass", "fc": "zplus"}


def test_top_and_label() -> None:
    e = example()
    assert e.top(2) == [((1,), "dog", 1.0), ((2,), "eel", 0.5)]
    assert e.top(9, sample=1) == [((0,), "cat", 1.5), ((2,), "eel", 0.0), ((1,), "dog", -2.0)]
    assert (e.label(), e.label(1)) == ("class 1 'dog'", "class 0 'cat'")
    with pytest.raises(TargetError, match=r"^sample 2 is not in a batch of 2: count from 0$"):
        e.label(2)


@pytest.mark.parametrize(
    ("shape", "labels", "target", "label", "first"),
    [
        ((1, 3), None, ((2,),), "index 2", ((2,), "", 2.0)),
        ((1, 2, 3), ("a", "b", "c"), ((1, 2),), "index 1, 2 'c'", ((1, 2), "c", 5.0)),
        ((1, 2, 3), None, ((0, 2), (1, 2)), "class 2 at 2 positions", ((1, 2), "", 5.0)),
        ((1,), None, ((),), "'y'", ((), "", 0.0)),
        ((1, 3), ("only",), ((2,),), "index 2", ((2,), "", 2.0)),
    ],
)
def test_one_representation_serves_every_rank(
    shape: tuple[int, ...], labels: Any, target: Any, label: str, first: Any, tmp_path: Path
) -> None:
    output = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    one = np.ones(1)
    e = example(outputs={"y": output}, labels=labels, target=(target,), target_value=one, seed=one)
    assert (e.label(), e.top(1)[0]) == (label, first)
    assert Explanation.load(e.save(tmp_path / "out")).target == (target,)


def test_repr_fits_one_screen() -> None:
    many = example(target=(((1,),),) * 50, target_value=np.arange(50.0), seed=np.arange(50.0))
    for text in (repr(example()), repr(many)):
        assert len(text.splitlines()) < 24
        assert max(map(len, text.splitlines())) <= 100
    assert repr(example()).splitlines() == [
        "Explanation of 'net' by dtd (every hidden layer is rectified)",
        "  target        sample 0: class 1 'dog' of 'y' = 1",
        "  target        sample 1: class 0 'cat' of 'y' = 1.5",
        "  relevance     'x' float32 (2, 2, 2): from -0.25 to 0.5, sum 2.25",
        "  conservation  2.5 = 2.25 relevance + 0.25 lost (bias 0.312, dead -0.0625), error 0",
        "  rules         zbox(0, 1) x1, pass x1, zplus x1",
        "  engine        numpy, CPUExecutionProvider",
        "  warning       the input range is not known",
    ]


def test_round_trip(tmp_path: Path) -> None:
    e = example()
    folder = e.save(tmp_path / "a" / "b" / "out")
    assert folder == tmp_path / "a" / "b" / "out"
    assert entries(folder) == FILES
    loaded = Explanation.load(folder)
    assert loaded == e
    assert (loaded.nodes, loaded.target, loaded.labels) == (e.nodes, e.target, e.labels)
    assert loaded.relevance["x"].dtype == np.float32
    assert loaded.inputs["ids"].dtype == np.int64
    np.testing.assert_array_equal(loaded.seed, e.seed)
    assert np.load(folder / "relevance.npz", allow_pickle=False).files == ["x"]


@pytest.mark.parametrize(
    "changes",
    [
        {"relevance": {"x": np.zeros((2, 2, 2), dtype=np.float32)}},
        {"relevance": {"x": example().relevance["x"].astype(np.float64)}},
        {"target": (((1,),), ((2,),))},
        {"labels": None},
        {"nodes": ()},
        {"seed": np.array([1.0, 1.25])},
    ],
)
def test_equality_sees_every_field(changes: dict[str, Any]) -> None:
    assert example() == example()
    assert example() != example(**changes)


def test_strings_and_numbers_that_json_lacks(tmp_path: Path) -> None:
    words = np.array(["cat", "dögs"], dtype=object)
    e = example(outputs={**example().outputs, "word": words}, target_value=np.array([-np.inf, np.nan]))
    folder = e.save(tmp_path / "out")
    document = json.loads((folder / "explanation.json").read_text(), parse_constant=pytest.fail)
    assert document["target_value"] == ["-inf", "nan"]
    loaded = Explanation.load(folder)
    assert loaded == e
    np.testing.assert_array_equal(loaded.target_value, [-np.inf, np.nan])
    assert loaded.outputs["word"].tolist() == ["cat", "dögs"]


def test_every_json_key_is_documented(tmp_path: Path) -> None:
    document = json.loads((example().save(tmp_path / "out") / "explanation.json").read_text())
    keys = {*document, *document["conservation"], *document["nodes"][0], *document["relevance"]["x"]}
    keys |= {*document["model"], *document["conservation"]["causes"]}
    text = DOCS.read_text("utf-8")
    assert sorted(key for key in {*keys, document["schema"]} if f"`{key}`" not in text) == []
    assert document["schema"] == SCHEMA


def test_extras_belong_to_the_result(tmp_path: Path) -> None:
    def draw(folder: Path) -> None:
        (folder / "more.png").write_bytes(b"png")

    folder = example().save(tmp_path / "out", extras=draw)
    assert json.loads((folder / "explanation.json").read_text())["files"] == sorted(FILES | {"more.png"})
    example().save(folder)
    assert entries(folder) == FILES


def spoil_json(folder: Path, **changes: Any) -> None:
    path = folder / "explanation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def without(folder: Path, key: str) -> None:
    path = folder / "explanation.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))


SPOILERS: dict[str, tuple[Any, str]] = {
    "no manifest": (
        lambda f: (f / "explanation.json").unlink(),
        "holds no explanation.json: it is not the fol",
    ),
    "no json": (
        lambda f: (f / "explanation.json").write_text("{"),
        "explanation.json' cannot be read: Expect",
    ),
    "binary": (
        lambda f: (f / "explanation.json").write_bytes(b"\xff\xfe"),
        "explanation.json' cannot be read",
    ),
    "a list": (
        lambda f: (f / "explanation.json").write_text("[]"),
        "has the schema None, not 'onnxdtd.expla",
    ),
    "schema": (
        lambda f: spoil_json(f, schema="onnxdtd.explanation/2"),
        "has the schema 'onnxdtd.explanation/2'",
    ),
    "key": (lambda f: without(f, "seed"), "explanation.json' lacks 'seed'"),
    "node": (lambda f: spoil_json(f, nodes=[{"name": "a"}]), "explanation.json' lacks 'op'"),
    "type": (lambda f: spoil_json(f, seed=["much"]), "not as documented: could not convert string to float"),
    "arrays": (lambda f: spoil_json(f, relevance=[1]), "explanation.json' is not as documented"),
    "missing": (
        lambda f: (f / "relevance.npz").unlink(),
        "relevance.npz' is missing: the result is not whole",
    ),
    "empty": (
        lambda f: (f / "relevance.npz").write_bytes(b""),
        "relevance.npz' is damaged: File is not a zip",
    ),
    "text": (lambda f: (f / "outputs.npz").write_text("hello"), "outputs.npz' is damaged: "),
    "swapped": (
        lambda f: (f / "inputs.npz").rename(f / "relevance.npz"),
        "relevance.npz' and the JSON beside it are not of one",
    ),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_a_spoiled_folder_gives_one_line(tmp_path: Path, name: str) -> None:
    spoil, message = SPOILERS[name]
    folder = example().save(tmp_path / "out")
    spoil(folder)
    with pytest.raises(InputError) as caught:
        Explanation.load(folder)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
