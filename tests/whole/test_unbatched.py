"""A model without a batch axis: a sample is explained with the axis as it is without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.methods import METHODS
from onnxdtd.server.model import prepared
from onnxdtd.server.question import asked
from onnxdtd.viewer.workspace import described
from tests.support.model_text import model
from tests.support.unbatched import X, close, pictured

WEIGHTS = np.array([[1, 2], [0, 3], [0, 4]], np.float32)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_sample_is_explained_as_it_is_without_the_axis(method: str, engine: Any) -> None:
    bare = onnxdtd.Explainer(pictured(), method, engine, input_range=(0, 1), verify=True)
    for x in (X[0], X[:1]):
        one, other = bare(X[0]), bare.batched(x)
        assert (other.target, other.batch_axis) == (one.target, 0)
        close(other.relevance["x"], one.relevance["x"][None])
        close(other.outputs["y"], one.outputs["y"][None])


OUTPUTS = [
    ("float y", "y = ReduceSum<keepdims = 0>(r)", "top"),
    ("float[5] y", "p = GlobalAveragePool(r) y = Reshape(p, flat)", ":"),
    ("float[5, 8, 8] y", "y = Squeeze(r, zero)", "2,:,3"),
    ("float[1, 5] y", "p = GlobalAveragePool(r) y = Reshape(p, row)", "4"),
    ("float[1, 5, 8, 8] y", "y = Identity(r)", "2,:,3"),
    ("float[1, 64, 5] y", "f = Reshape(r, rows) y = Transpose<perm = [0, 2, 1]>(f)", "7,:"),
]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize(("stated", "end", "target"), OUTPUTS)
def test_outputs_of_any_rank_are_one_sample(stated: str, end: str, target: str, engine: Any) -> None:
    """Asked and answered as of a model that has a batch axis; the place of that axis is spelled in two ways."""
    rng = np.random.default_rng(1)
    constants = {
        "flat": np.array([-1]), "row": np.array([1, -1]), "rows": np.array([1, 5, 64]), "zero": np.array([0]),
        "k": rng.normal(size=(5, 3, 3, 3)).astype(np.float32),
    }  # fmt: skip
    body = f"c = Conv<pads = [1, 1, 1, 1]>(h, k) r = Relu(c) {end}"
    for start in ("h = Unsqueeze(x, zero)", "a = Constant<value_ints = [0]>() h = Unsqueeze(x, a)"):
        text = f"(float[3, 8, 8] x) => ({stated}) {{ {start} {body} }}"
        explainer = onnxdtd.Explainer(model(text, **constants), "epsilon_plus", engine, verify=True)
        one, other = explainer(X[0], target), explainer.batched(X[0], target)
        assert len(one.target) == len(other.target) == 1
        assert one.target == other.target
        close(other.relevance["x"], one.relevance["x"][None])
        np.testing.assert_allclose(other.target_value, one.target_value, rtol=1e-5)


def test_a_model_with_samples_is_itself() -> None:
    explainer = onnxdtd.Explainer(model("(float[N, 2] x) => (float[N, 2] y) { y = Relu(x) }"))
    assert explainer.batched is explainer
    assert explainer.batched.batched is explainer


def test_many_without_the_axis_are_refused_by_name() -> None:
    with pytest.raises(onnxdtd.InputError, match=r"one axis more: give x\[0\], x\[1\]"):
        onnxdtd.Explainer(pictured())(X)
    with pytest.raises(onnxdtd.InputError, match="batch is fixed: give 1 at a time"):
        onnxdtd.Explainer(pictured()).batched(X)


def test_steps_of_any_number_are_a_row(tmp_path: Path, rng: np.random.Generator) -> None:
    """Each file has its own."""
    source = model(
        "(float[T, 3] x) => (float[2] y) { m = ReduceMean<keepdims = 0, axes = [0]>(x) y = MatMul(m, w) }",
        w=rng.random((3, 2), np.float32),
    )
    explainer = onnxdtd.Explainer(source, "gradient_x_input")
    sizes = (5, 2, 5)
    for i, size in enumerate(sizes):
        np.save(tmp_path / f"{i}.npy", rng.random((size, 3), np.float32))
    files = [tmp_path / f"{i}.npy" for i in range(3)]
    data = onnxdtd.open_data(files, explainer.batched.inputs)
    made = {row.id: e for row, e in onnxdtd.explain_each(explainer, data)}
    for file in files:
        np.testing.assert_array_equal(
            made[file.name].relevance["x"][0], explainer(np.load(file)).relevance["x"]
        )


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_as_many_steps_as_classes_are_one_sample(engine: Any) -> None:
    """Two steps and two scores: the scores are not those of the steps."""
    source = model(
        "(float[T, 3] x) => (float[2] y) { m = ReduceMean<keepdims = 0, axes = [0]>(x) y = MatMul(m, w) }",
        w=WEIGHTS,
    )
    e = onnxdtd.Explainer(source, "gradient", engine=engine)(np.ones((2, 3), np.float32))
    assert (e.batch_axis, e.target) == (None, (((1,),),))
    np.testing.assert_allclose(e.relevance["x"], [[1, 1.5, 2]] * 2)


def test_a_server_takes_a_sample_with_the_axis_and_without() -> None:
    served = prepared("m", onnxdtd.Explainer(pictured()))
    right = onnxdtd.Explainer(pictured())(X[0])
    for x in (X[0], X[:1]):
        answer = served.answer(asked(served.explainer, {"x": x}, {}, True))
        close(answer.tensors["relevance.x"][0], right.relevance["x"])
        close(answer.tensors["y"][0], right.outputs["y"])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_page_offers_ways_to_prepare_a_picture(channels: int) -> None:
    assert "imagenet" in described(onnxdtd.Explainer(pictured(channels)))["presets"]


def test_names_go_with_the_axis() -> None:
    first = onnxdtd.Explainer(pictured())
    assert first.batched.loaded.labels is None
    named = first.by(labels=["a", "b", "c", "d"])
    assert named.batched(X[0]).label() == named(X[0]).label()
    assert named(X[0]).label() == "class 2 'c'"


def test_fixed_inputs_stay_as_they_are() -> None:
    """y = s w mean(x): the scale s is fixed at 2."""
    source = model(
        "(float[T, 3] x, float s) => (float[2] y) "
        "{ m = ReduceMean<keepdims = 0, axes = [0]>(x) v = MatMul(m, w) y = Mul(v, s) }",
        w=WEIGHTS,
    )
    explainer = onnxdtd.Explainer(source, "gradient", fixed={"s": 2}, verify=True).batched
    assert list(explainer.inputs) == ["x"]
    e = explainer(np.ones((4, 3), np.float32))
    np.testing.assert_allclose(e.relevance["x"], [[[1, 1.5, 2]] * 4])
    for bare in (onnxdtd.Explainer(source, "gradient"), onnxdtd.Explainer(source, "gradient").batched):
        again = bare.by(fixed={"s": 2}, verify=True).batched
        np.testing.assert_array_equal(again(np.ones((1, 4, 3), np.float32)).relevance["x"], e.relevance["x"])
