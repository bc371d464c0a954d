"""One loaded model, many explainers: read once, shared, copied, pickled, and every fault told at once."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import ModelError, UsageError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.load import load
from tests.support.model_text import model
from tests.support.paths import MODELS

MNIST = MODELS / "mnist_cnn.onnx"
DIGIT = np.load(MODELS / "mnist_digit.npy")
TEXT = """(float[N, 3] x) => (float[N, 2] y) {
    [scaling] h = Mul(x, two) [cut] a = Relu(h) [last] y = MatMul(a, w) }"""
TWO, W = np.array([2.0], np.float32), np.array([[1, 0], [0, 1], [1, 1]], np.float32)
X = np.array([[1, -2, 3]], np.float32)


def small(**arguments: Any) -> onnxdtd.Explainer:
    return onnxdtd.Explainer(model(TEXT, two=TWO, w=W), **arguments)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a model was read, and made canonical."""
    seen = {"load": 0, "canonise": 0}

    def counted(name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            seen[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr("onnxdtd.settings.load", counted("load", load))
    monkeypatch.setattr("onnxdtd.loaded.canonise", counted("canonise", canonise))
    return seen


def test_an_explainer_takes_the_graph_of_another() -> None:
    first = onnxdtd.Explainer(MNIST, "dtd")
    again = onnxdtd.Explainer(first.graph, "dtd")
    assert again.graph is first.graph  # canonical form is its own canonical form
    np.testing.assert_array_equal(again(DIGIT).relevance["image"], first(DIGIT).relevance["image"])
    raw = onnxdtd.Explainer(load(MNIST), "dtd")
    np.testing.assert_array_equal(raw(DIGIT).relevance["image"], first(DIGIT).relevance["image"])


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda p: p.stem)
def test_canonical_form_is_final(path: Path) -> None:
    graph = canonise(load(path))
    assert canonise(graph) is graph


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_by_another_method_is_as_from_the_file(engine: Any, counts: dict[str, int]) -> None:
    first = onnxdtd.Explainer(MNIST, "dtd", engine, input_range=(0, 1))
    first(DIGIT)
    for method in ("epsilon_plus", "gradient", "smoothgrad", "auto"):
        other = first.by(method)
        assert (other.method, other.engine, other.input_range) == (method, engine, (0, 1))
        assert other.graph is first.graph
        fresh = onnxdtd.Explainer(MNIST, method, engine, input_range=(0, 1))(DIGIT)
        np.testing.assert_allclose(
            other(DIGIT).relevance["image"], fresh.relevance["image"], rtol=1e-5, atol=1e-6
        )
    assert counts == {"load": 5, "canonise": 5}  # the first and the four fresh ones


def test_by_changes_one_thing_and_keeps_the_rest() -> None:
    rules = [{"op": "Conv", "use": "flat"}]
    first = onnxdtd.Explainer(MNIST, "integrated_gradients", rules=rules, options={"steps": 8}, bias="absorb")
    same = first.by(engine="onnx")
    assert (same.options, same.overrides, same.engine) == ({"steps": 8}, first.overrides, "onnx")
    assert first.by("smoothgrad").options == {}
    assert first.by("smoothgrad", options={"samples": 4}).options == {"samples": 4}
    assert first.by(bias="redistribute").bias == "redistribute"
    assert first.bias == "absorb"
    with pytest.raises(UsageError, match="no engine 'torch'"):
        first.by(engine="torch")
    with pytest.raises(TypeError, match="colour"):
        first.by(colour="red")


def test_sessions_and_derived_weights_are_shared() -> None:
    first = onnxdtd.Explainer(MNIST, "dtd", input_range=(0, 1))
    one, other = first.run(), first.by("epsilon_plus").run()
    assert one.forward is other.forward  # type: ignore[attr-defined]
    assert one.kept is other.kept  # type: ignore[attr-defined]
    stopped = first.by(rules=[{"name": "/3/Conv", "use": "stop"}])
    assert stopped.loaded is first.loaded


def test_activations_by_hand() -> None:
    explainer = small()
    activations = explainer.activations(X)
    assert set(activations) == {"x", "h", "a", "y"}
    assert activations["h"].tolist() == [[2, -4, 6]]
    assert activations["a"].tolist() == [[2, 0, 6]]
    assert activations["y"].tolist() == [[8, 6]]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [("a", "a"), (["h", "y"], "hy"), ("[ah]", "ha"), (["cut"], "a"), ("sc*", "h"), ("?", "xhay"), (None, "xhay")],
)  # fmt: skip
def test_activations_by_name(names: Any, chosen: str) -> None:
    assert set(small().activations(X, names)) == set(chosen)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"(?s)no value and no node is named 'q\*'.*'b'"):
        small().activations(X, ["q*", "a", "b"])


