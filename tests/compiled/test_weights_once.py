"""Weights stand in memory once, and in files once: sessions read them where they lie, products either way round."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import onnxdtd
from onnxdtd.compiled import export
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.errors import UsageError
from onnxdtd.model.canonise import canonise, draft
from onnxdtd.model.load import load
from onnxdtd.origin import origin_of
from onnxdtd.plan import choice
from onnxdtd.plan.plan import make_plan
from onnxdtd.primitives.stored import Fingerprints
from onnxdtd.walk.forward import start_session
from tests.support.model_text import model, run
from tests.support.paths import MODELS

RNG = np.random.default_rng(3)
W, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((32, 48), (48, 16)))
PROTO = model(
    "(float[N, T, 32] x) => (float[N, T, 16] y) { h = MatMul(x, w)\n p = Relu(h)\n y = MatMul(p, v) }",
    w=W,
    v=V,
)
X = RNG.standard_normal((2, 3, 32)).astype(np.float32)
CPU = ["CPUExecutionProvider"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The model, with its weights in a file beside it."""
    return save(tmp_path / "m.onnx", "m.data")


def save(path: Path, location: str) -> Path:
    proto = onnx.ModelProto()
    proto.CopyFrom(PROTO)  # what is saved so is changed
    onnx.save(proto, path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def transposed(proto: onnx.ModelProto, constants: dict[str, np.ndarray]) -> list[str]:
    return [
        node.name for node in proto.graph.node if node.op_type == "Transpose" and node.input[0] in constants
    ]


@pytest.mark.parametrize("method", ["gradient", "epsilon_plus", "attnlrp"])
@pytest.mark.parametrize("sizes", [("N", "T"), ("N", 3), (2, 3), (2, "T"), ("K", "K")])
def test_no_weights_are_transposed_for_the_way_back(sizes: tuple[int | str, ...], method: str) -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(PROTO)
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, size in enumerate(sizes):
            dimension = value.type.tensor_type.shape.dim[axis]
            dimension.Clear()
            setattr(dimension, "dim_param" if isinstance(size, str) else "dim_value", size)
    x = X[:, :2] if sizes == ("K", "K") else X
    compiled = compile_plan(make_plan(canonise(load(proto)), method))
    assert transposed(compiled.model, dict(compiled.constants)) == []
    one, other = (onnxdtd.explain(proto, x, (1, 5), method, engine=engine) for engine in ("numpy", "onnx"))
    np.testing.assert_allclose(other.relevance["x"], one.relevance["x"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("(float[48, M] x) => (float[32, M] y) { y = MatMul(w, x) }", (48, 5)),
        ("(float[N, 48, M] x) => (float[N, 32, M] y) { y = MatMul(w, x) }", (2, 48, 5)),
        ("(float[N, 48] x) => (float[N, 32] y) { y = Gemm <transB = 1> (x, w) }", (2, 48)),
        ("(float[N, A, B, 32] x) => (float[N, A, B, 48] y) { y = MatMul(x, w) }", (2, 3, 4, 32)),
    ],
)
def test_products_with_a_constant_on_either_side(text: str, shape: tuple[int, ...]) -> None:
    """d sum(y) / dx is the row sums or the column sums of w, wherever x stands."""
    proto, x = model(text, w=W), RNG.standard_normal(shape).astype(np.float32)
    everything = {"y": np.ones(run(proto, {"x": x})[0].shape, np.float32)}
    r = onnxdtd.explain(proto, x, lambda shapes: everything, "gradient", engine="onnx").relevance["x"]
    summed = W.sum(1) if shape[-1] == 32 else W.sum(0)
    expected = summed if shape[-1] == len(summed) else summed[:, None]
    np.testing.assert_allclose(r, np.broadcast_to(expected, shape), rtol=1e-4, atol=1e-4)


def test_a_session_reads_constants_where_they_lie(path: Path) -> None:
    for graph in (load(path), load(PROTO)):
        session = start_session(graph.to_proto(constants=False), graph.constants, CPU)
        lie = {array.ctypes.data for array in graph.constants.values()}
        assert {tensor.data_ptr() for tensor in session.weights[:2]} == lie
        y = np.maximum(X @ W, 0) @ V
        np.testing.assert_allclose(session.run(None, {"x": X})[0], y, rtol=1e-4, atol=1e-4)


def test_weights_that_changed_on_disk_are_those_that_were_read(path: Path) -> None:
    graph = load(path)
    assert all(origin_of(array) is not None for array in graph.constants.values())
    data = path.with_name("m.data")
    data.write_bytes(bytes(data.stat().st_size))
    os.utime(data, ns=(1, 1))
    session = start_session(graph.to_proto(constants=False), graph.constants, CPU)
    np.testing.assert_allclose(session.run(None, {"x": X})[0], np.maximum(X @ W, 0) @ V, rtol=1e-4, atol=1e-4)


def test_what_is_made_of_weights_lies_nowhere(path: Path) -> None:
    w = load(path).constants["w"]
    origin = origin_of(w)
    assert origin is not None
    assert origin.path == path.with_name("m.data").resolve()
    assert origin_of(w.reshape(4, 8, 48)) == origin
    assert [origin_of(a) for a in (w.T, w[1:], w + 0, w.copy(), np.maximum(w, 0))] == [None] * 5


def test_a_compiled_file_names_the_weights_of_its_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear walk copies nothing; z+ stores what it derives; another folder needs a copy."""
    monkeypatch.setattr(export, "LIMIT", 1000)
    feeds = {"x": X, "target": np.array([-1])}
    made = onnxdtd.compile(path, path.with_name("e.onnx"), method="gradient")
    assert [file.name for file in made.files] == ["e.onnx"]
    stored = onnx.load(made.files[0], load_external_data=False).graph.initializer
    places = {t.name: t.external_data[0].value for t in stored if t.external_data}
    assert places == {"w": "m.data", "v": "m.data"}
    expected = onnxdtd.explain(PROTO, X, "top", "gradient").relevance["x"]
    [relevance] = ort.InferenceSession(made.files[0], providers=CPU).run(["relevance/x"], feeds)
    np.testing.assert_allclose(relevance, expected, rtol=1e-4, atol=1e-6)
    derived = onnxdtd.compile(path, path.with_name("f.onnx"), method="dtd")
    assert [file.name for file in derived.files] == ["f.onnx", "f.onnx.data"]
    (path.parent / "other").mkdir()
    moved = onnxdtd.compile(path, path.parent / "other" / "e.onnx", method="gradient")
    assert [file.name for file in moved.files] == ["e.onnx", "e.onnx.data"]
    [relevance] = ort.InferenceSession(moved.files[0], providers=CPU).run(["relevance/x"], feeds)
    np.testing.assert_allclose(relevance, expected, rtol=1e-4, atol=1e-6)


def test_the_weights_of_the_model_are_never_written_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LIMIT", 1000)
    save(path, "e.onnx.data")
    before = path.with_name("e.onnx.data").read_bytes()
    with pytest.raises(UsageError, match="the model's own weights"):
        onnxdtd.compile(path, path.with_name("e.onnx"), method="epsilon_plus")
    assert path.with_name("e.onnx.data").read_bytes() == before


def test_steps_stay_apart_where_weights_are_too_large_to_be_written_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proto = model("(float[N, T, 32] x) => (float[N, T, 48] y) { p = Relu(x)\n h = Mul(p, s)\n y = MatMul(h, w) }",
                  w=W, s=RNG.random(32).astype(np.float32))  # fmt: skip
    folded = canonise(load(proto))
    expected = onnxdtd.explain(folded, X, (0, 1), "attnlrp").relevance["x"]
    monkeypatch.setattr(draft, "HUGE", 0)
    monkeypatch.setattr(draft, "LARGE", 0)
    apart = canonise(load(proto))
    assert [[node.op for node in graph.nodes] for graph in (folded, apart)] == [
        ["Relu", "MatMul"],
        ["Relu", "Mul", "MatMul"],
    ]
    for engine in ("numpy", "onnx"):
        made = onnxdtd.explain(apart, X, (0, 1), "attnlrp", engine=engine).relevance["x"]
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-7)


def test_weights_are_rearranged_for_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = model("(float[N, 32] x) => (float[N, 16] y) { h = MatMul(x, w)\n y = MatMul(h, v) }", w=W, v=V)
    plans = [make_plan(canonise(load(proto)), "attnlrp") for proto in (PROTO, flat)]
    assert [choice.multiplies_rows(plan) for plan in plans] == [True, False]
    monkeypatch.setattr(choice, "REARRANGED", 1000)
    assert not choice.multiplies_rows(plans[0])


def test_weights_that_are_not_written_are_free_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was traced and its tracer know each other, and Python finds such circles when it happens to look."""
    seen: list[weakref.ref[np.ndarray]] = []
    of = Fingerprints.of

    def noting(self: Fingerprints, data: np.ndarray) -> Any:
        seen.append(weakref.ref(data))
        return of(self, data)

    monkeypatch.setattr(Fingerprints, "of", noting)
    plan = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "epsilon_plus", input_range=(0, 1)).plan()
    gc.collect()
    gc.disable()
    try:
        kept = {id(array) for array in compile_plan(plan, weights="all").constants.values()}
        left = [data.shape for ref in seen if (data := ref()) is not None and id(data) not in kept]
    finally:
        gc.enable()
    assert len(seen) > 20
    assert left == []
