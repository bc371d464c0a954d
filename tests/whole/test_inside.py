"""Values inside the model: relevance is kept there, restricted to channels, or begins there; on both engines."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.audit import audited
from onnxdtd.errors import InputError, TargetError, UsageError
from tests.support.model_text import model
from tests.support.paths import MODELS

MNIST = MODELS / "mnist_cnn.onnx"
DIGIT = np.load(MODELS / "mnist_digit.npy")
# At X: h = x w = [3, -1, 5], a = [3, 0, 5], b = a [2, 1, 1] = [6, 0, 5], y = a + b, z = y v = [9, 10].
TEXT = """(float[N, 3] x) => (float[N, 2] z, float[N, 3] b) {
    [first] h = MatMul(x, w) [cut] a = Relu(h) [scale] b = Mul(a, s) [sum] y = Add(a, b) [last] z = MatMul(y, v) }"""
CONSTANTS = {
    "w": np.array([[1, 0, 1], [1, -1, 2], [0, 0, 2]], np.float32),
    "s": np.array([2, 1, 1], np.float32),
    "v": np.array([[1, 0], [5, 3], [0, 1]], np.float32),
}
X = np.array([[2, 1, 0.5], [1, 0, 1]], np.float32)
ENGINES = pytest.mark.parametrize("engine", ["numpy", "onnx"])


def small(engine: Any = "numpy", method: Any = "epsilon_plus", **arguments: Any) -> onnxdtd.Explainer:
    return onnxdtd.Explainer(model(TEXT, **CONSTANTS), method, engine, **arguments)


@ENGINES
def test_kept_relevance_by_hand(engine: Any) -> None:
    """z0 = 9 = y0, so all is y0's: a0 = 3 hands 3 to a directly, 6 by b; then to x0, x1 as 2 : 1."""
    e = small(engine)(X[:1], 0, keep=["*"])
    expected = {
        "z": [[9, 0]], "y": [[9, 0, 0]], "b": [[6, 0, 0]], "a": [[9, 0, 0]], "h": [[9, 0, 0]], "x": [[6, 3, 0]],
    }  # fmt: skip
    assert set(e.kept) == set(expected)
    for name, r in expected.items():
        np.testing.assert_allclose(e.kept[name], r, rtol=1e-5, err_msg=name)
        assert e.kept[name].dtype == np.float32
    np.testing.assert_array_equal(e.kept["x"], e.relevance["x"])


@ENGINES
@pytest.mark.parametrize(
    ("keep", "names"),
    [("a", "a"), (["cut"], "a"), (["?"], "xhabyz"), (["sc*", "a"], "ba"), ([], ""), ("[ab]", "ab")],
)
def test_values_are_kept_by_name(engine: Any, keep: Any, names: str) -> None:
    assert set(small(engine)(X, 0, keep=keep).kept) == set(names)


@ENGINES
def test_only_some_channels_by_hand(engine: Any) -> None:
    """z1 = y2 = 10 for sample 0, a2 takes it all; of [0, 1] nothing goes on, of [2] all."""
    explainer = small(engine)
    whole = explainer(X, 1).relevance["x"]
    np.testing.assert_allclose(whole[0], [4, 4, 2], rtol=1e-5)
    np.testing.assert_allclose(explainer(X, 1, only={"a": [2]}).relevance["x"], whole)
    assert not explainer(X, 1, only={"cut": [0, 1]}).relevance["x"].any()
    half = explainer(X, 1, only={"b": 0}, keep=["a", "b"])  # what goes beside b goes on
    np.testing.assert_allclose(half.relevance["x"], whole / 2, rtol=1e-5)
    np.testing.assert_allclose(half.kept["b"][0], [0, 0, 5], rtol=1e-5)  # what arrived, before the mask
    assert half.only == {"b": {"1": [0]}}


@ENGINES
@pytest.mark.parametrize("method", ["epsilon_plus", "gradient", "composite"])
def test_channels_alone_add_up_to_the_whole(engine: Any, method: str) -> None:
    explainer = onnxdtd.Explainer(MNIST, method, engine, bias="absorb")
    whole = explainer(DIGIT, 3, keep=["*"])
    name = next(name for name, r in whole.kept.items() if r.ndim == 4 and name != "image")
    channels = range(whole.kept[name].shape[1])
    parts = [explainer(DIGIT, 3, only={name: [c]}).relevance["image"] for c in channels]
    scale = np.abs(whole.relevance["image"]).max()
    np.testing.assert_allclose(sum(parts), whole.relevance["image"], atol=1e-5 * scale)


