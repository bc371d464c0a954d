"""Batches in chunks: the same numbers, whatever the batch; samples that have a say in each other stay together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer
from onnxdtd.compiled import ready
from onnxdtd.compiled.run import OnnxWalker
from onnxdtd.walk import chunks
from tests.support.model_text import model
from tests.support.paths import MODELS

MNIST = MODELS / "mnist_cnn.onnx"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two samples of the digits' network, on two cores."""
    monkeypatch.setattr(chunks, "cores", lambda: 2)
    monkeypatch.setattr(chunks, "WORK", 1_200_000)


def counted(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Filled with the samples and the threads of each run of a session."""
    walker = explainer.run()
    assert isinstance(walker, OnnxWalker)
    made, runs = walker._ready, list[tuple[int, int]]()
    plain = made._ran

    def ran(feeds: Any, threads: int) -> Any:
        runs.append((len(next(iter(feeds.values()))), threads))
        return plain(feeds, threads)

    monkeypatch.setattr(made, "_ran", ran)
    return runs


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_chunks_are_the_whole(count: int, rng: np.random.Generator) -> None:
    x = rng.random((count, 1, 28, 28), np.float32)
    for target in (None, 3, [k % 10 for k in range(count)], "0 - 1"):
        one, other = (Explainer(MNIST, "epsilon_plus", engine)(x, target) for engine in ("numpy", "onnx"))
        scale = np.abs(one.relevance["image"]).max()
        np.testing.assert_allclose(
            other.relevance["image"], one.relevance["image"], rtol=0, atol=2e-5 * scale
        )
        np.testing.assert_allclose(other.outputs["logits"], one.outputs["logits"], rtol=1e-4, atol=1e-4)


def test_cores_work_side_by_side_and_share_what_is_left(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(MNIST, "dtd", "onnx")
    runs = counted(explainer, monkeypatch)
    explainer(rng.random((6, 1, 28, 28), np.float32))
    # Once the pair that is compared, two chunks on one thread each, the third one alone on both.
    assert runs[0] == (2, 1)
    assert sorted(runs[1:]) == [(2, 0), (2, 1), (2, 1)]
    runs.clear()
    explainer(rng.random((3, 1, 28, 28), np.float32))
    assert sorted(runs) == [(1, 1), (2, 1)]
    runs.clear()
    explainer(rng.random((2, 1, 28, 28), np.float32))
    assert runs == [(2, 0)]


def test_a_session_for_the_pair_alone_is_let_go(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network whose samples are chunks of their own; what the session made stays."""
    monkeypatch.setattr(chunks, "WORK", 1)
    monkeypatch.setattr(ready, "SMALL", 0)
    explainer = Explainer(MNIST, "epsilon_plus_flat", "onnx")
    x = rng.random((4, 1, 28, 28), np.float32)
    r = explainer(x).relevance["image"]
    walker = explainer.run()
    assert isinstance(walker, OnnxWalker)
    assert {name for name in ("session", "alone", "_many", "_lone") if name in vars(walker._ready)} == {
        "_lone"
    }
    np.testing.assert_allclose(
        r, Explainer(MNIST, "epsilon_plus_flat", "numpy")(x).relevance["image"], atol=1e-4
    )


MIXED = {
    "less the mean of all samples": "m = ReduceMean<axes=[0], keepdims=1>(x) h = Sub(x, m)",
    "over the largest of all": "m = ReduceMax<axes=[0, 1], keepdims=1>(x) h = Div(x, m)",
    "a softmax over samples": "h = Softmax<axis=0>(x)",
}


def mixing(name: str) -> Any:
    w = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    return model(f"(float[N, 4] x) => (float[N, 3] y) {{ {MIXED[name]} y = MatMul(h, w) }}", w=w)


@pytest.mark.parametrize("name", MIXED)
def test_samples_that_share_anything_stay_together(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "WORK", 1)
    x = rng.random((6, 4), np.float32) + 0.5
    one, other = (Explainer(mixing(name), "gradient", engine)(x) for engine in ("numpy", "onnx"))
    np.testing.assert_allclose(other.relevance["x"], one.relevance["x"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other.outputs["y"], one.outputs["y"], rtol=1e-5)
    explainer = Explainer(mixing(name), "gradient", "onnx")
    walker = explainer.run()
    assert isinstance(walker, OnnxWalker)
    held = walker._ready._chunks
    assert held is None or not held.apart
