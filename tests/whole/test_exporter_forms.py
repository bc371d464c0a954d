"""Whatever exporters write is explained: gradients by central differences, finite relevance, both engines alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.errors import UnsupportedError
from tests.support.exporter_forms import FORMS, Form, branches, w
from tests.support.model_text import model, run

Array = np.ndarray
SIZES = {"N": 2}


def feeds_of(proto: onnx.ModelProto, seed: int = 3) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    constants = {tensor.name for tensor in proto.graph.initializer}
    feeds = {}
    for value in proto.graph.input:
        if value.name not in constants:
            dims = value.type.tensor_type.shape.dim
            shape = [d.dim_value or SIZES[d.dim_param] for d in dims]
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    return feeds


def slope(
    proto: onnx.ModelProto, feeds: dict[str, Array], moves: dict[str, Array], step: float = 1e-4
) -> float:
    """The derivative along `moves` of the largest logits, summed, by central differences through onnxruntime."""
    best = run(proto, feeds)[0].argmax(-1)[..., None]

    def logits(sign: float) -> Array:
        moved = {name: x + np.float32(sign * step) * moves[name] for name, x in feeds.items()}
        return np.take_along_axis(run(proto, moved)[0], best, -1).astype(np.float64)

    return float((logits(1.0) - logits(-1.0)).sum() / (2 * step))


def check(proto: onnx.ModelProto) -> None:
    feeds = feeds_of(proto)
    rng = np.random.default_rng(5)
    gradient = onnxdtd.Explainer(proto, "gradient")(feeds)
    for _ in range(3):
        moves = {name: rng.standard_normal(x.shape).astype(np.float32) for name, x in feeds.items()}
        directional = sum(np.vdot(r, moves[name]) for name, r in gradient.relevance.items())
        scale = sum(np.linalg.norm(r) * np.linalg.norm(moves[name]) for name, r in gradient.relevance.items())
        np.testing.assert_allclose(directional, slope(proto, feeds, moves), rtol=2e-3, atol=2e-3 * scale)
    for method in ("gradient", "epsilon_plus", "dtd"):
        e = onnxdtd.Explainer(proto, method)(feeds)
        for name, r in e.relevance.items():
            assert r.shape == feeds[name].shape
            assert np.isfinite(r).all()
        for name, r in onnxdtd.Explainer(proto, method, engine="onnx")(feeds).relevance.items():
            expected = e.relevance[name]
            np.testing.assert_allclose(r, expected, rtol=1e-3, atol=1e-4 * max(np.abs(expected).max(), 1e-3))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_is_explained(form: Form) -> None:
    check(form.build())


def test_form_names_are_unique() -> None:
    assert len({form.name for form in FORMS}) == len(FORMS)


def test_initializers_that_are_graph_inputs() -> None:
    proto = model("(float[N, 3] x, float[3, 2] c) => (float[N, 2] y) { y = MatMul(x, c) }", 17, c=w(3, 2))
    check(proto)
    assert list(onnxdtd.explain(proto, feeds_of(proto), method="gradient").relevance) == ["x"]


def test_several_inputs_and_outputs() -> None:
    proto = model(
        "(float[N, 3] a, float[N, 3] b) => (float[N, 2] y, float[N, 3] s) { s = Add(a, b) y = MatMul(s, c) }",
        17, c=w(3, 2),
    )  # fmt: skip
    check(proto)
    feeds = feeds_of(proto)
    second = onnxdtd.Explainer(proto, "gradient")(feeds, target="s:1")
    np.testing.assert_array_equal(second.relevance["a"], np.eye(3, dtype=np.float32)[[1, 1]])


def test_an_input_that_is_also_an_output() -> None:
    proto = model("(float[N, 3] x) => (float[N, 2] y, float[N, 3] x) { y = MatMul(x, c) }", 17, c=w(3, 2))
    check(proto)


def test_external_data(tmp_path: Path) -> None:
    proto = model("(float[N, 30] x) => (float[N, 20] y) { y = MatMul(x, c) }", 17, c=w(30, 20))
    onnx.save(
        proto, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    inside = model("(float[N, 30] x) => (float[N, 20] y) { y = MatMul(x, c) }", 17)
    inside.graph.initializer.extend(proto.graph.initializer)
    feeds = feeds_of(model("(float[N, 30] x) => (float[N, 30] y) { y = Relu(x) }"))
    e = onnxdtd.explain(tmp_path / "m.onnx", feeds, method="gradient")
    whole = onnx.load(tmp_path / "m.onnx")
    check(whole)
    np.testing.assert_array_equal(
        e.relevance["x"], onnxdtd.explain(whole, feeds, method="gradient").relevance["x"]
    )


@pytest.mark.parametrize("condition", [True, False])
def test_a_branch_that_is_known(condition: bool) -> None:
    check(branches(np.array(condition)))


def test_a_branch_that_only_the_run_knows_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match=r"'branch' If .*a branch"):
        onnxdtd.Explainer(branches(None), "gradient").plan()


def test_a_dropout_in_training_mode_is_refused_by_name() -> None:
    proto = model(
        "(float[N, 3] x) => (float[N, 2] y) { d = Dropout(x, ratio, yes) y = MatMul(d, c) }",
        17, ratio=np.float32(0.5), yes=np.array(True), c=w(3, 2),
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"Dropout.* is in training mode"):
        onnxdtd.explain(proto, feeds_of(proto), method="gradient")