@ENGINES
def test_another_axis_and_several_values(engine: Any) -> None:
    """Along axis -1 as along axis 1 of (N, F); two values are restricted together."""
    explainer = small(engine)
    np.testing.assert_array_equal(
        explainer(X, 0, only={"a": {-1: [0]}}).relevance["x"], explainer(X, 0, only={"a": [0]}).relevance["x"]
    )
    both = explainer(X[:1], 0, only={"y": [0], "b": [1]}).relevance["x"]
    np.testing.assert_allclose(both, [[2, 1, 0]], rtol=1e-5)
    one = explainer(X, 0, only={"y": {0: [1], 1: [0]}})  # of sample 1 alone
    assert not one.relevance["x"][0].any()
    assert one.relevance["x"][1].any()


@ENGINES
def test_sizes_that_only_a_run_knows(engine: Any) -> None:
    """Compress takes rows 0, 2 and 3 of 5; the third of them is row 3."""
    text = """(float[N, L, 2] x) => (float[N, M, 2] y) {
        h = Compress<axis = 1>(x, taken) a = Relu(h) y = MatMul(a, v) }"""
    source = model(text, taken=np.array([1, 0, 1, 1, 0], bool), v=np.ones((2, 2), np.float32))
    explainer = onnxdtd.Explainer(source, "gradient", engine)
    x = np.ones((2, 5, 2), np.float32)
    rows = [0, 0, 0, 1, 0]
    for e in (explainer(x, (2, 0), only={"a": [2, 1]}), explainer(x, start={"a": [[0, 0], [0, 0], [1, 1]]})):
        assert e.relevance["x"].tolist() == [[[row, row] for row in rows]] * 2
    assert not explainer(x, (2, 0), only={"a": [0, 1]}).relevance["x"].any()
    with pytest.raises(UsageError, match="'a' has 3 channels on axis 1"):
        explainer(x, (2, 0), only={"a": [3]})


def test_the_books_say_what_was_masked() -> None:
    e = small()(X, 0, only={"b": [1], "h": [0]})
    nodes = {node.name: node for node in e.conservation.nodes}
    np.testing.assert_allclose(nodes["scale"].lost["masked"], nodes["scale"].arrived)
    assert nodes["scale"].left == 0
    assert not [w for w in e.warnings if "neither arrived" in w]
    assert abs(e.conservation.error) < 1e-5
    np.testing.assert_allclose(nodes["scale"].samples.lost["masked"], [6, 2], rtol=1e-5)  # type: ignore[union-attr]


@ENGINES
@pytest.mark.parametrize(
    "method", ["epsilon_plus", "dtd", "gradient", "gradient_x_input", "composite", "attnlrp"]
)
def test_a_start_at_what_was_kept_goes_on_alike(engine: Any, method: str) -> None:
    explainer = onnxdtd.Explainer(MNIST, method, engine, input_range=(0, 1))
    whole = explainer(DIGIT, keep=["*"])
    for name in [name for name in whole.kept if name != "image"]:
        again = explainer(DIGIT, start={name: whole.kept[name]})
        scale = np.abs(whole.relevance["image"]).max()
        np.testing.assert_allclose(again.relevance["image"], whole.relevance["image"], atol=1e-4 * scale)


@ENGINES
def test_a_start_by_hand(engine: Any) -> None:
    """Where nothing of the target would come: at h = -1, which x1 alone makes. What lies above is not walked."""
    explainer = small(engine)
    e = explainer(X[:1], start={"h": [[0, 7, 0]]})
    np.testing.assert_allclose(e.relevance["x"], [[0, 7, 0]], rtol=1e-5)
    np.testing.assert_allclose(e.seed, [7])
    assert e.start == ("h",)
    assert set(e.rules) == ({"first"} if engine == "numpy" else set())
    assert "h" in e.question
    both = explainer(X, start={"a": [3, 0, 0], "b": [[6, 0, 0]], "h": [[0, 0, 0]]}, keep="a")
    np.testing.assert_allclose(both.kept["a"], [[9, 0, 0]] * 2)
    np.testing.assert_allclose(both.relevance["x"][0], [6, 3, 0], rtol=1e-5)
    np.testing.assert_allclose(both.seed, [9, 9])
    assert [w for w in both.warnings if "neither" in w or "logit" in w] == []


