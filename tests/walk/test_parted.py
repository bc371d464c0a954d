"""The NumPy engine walks many samples in chunks: the same numbers and books, whatever the batch, where none has a say
in another's result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.walk import blas, chunks
from onnxdtd.walk.run import NumpyWalker
from tests.compiled.test_chunks import MIXED, mixing
from tests.support.paths import MODELS

RESNET = MODELS / "mnist_resnet.onnx"
RUNS: list[tuple[int, int]] = []
"""The samples and the threads of each walk."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two samples of the network, on two cores."""
    monkeypatch.setattr(chunks, "cores", lambda: 2)
    monkeypatch.setattr(chunks, "WORK", 1_200_000)
    whole = NumpyWalker._whole
    RUNS.clear()

    def counted(self: Any, feeds: Any, *arguments: Any, threads: int = 0, **more: Any) -> Any:
        RUNS.append((len(next(iter(feeds.values()))), threads))
        return whole(self, feeds, *arguments, threads=threads, **more)

    monkeypatch.setattr(NumpyWalker, "_whole", counted)


def as_one(explainer: Explainer, x: Any, target: Any = None) -> Explanation:
    """The same batch walked as a whole."""
    explainer.run()._apart = None  # type: ignore[attr-defined]
    return explainer(x, target)


@pytest.mark.parametrize("method", ["epsilon_plus", "dtd", "attnlrp"])
@pytest.mark.parametrize("target", [None, 3, [2, 7, 1, 8, 2, 8, 1], "0 - 1"])
def test_chunks_are_the_whole(method: str, target: Any, rng: np.random.Generator) -> None:
    if method == "dtd" and target == "0 - 1":
        target = 5  # it starts from max(0, logit), of which no difference can be taken
    x = rng.random((7, 1, 28, 28), np.float32)
    explainer = Explainer(RESNET, method, input_range=(0, 1))
    parted = explainer(x, target)
    # Four chunks, two at a time, and once the pair that is compared, which has all cores.
    assert sorted(RUNS) == [(1, 1), (2, 0), (2, 1), (2, 1), (2, 1)]
    whole = as_one(explainer, x, target)
    assert (parted.target, parted.question) == (whole.target, whole.question)
    assert parted.warnings == whole.warnings
    for name, r in whole.relevance.items():
        np.testing.assert_allclose(parted.relevance[name], r, rtol=1e-4, atol=1e-5 * np.abs(r).max())
    np.testing.assert_allclose(parted.outputs["logits"], whole.outputs["logits"], rtol=1e-4, atol=1e-5)
    for node, other in zip(parted.nodes, whole.nodes, strict=True):
        assert (node.name, node.rule, node.depth, node.lost.keys()) == (
            other.name, other.rule, other.depth, other.lost.keys(),
        )  # fmt: skip
        size = max(other.arrived_size or 0, other.left_size or 0, 1)
        assert node.arrived == pytest.approx(other.arrived, abs=1e-5 * size)
        assert node.left == pytest.approx(other.left, abs=1e-5 * size)
        assert node.samples is not None
        assert other.samples is not None
        np.testing.assert_allclose(node.samples.left, other.samples.left, atol=1e-5 * size)
        for cause, amounts in other.samples.lost.items():
            np.testing.assert_allclose(node.samples.lost[cause], amounts, atol=1e-5 * size)


def test_several_targets_share_the_walk_of_each_chunk(rng: np.random.Generator) -> None:
    x = rng.random((4, 1, 28, 28), np.float32)
    explainer = Explainer(RESNET, "epsilon_plus")
    together = explainer(x, targets=[3, 4])
    assert sorted(RUNS) == [(2, 0), (2, 1), (2, 1)]
    for e, target in zip(together, [3, 4], strict=True):
        alone = as_one(explainer, x, target)
        assert e.conservation.lost == pytest.approx(alone.conservation.lost, rel=1e-3)
        for name, r in alone.relevance.items():
            np.testing.assert_allclose(e.relevance[name], r, rtol=1e-4, atol=1e-5 * np.abs(r).max())


@pytest.mark.parametrize("name", MIXED)
def test_samples_that_share_anything_stay_together(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "WORK", 1)
    x = rng.random((6, 4), np.float32) + 0.5
    explainer = Explainer(mixing(name), "gradient")
    first, second = explainer(x), explainer(x)
    assert RUNS[-1] == (6, 0)
    np.testing.assert_array_equal(first.relevance["x"], second.relevance["x"])
    np.testing.assert_array_equal(first.relevance["x"], as_one(explainer, x).relevance["x"])


def test_progress_comes_to_its_end(rng: np.random.Generator) -> None:
    told: list[tuple[int, int]] = []
    Explainer(RESNET)(rng.random((5, 1, 28, 28), np.float32), progress=lambda *now: told.append(now))
    assert told[-1][0] == told[-1][1] > 0


def test_a_target_for_each_sample_is_refused_where_they_are_not_as_many(rng: np.random.Generator) -> None:
    with pytest.raises(Exception, match="7"):
        Explainer(RESNET)(rng.random((7, 1, 28, 28), np.float32), [1, 2, 3])


def test_matrix_products_take_one_thread_within_and_as_many_as_before_behind() -> None:
    functions = blas._functions()
    if functions is None:
        pytest.skip("NumPy comes with another library here")
    get, _ = functions
    before = get()
    with blas.one_thread(), blas.one_thread():
        assert get() == 1
    assert get() == before
