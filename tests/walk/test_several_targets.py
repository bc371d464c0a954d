"""Several targets of one batch: one forward pass, one walk, and each result as if it had been asked for alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.explanation import Explanation
from onnxdtd.primitives import convolution
from onnxdtd.walk.forward import Forward
from tests.support.model_text import model, normal
from tests.support.paths import MODELS

DIGIT = np.load(MODELS / "mnist_digit.npy")
ENGINES = ["numpy", "onnx"]
TARGETS = [7, "top", 3, "7 - 1", (2,)]


def same(one: Explanation, other: Explanation) -> None:
    assert one.target == other.target
    assert one.question == other.question
    for name, r in other.relevance.items():
        np.testing.assert_allclose(one.relevance[name], r, rtol=1e-5, atol=1e-6 * np.abs(r).max(initial=0))
    np.testing.assert_allclose(one.target_value, other.target_value, rtol=1e-6)
    np.testing.assert_allclose(one.conservation.lost, other.conservation.lost, rtol=1e-4, atol=1e-5)
    assert [node.name for node in one.nodes] == [node.name for node in other.nodes]
    for name, array in other.outputs.items():
        np.testing.assert_allclose(one.outputs[name], array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", ["epsilon_plus", "attnlrp", "gradient", "composite"])
@pytest.mark.parametrize("count", [1, 3])
def test_each_is_as_if_asked_for_alone(
    engine: Any, method: str, count: int, rng: np.random.Generator
) -> None:
    x = np.concatenate([DIGIT, rng.random((count - 1, *DIGIT.shape[1:])).astype(np.float32)])
    explainer = onnxdtd.Explainer(MODELS / "mnist_resnet.onnx", method, engine)
    for together, target in zip(explainer(x, targets=TARGETS), TARGETS, strict=True):
        same(together, explainer(x, target))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_depend_on_the_target_is_computed_once(engine: Any, monkeypatch: Any) -> None:
    """Forward passes by onnxruntime, and of the NumPy engine the convolutions with W+ beside the adjoints."""
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd", engine, input_range=(0, 1))
    explainer(
        DIGIT, targets=[1, 2]
    )  # sessions and weights are ready, and it was seen that targets stand apart
    counts = {"forward": 0, "conv": 0}

    def counting(name: str, call: Any) -> Any:
        def counted(*arguments: Any, **more: Any) -> Any:
            counts[name] += 1
            return call(*arguments, **more)

        return counted

    monkeypatch.setattr(Forward, "__call__", counting("forward", Forward.__call__))
    monkeypatch.setattr(convolution, "conv", counting("conv", convolution.conv))
    explainer(DIGIT, 1)
    alone = dict(counts)
    counts.update(forward=0, conv=0)
    results = explainer(DIGIT, targets=[1, 7, 9])
    assert counts == alone
    assert len(results) == 3
    assert (alone["forward"], alone["conv"] > 0) == ((1, True) if engine == "numpy" else (0, False))


@pytest.mark.parametrize("engine", ENGINES)
def test_targets_are_not_added_up(engine: Any) -> None:
    """y = W x: the relevance of y_j is w_j x, also where an input is one sample's and the other all samples'."""
    w = np.float32([[1, 0, 2], [3, 4, 0]])
    linear = model("(float[N, 2] x) => (float[N, 3] y) { y = MatMul(x, w) }", 18, w=w)
    shared = model(
        "(float[N, 2] x, float[2] b) => (float[N, 3] y) { s = Add(x, b) y = MatMul(s, w) }", 18, w=w
    )
    x = np.float32([[2, 5]])
    results = onnxdtd.Explainer(linear, "gradient_x_input", engine)(x, targets=[0, 1, 2])
    np.testing.assert_allclose([e.relevance["x"][0] for e in results], [[2, 15], [0, 20], [4, 0]])
    feeds = {"x": x, "b": np.float32([1, 10])}
    results = onnxdtd.Explainer(shared, "gradient_x_input", engine)(feeds, targets=[0, 1, 2])
    np.testing.assert_allclose([e.relevance["x"][0] for e in results], [[2, 15], [0, 20], [4, 0]])
    np.testing.assert_allclose([e.relevance["b"] for e in results], [[1, 30], [0, 40], [2, 0]])


@pytest.mark.parametrize("engine", ENGINES)
def test_targets_of_several_outputs_come_in_their_order(engine: Any) -> None:
    two = model(
        "(float[N, 2] x) => (float[N, 2] y, float[N, 2] z) { y = MatMul(x, v) r = Relu(x) z = MatMul(r, w) }",
        18, v=normal(2, 2), w=normal(2, 2),
    )  # fmt: skip
    explainer = onnxdtd.Explainer(two, "attnlrp", engine)
    asked = ["y:1", "z:0", "y:0", "z:1"]
    for together, target in zip(explainer(np.float32([[1, -2]]), targets=asked), asked, strict=True):
        same(together, explainer(np.float32([[1, -2]]), target))


def test_values_inside_and_progress_go_with_each(rng: np.random.Generator) -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "epsilon_plus")
    told: list[tuple[int, int]] = []
    results = explainer(DIGIT, targets=[1, 2], keep="*Max*", progress=lambda *now: told.append(now))
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    for e, target in zip(results, [1, 2], strict=True):
        alone = explainer(DIGIT, target, keep="*Max*")
        assert e.kept.keys() == alone.kept.keys() != set()
        for name, r in alone.kept.items():
            np.testing.assert_array_equal(e.kept[name], r)