def test_a_start_finds_the_output_that_has_it_on_its_way() -> None:
    text = """(float[N, 2] x) => (float[N, 2] u, float[N, 2] v) { u = Relu(x) h = Neg(x) v = Relu(h) }"""
    e = onnxdtd.Explainer(model(text), "gradient")(np.ones((1, 2), np.float32), start={"h": [1, 2]})
    assert e.relevance["x"].tolist() == [[-1, -2]]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"keep": ["hh"]}, UsageError, "no value and no node is named 'hh'"),
        ({"keep": ["firs"]}, UsageError, "did you mean 'first'"),
        ({"only": {"a": [3]}}, UsageError, "'a' has 3 channels on axis 1, 0 to 2; there is no 3"),
        ({"only": {"a": {2: [0]}}}, UsageError, "has no axis 2"),
        ({"only": {"a": []}}, UsageError, "the channels of 'a' are whole numbers from 0 on"),
        ({"only": {"a": [-1]}}, UsageError, "the channels of 'a' are whole numbers from 0 on"),
        ({"only": {"a": [0.5]}}, UsageError, "the channels of 'a' are whole numbers from 0 on"),
        ({"only": {"x": [0]}}, UsageError, "'x' is an input of the model"),
        ({"start": {"x": [0]}}, UsageError, "'x' is an input of the model"),
        ({"start": {"a": [1, 2]}}, InputError, "'a' is of shape (2, 3), the relevance of shape (2,)"),
        ({"start": {"a": [1, np.nan, 2]}}, InputError, "is not finite"),
        ({"start": {"a": "much"}}, InputError, "is no array of numbers"),
        ({"start": {"a": [1, 2, 3]}, "target": 0}, TargetError, "give one of target=, targets= and start="),
        ({"start": {"h": [1, 2, 3]}, "keep": ["y"]}, UsageError, "no relevance comes to 'y'"),
    ],
)  # fmt: skip
@ENGINES
def test_what_cannot_be_is_one_line(engine: Any, asked: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error) as caught:
        small(engine)(X, **asked)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_one_call_takes_them_too() -> None:
    e = onnxdtd.explain(model(TEXT, **CONSTANTS), X, 0, "epsilon_plus", keep="a", only={"a": [0]})
    assert list(e.kept) == ["a"]
    np.testing.assert_array_equal(e.kept["a"], small()(X, 0, keep="a").kept["a"])


def test_all_faults_at_once_and_methods_of_many_passes() -> None:
    with pytest.raises(UsageError) as caught:
        small()(X, keep=["q1", "q2"], only={"a": [-1]})
    assert len(str(caught.value).splitlines()) == 3
    with pytest.raises(UsageError, match="smoothgrad takes many passes"):
        small(method="smoothgrad")(X, keep=["a"])


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    e = small()(X, 0, keep=["a", "h"], only={"b": [0]})
    e.save(tmp_path / "out")
    again = onnxdtd.Explanation.load(tmp_path / "out")
    assert again == e
    np.testing.assert_array_equal(again.kept["a"], e.kept["a"])
    assert again.only == {"b": {"1": [0]}}
    document = json.loads((tmp_path / "out" / "explanation.json").read_text("utf-8"))
    assert "kept.npz" in document["files"]
    assert document["kept"]["a"]["shape"] == [2, 3]
    start = small()(X, start={"a": [1, 2, 3]})
    start.save(tmp_path / "start")
    assert onnxdtd.Explanation.load(tmp_path / "start") == start
    assert not (tmp_path / "start" / "kept.npz").exists()


@ENGINES
def test_explainers_pickle_and_walks_are_cached(engine: Any, tmp_path: Path) -> None:
    explainer = small(engine, cache_dir=tmp_path)
    first = explainer(X, 0, keep=["a"], only={"b": [0]})
    for twin in (
        pickle.loads(pickle.dumps(explainer)),
        copy.deepcopy(explainer),
        small(engine, cache_dir=tmp_path),
    ):
        again = twin(X, 0, keep=["a"], only={"b": [0]})
        np.testing.assert_allclose(again.kept["a"], first.kept["a"])
        np.testing.assert_allclose(twin(X, 0).relevance["x"], small()(X, 0).relevance["x"], rtol=1e-5)


def test_a_sum_of_outputs_keeps_the_sum() -> None:
    def both(shapes: Any) -> dict[str, Any]:
        return {"z": np.array([[1.0, 0.0]] * 2), "b": np.ones((2, 3))}

    e = small()(X, both, keep=["a"])
    parts = [small()(X, "z:0", keep=["a"]).kept["a"], small()(X, "b:0", keep=["a"]).kept["a"]]
    assert e.kept["a"][0, 0] == pytest.approx(sum(part[0, 0] for part in parts), rel=1e-5)


def test_audits_speak_of_whole_walks() -> None:
    explainer = small()
    assert audited(explainer, X, 0, keep=["a"]).findings
    restricted = audited(explainer, X, 0, only={"a": [0]})
    assert restricted.findings == ()
    with pytest.raises(UsageError, match="audits speak of whole walks"):
        onnxdtd.run_audit(explainer, restricted)
