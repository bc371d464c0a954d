"""predict_fn: what onnxruntime says, as probabilities, in any number of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.predict import predict_fn
from tests.support.command_line import DIGIT, DIGIT_MODEL, dense
from tests.support.model_text import model
from tests.support.paths import MODELS

X = np.array([[1, 2], [0, 0], [-1, 3]], np.float32)
Z = X @ np.array([[1, 0, -1], [1, 1, -1]]) + [1, 0, 0]
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


def ending(text: str, columns: int = 2, **constants: Any) -> onnx.ModelProto:
    return model(f"(float[N, 2] x) => (float[N, {columns}] y) {{ {text} }}", **constants)


def test_logits_become_probabilities(tmp_path: Path) -> None:
    predict = predict_fn(dense(tmp_path / "m.onnx"))
    assert predict.how == "softmax"
    np.testing.assert_allclose(predict(X), P, rtol=1e-6)
    assert predict.rows == 3


def test_probabilities_false_gives_the_output_as_it_is(tmp_path: Path) -> None:
    np.testing.assert_allclose(predict_fn(dense(tmp_path / "m.onnx"), probabilities=False)(X), Z, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "how", "expected"),
    [
        ("y = Softmax<axis = 1>(x)", "as it is", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        (
            "s = Softmax<axis = 1>(x) y = Identity(s)",
            "as it is",
            lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
        ),
        ("y = LogSoftmax<axis = 1>(x)", "exp", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        ("y = Sigmoid(x)", "as it is", lambda x: 1 / (1 + np.exp(-x))),
        ("y = Relu(x)", "softmax", lambda x: np.exp(x.clip(0)) / np.exp(x.clip(0)).sum(1, keepdims=True)),
    ],
)
def test_the_graph_decides(text: str, how: str, expected: Any) -> None:
    predict = predict_fn(ending(text))
    assert predict.how == how
    np.testing.assert_allclose(predict(X), expected(X.astype(np.float64)), rtol=1e-5)


def test_large_logits_do_not_overflow() -> None:
    predict = predict_fn(ending("y = Relu(x)"))(np.array([[1e4, 0]], np.float32))
    np.testing.assert_array_equal(predict, [[1, 0]])


def test_any_batch_gives_the_same() -> None:
    digits = np.load(MODELS / "mnist_heldout.npz")
    x, labels = (digits["images"][:50, None] / 255).astype(np.float32), digits["labels"][:50]
    whole = predict_fn(DIGIT_MODEL)(x)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(whole, predict_fn(DIGIT_MODEL, batch=7)(x), rtol=1e-4, atol=1e-9)
    assert (whole.argmax(axis=1) == labels).mean() >= 0.94
    np.testing.assert_allclose(whole, predict_fn(DIGIT_MODEL)(x.reshape(50, -1)), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(whole, predict_fn(DIGIT_MODEL)(x.astype(np.float64)), rtol=1e-4, atol=1e-9)


def test_a_fixed_batch_is_filled_up() -> None:
    fixed = model("(float[2, 2] x) => (float[2, 2] y) { y = Softmax<axis = 1>(x) }")
    free = ending("y = Softmax<axis = 1>(x)")
    np.testing.assert_allclose(predict_fn(fixed)(X), predict_fn(free)(X), rtol=1e-6)


def test_the_first_floating_point_output_is_taken() -> None:
    predict = predict_fn(MODELS / "wine_mlp.onnx")
    assert (predict.output, predict.how) == ("probabilities", "as it is")
    row = predict(np.load(MODELS / "wine_sample.npy"))
    assert row.shape == (1, 3)
    assert row.sum() == pytest.approx(1, abs=1e-6)


def test_inputs_by_name() -> None:
    two = model("(float[N, 2] a, float[N, 2] b) => (float[N, 2] y) { y = Add(a, b) }")
    np.testing.assert_allclose(predict_fn(two, probabilities=False)({"a": X, "b": X}), 2 * X)
    with pytest.raises(onnxdtd.InputError, match="as many in every input"):
        predict_fn(two)({"a": X, "b": X[:1]})


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    path = dense(tmp_path / "m.onnx")
    with pytest.raises(onnxdtd.UsageError, match="no floating-point output nothing; the model has y"):
        predict_fn(path, output="nothing")
    with pytest.raises(onnxdtd.UsageError, match="batch is"):
        predict_fn(path, batch=0)
    with pytest.raises(onnxdtd.InputError, match="one row or more"):
        predict_fn(path)(np.zeros((0, 2), np.float32))
    with pytest.raises(onnxdtd.InputError, match="NaN"):
        predict_fn(path)(np.array([[np.nan, 0]], np.float32))
    with pytest.raises(onnxdtd.UsageError, match="no logits of several classes"):
        predict_fn(ending("y = ReduceSum<keepdims = 1>(x, a)", 1, a=np.array([1])))(X)
    with pytest.raises(onnxdtd.ProviderError):
        predict_fn(path, providers="abacus")


def test_one_sigmoid_is_one_column() -> None:
    one = ending("s = ReduceSum<keepdims = 1>(x, a) y = Sigmoid(s)", 1, a=np.array([1]))
    np.testing.assert_allclose(predict_fn(one)(X), 1 / (1 + np.exp(-X.sum(axis=1, keepdims=True))), rtol=1e-6)


def test_it_is_public() -> None:
    assert onnxdtd.predict_fn is predict_fn
    assert onnxdtd.predict_fn(str(DIGIT_MODEL))(np.load(DIGIT))[0].argmax() == 3