def explained(explainer: onnxdtd.Explainer) -> np.ndarray[Any, Any]:
    return explainer(DIGIT).relevance["image"]


@pytest.mark.parametrize("method", ["dtd", "epsilon_plus", "smoothgrad"])
@pytest.mark.parametrize("engine", ["numpy", "onnx", "auto"])
def test_a_used_explainer_pickles_and_copies(engine: Any, method: str) -> None:
    explainer = onnxdtd.Explainer(MNIST, method, engine, input_range=(0, 1))
    expected = explained(explainer)
    explainer.activations(DIGIT)
    for twin in (pickle.loads(pickle.dumps(explainer)), copy.deepcopy(explainer), copy.copy(explainer)):
        np.testing.assert_allclose(explained(twin), expected, rtol=1e-6, atol=1e-7)
        assert twin.plan().rules == explainer.plan().rules
        np.testing.assert_array_equal(explained(explainer), expected)
    predict = pickle.loads(pickle.dumps(onnxdtd.predict_fn(explainer)))
    np.testing.assert_array_equal(predict(DIGIT), onnxdtd.predict_fn(MNIST)(DIGIT))


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(UsageError) as error:
        onnxdtd.Explainer(
            MNIST, "magic", "torch", bias="keep", rules=[{"use": "flat"}, {"op": "Conv", "use": "gama"}],  # type: ignore[arg-type]
            providers="abacus", input_range=(1, 0),
        )  # fmt: skip
    lines = str(error.value).splitlines()
    words = [
        "no method 'magic'", "no engine 'torch'", "no bias 'keep'", "provider abacus", "rule 1:", "rule 2:",
        "input_range: low",
    ]  # fmt: skip
    assert len(lines) == len(words)
    for word, line in zip(words, lines, strict=True):
        assert word in line
    with pytest.raises(UsageError, match=r"(?s)no engine 'torch'.*none.onnx.*no such file"):
        onnxdtd.Explainer("none.onnx", engine="torch")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no such file"):
        onnxdtd.Explainer("none.onnx")
    with pytest.raises(UsageError, match=r"(?s)no option colour.*steps as int"):
        onnxdtd.Explainer(MNIST, "integrated_gradients", options={"colour": 1, "steps": "many"})


def test_compare_reads_the_model_once(counts: dict[str, int]) -> None:
    onnxdtd.compare(MNIST, DIGIT, ["dtd", "gradient", "smoothgrad", "grad_cam"], repeats=0)
    assert counts == {"load": 1, "canonise": 1}
    onnxdtd.compare(onnxdtd.Explainer(MNIST), DIGIT, ["dtd", "gradient"], repeats=0)
    assert counts == {"load": 2, "canonise": 2}


def test_evaluate_reads_the_model_once(counts: dict[str, int]) -> None:
    held_out = np.load(MODELS / "mnist_heldout.npz")["images"][:2, None].astype(np.float32) / 255
    methods = ["dtd", "gradient", "epsilon_plus", "random"]
    onnxdtd.evaluate(MNIST, held_out, methods, metrics=["sparseness", "class_sensitivity"])
    assert counts == {"load": 1, "canonise": 1}
