"""What the constants of each kind took: the compiled walk tells the same table as the books of the NumPy walk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper

import onnxdtd
from onnxdtd.compiled import stored
from onnxdtd.compiled.confirm import confirmed
from onnxdtd.compiled.constants import CONSTANTS
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.reading import owed, shares
from tests.support.model_text import model
from tests.support.paths import GOLDENS, MODELS

RNG = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


VIT = """(float[N, 3, 8, 8] x) => (float[N, 5] y) {
    p = Conv <kernel_shape = [4, 4], strides = [4, 4]> (x, patch, b)
    s = Reshape(p, flat) t = Transpose <perm = [0, 2, 1]> (s)
    n = Shape <start = 0, end = 1> (x) sizes = Concat <axis = 0> (n, row) first = Expand(cls, sizes)
    a = Concat <axis = 1> (first, t) h = Add(a, places)
    l = LayerNormalization(h, scale, shift)
    q = MatMul(l, wq) k = MatMul(l, wk) kt = Transpose <perm = [0, 2, 1]> (k)
    z = MatMul(q, kt) m = Softmax(z) v = MatMul(l, wv) o = MatMul(m, v) r = Add(h, o)
    c = Gather <axis = 1> (r, zero) y = Gemm(c, head, d)
}"""


def vit() -> Any:
    """Patches behind a class token, position embeddings, a norm, attention."""
    weights = {"patch": normal(6, 3, 4, 4), "b": normal(6), "cls": normal(1, 1, 6), "places": normal(1, 5, 6),
               "scale": normal(6), "shift": normal(6), "wq": normal(6, 6), "wk": normal(6, 6), "wv": normal(6, 6),
               "head": normal(6, 5), "d": normal(5)}  # fmt: skip
    numbers = {"flat": np.array([0, 6, -1]), "row": np.array([1, 6]), "zero": np.array(0)}
    return model(VIT, 17, **weights, **numbers)


CNN = """(float[N, 2, 7, 7] x) => (float[N, 3] y) {
    c = Conv <pads = [1, 1, 1, 1]> (x, k, b) r = Relu(c) p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    e = Pad(p, ends, one) s = Sigmoid(e) g = GlobalAveragePool(s) f = Flatten(g) y = Gemm(f, head, d)
}"""


def cnn() -> Any:
    weights = {"k": normal(4, 2, 3, 3), "b": normal(4), "head": normal(4, 3), "d": normal(3)}
    return model(CNN, 17, **weights, ends=np.array([0, 0, 1, 1, 0, 0, 1, 1]), one=np.float32(1))


def same(one: Explanation, other: Explanation) -> None:
    """The tables of the batch and of each sample, to the rounding of float32."""
    size = float(np.abs(one.seed).max())
    books = [(one.conservation, other.conservation)]
    books += [(one.conservation.sample(i), other.conservation.sample(i)) for i in range(len(one.target))]
    for own, its in books:
        assert its.constants == pytest.approx(own.constants, abs=1e-5 * size, rel=1e-5)
        assert its.lost == pytest.approx(sum(own.constants.values()), abs=1e-5 * size, rel=1e-5)


def both(source: Any, method: str, feeds: Any, target: Any = None) -> tuple[Explanation, Explanation]:
    one, other = (Explainer(source, method, engine, cache_dir=False) for engine in ("numpy", "onnx"))
    return one(feeds, target), other(feeds, target)


@pytest.mark.parametrize("export", ["script", "dynamo", "attention"])
def test_a_transformer_s_table_is_the_same(export: str) -> None:
    golden = dict(np.load(GOLDENS / "transformer" / "relevance.npz"))
    feeds = {"ids": golden["ids"], "mask": golden["mask"]}
    one, other = both(GOLDENS / "transformer" / f"{export}.onnx", "attnlrp", feeds, golden["target"].tolist())
    same(one, other)
    assert set(other.constants) == {"bias", "norm shift", "softmax constant", "position embedding"}
    assert shares(other, 1) == shares(one, 1) == "1.17 = 0.33 input + 0.84 constants"
    assert owed(other, 1) == owed(one, 1)


@pytest.mark.parametrize("method", ["attnlrp", "epsilon_plus", "cp_lrp"])
def test_a_vision_transformer_s_table_is_the_same(method: str) -> None:
    one, other = both(vit(), method, normal(3, 3, 8, 8))
    same(one, other)
    kinds = {"bias", "norm shift", "position embedding", "class token"}
    assert set(other.constants) == kinds | ({"softmax constant"} if method != "cp_lrp" else set())


@pytest.mark.parametrize(
    "method", ["epsilon_gamma", "epsilon_plus", "epsilon_alpha2_beta1", "excitation_backprop"]
)
def test_a_convolutional_network_s_table_is_the_same(method: str) -> None:
    one, other = both(cnn(), method, np.abs(normal(4, 2, 7, 7)), 1)
    same(one, other)
    assert "padding" in other.constants


def test_a_gradient_gives_constants_nothing() -> None:
    assert both(cnn(), "gradient", normal(1, 2, 7, 7))[1].constants == {}


LOOP = """(float[N, 3] x, int64 n) => (float[N, 3] y) {
    y = Loop <body = b (int64 i, bool go, float[N, 3] h) => (bool on, float[N, 3] g) {
        on = Identity(go) a = Add(h, c) g = Relu(a)
    }> (n, , x)
}"""


def test_what_is_lost_inside_a_loop_is_told_too() -> None:
    """Four times c = (1, 2, 3) is added to x > 0: y - x at the target."""
    source = model(LOOP, 17, c=np.array([1, 2, 3], np.float32))
    feeds = {"x": np.full((2, 3), 0.5, np.float32), "n": np.array(4)}
    one, other = both(source, "epsilon_plus", feeds, 1)
    same(one, other)
    assert other.constants == {"loop constant": pytest.approx((8, 8), rel=1e-5)}


def test_several_targets_and_several_samples_have_tables_of_their_own() -> None:
    x = normal(3, 2, 7, 7)
    compiled = Explainer(cnn(), "epsilon_plus", "onnx", cache_dir=False)
    single = compiled(x[:1], targets=[0, 1, 2])
    for target, e in enumerate(single):
        assert e.conservation.constants == pytest.approx(compiled(x[:1], target).conservation.constants)
    whole = compiled(x, 2)
    for i in range(3):
        assert {k: a[i] for k, a in whole.constants.items()} == pytest.approx(
            {k: a for k, (a,) in compiled(x[i : i + 1], 2).constants.items()}, rel=1e-4, abs=1e-5
        )


def test_the_batch_is_found_on_another_axis() -> None:
    text = "(float[T, batch, 3] x) => (float[T, batch, 2] y) { h = Add(x, c) y = MatMul(h, w) }"
    source = model(text, 17, c=normal(3), w=normal(3, 2))
    same(*both(source, "epsilon_plus", normal(4, 2, 3), [(0, 1), (3, 0)]))


def test_a_result_is_saved_with_its_table(tmp_path: Path) -> None:
    e = Explainer(cnn(), "epsilon_plus", "onnx", cache_dir=False)(normal(2, 2, 7, 7), 0)
    assert Explanation.load(e.save(tmp_path / "out")) == e
    document = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert document["conservation"]["constants"] == pytest.approx(e.conservation.constants)
    assert document["constants"].keys() == e.constants.keys()
    del document["constants"]  # an earlier version wrote it
    (tmp_path / "out" / "explanation.json").write_text(json.dumps(document))
    assert Explanation.load(tmp_path / "out").constants == {}


def test_a_written_file_names_the_kinds_and_tells_on_request(tmp_path: Path) -> None:
    source, x = vit(), normal(3, 3, 8, 8)
    plain = onnxdtd.compile(source, tmp_path / "plain.onnx", method="attnlrp")
    told = onnxdtd.compile(source, tmp_path / "told.onnx", method="attnlrp", constants=True)
    assert (*plain.outputs, CONSTANTS) == told.outputs
    session = ort.InferenceSession(tmp_path / "told.onnx", providers=["CPUExecutionProvider"])
    (columns,) = session.run([CONSTANTS], {"x": x, "target": np.array([2])})
    kinds = json.loads(session.get_modelmeta().custom_metadata_map["onnxdtd/constants"])
    e = Explainer(source, "attnlrp")(x, 2)
    for kind, column in zip(kinds, columns.T, strict=True):
        of_each = [e.conservation.sample(i).constants.get(kind, 0.0) for i in range(3)]
        assert column == pytest.approx(of_each, rel=1e-4, abs=1e-5)
    silent = ort.InferenceSession(tmp_path / "plain.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(silent.get_modelmeta().custom_metadata_map["onnxdtd/constants"]) == kinds


def test_a_walk_on_disk_keeps_its_kinds_and_one_without_is_read() -> None:
    explainer = Explainer(MODELS / "mnist_cnn.onnx", "epsilon_plus")
    compiled, constants = compile_plan(confirmed(explainer.plan()), constants=True), explainer.graph.constants
    whole = stored.packed(compiled, "name", constants)
    assert stored.unpacked(whole, "name", constants).kinds == compiled.kinds == ("bias",)
    old = stored.onnx.ModelProto.FromString(whole[stored._SUM :])
    facts = json.loads(old.metadata_props[0].value)
    del facts["kinds"]
    helper.set_model_props(old, {stored.FACTS: json.dumps(facts)})
    content = old.SerializeToString()
    assert stored.unpacked(stored._sum("name", content) + content, "name", constants).kinds == ()
