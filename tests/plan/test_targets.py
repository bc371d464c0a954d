"""Targets: what each form means, by hand; which axis holds the samples; what is asked where nothing is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxdtd
from onnxdtd.errors import TargetError
from onnxdtd.plan.target_text import Names, read_target
from tests.support.model_text import model

ENGINES = ("numpy", "onnx")
W = np.array([[1, 0, -1], [1, 1, -1]], np.float32)
DENSE = "(float[N, 2] x) => (float[N, 3] y) { y = MatMul(x, w) }"
X = np.array([[1, 2], [3, -1]], np.float32)  # y = (3, 2, -3), (2, -1, -2)


def explained(
    source: Any, x: Any, target: Any = None, engine: str = "numpy", method: str = "gradient_x_input"
) -> Any:
    return onnxdtd.Explainer(source, method, engine)(x, target)


def labelled(*names: str) -> onnx.ModelProto:
    proto = model(DENSE, w=W)
    onnx.helper.set_model_props(proto, {"onnxdtd.labels": json.dumps(list(names))})
    return proto


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("target", "value", "relevance"),
    [
        ("0", [3, 2], [[1, 2], [3, -1]]),
        ("0:2", None, None),
        (":", [2, -1], [[0, 2], [0, -1]]),
        ("0 - 1", [1, 3], [[1, 0], [3, 0]]),
        (":1 - y:2", [5, 1], [[1, 4], [3, -2]]),
        ((slice(0, 2),), [5, 1], [[1, 4], [3, -2]]),
        (lambda shapes: {"y": np.array([2.0, 0, -1])}, [9, 6], [[3, 6], [9, -3]]),
    ],
)  # fmt: skip
def test_forms_by_hand(engine: str, target: Any, value: Any, relevance: Any) -> None:
    source = model(DENSE, w=W)
    if value is None:
        with pytest.raises(TargetError, match="no output '0'"):
            explained(source, X, target, engine)
        return
    e = explained(source, X, target, engine)
    np.testing.assert_allclose(e.target_value, value, rtol=1e-6)
    np.testing.assert_allclose(e.relevance["x"], relevance, rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_rest_counts_by_its_softmax(engine: str) -> None:
    e = explained(model(DENSE, w=W), X[:1], "0 - rest", engine)
    share = np.exp([2, -3]) / np.exp([2, -3]).sum()
    np.testing.assert_allclose(e.target_value, [3 - share @ [2, -3]], rtol=1e-6)
    np.testing.assert_allclose(e.relevance["x"], [(W[:, 0] - W[:, 1:] @ share) * X[0]], rtol=1e-5)
    assert e.label() == "0 - rest"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_mask_of_ones_own(engine: str, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.array([True, False, True]))
    e = explained(model(DENSE, w=W), X, f"mask:{tmp_path / 'mask.npy'}", engine)
    np.testing.assert_allclose(e.target_value, [0, 0], atol=1e-6)
    assert e.target == (((0,), (2,)), ((0,), (2,)))
    np.save(tmp_path / "mask.npy", np.ones(4))
    with pytest.raises(TargetError, match=r"shape \(4,\) do not fit"):
        explained(model(DENSE, w=W), X, f"mask:{tmp_path / 'mask.npy'}", engine)
    with pytest.raises(TargetError, match="cannot be read"):
        explained(model(DENSE, w=W), X, "mask:nowhere.npy", engine)


NAMES = Names(("logits", "461"), ("tabby", "tiger cat", "7", "crane", "crane", "a - b", "top"))


@pytest.mark.parametrize(
    ("text", "output", "index"),
    [("tabby", None, (0,)), ("tiger cat", None, (1,)), ("a - b", None, (5,)), ("logits", "logits", None),
     ("461:0", "461", (0,)), ("-1", None, (-1,)), ("0, 3", None, (0, 3)), (":7", None, (7,)),
     ("461:top", "461", None)],
)  # fmt: skip
def test_names_and_indices(text: str, output: str | None, index: Any) -> None:
    target = read_target(text, NAMES)
    assert (target.output, target.index, target.form) == (output, index, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("461", ["the output '461'", "an index", "461:top", "':461'"]),
        ("7", ["class 2", "an index as well"]),
        ("top", ["class 6"]),
        ("crane", ["classes 3, 4", "all named 'crane'"]),
        ("Tabby", ["did you mean 'tabby'", "'logits', '461'"]),
        ("tabby - tiger", ["'tiger' is no class", "did you mean 'tiger cat'"]),
        ("logit", ["did you mean 'logits'"]),
        ("box:-1", ["box:best"]),
        ("logits:1 - 461:1", ["two outputs"]),
        ("", ["no output ''"]),
    ],
)
def test_what_is_refused_helps(text: str, words: list[str]) -> None:
    with pytest.raises(TargetError) as error:
        read_target(text, NAMES)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", ["N, T, K", "T, N, K", "T, K"])
def test_the_batch_axis_is_found_by_its_name(engine: str, shape: str, rng: np.random.Generator) -> None:
    """x (N, T, C) -> y in three orders: T positions, each of N samples; or one sample whose batch axis is summed."""
    w = rng.normal(size=(2, 3)).astype(np.float32)
    last = {"N, T, K": "Identity(z)", "T, N, K": "Transpose<perm=[1, 0, 2]>(z)", "T, K": "Squeeze(z, a)"}[
        shape
    ]
    text = f"(float[N, T, 2] x) => (float[{shape}] y) {{ z = MatMul(x, w) y = {last} }}"
    samples = 1 if shape == "T, K" else 2
    x = rng.normal(size=(samples, 5, 2)).astype(np.float32)
    source = model(text, w=w, a=np.array([0]))
    e = explained(source, x, "3,1", engine)
    y = x @ w
    np.testing.assert_allclose(e.target_value, y[:, 3, 1], rtol=1e-5)
    expected = np.zeros_like(x)
    expected[:, 3] = x[:, 3] * w[:, 1]
    np.testing.assert_allclose(e.relevance["x"], expected, rtol=1e-5, atol=1e-7)
    assert e.batch_axis == {"N, T, K": 0, "T, N, K": 1, "T, K": None}[shape]
    top = explained(source, x, None, engine)
    np.testing.assert_allclose(top.target_value, y.max(axis=2).sum(axis=1), rtol=1e-5)
    assert top.label() == "the arg-max of each of 5 positions"
    one = explained(source, x, "3,top", engine)
    np.testing.assert_allclose(one.target_value, y[:, 3].max(axis=1), rtol=1e-5)


def test_a_fixed_batch_axis_is_found_by_its_length(rng: np.random.Generator) -> None:
    text = "(float[1, 6, 2] x) => (float[6, 1, 3] y) { z = MatMul(x, w) y = Transpose<perm=[1, 0, 2]>(z) }"
    x = rng.normal(size=(1, 6, 2)).astype(np.float32)
    e = explained(model(text, w=W), x, "4,0")
    assert (e.batch_axis, e.target) == (1, (((4, 0),),))
    np.testing.assert_allclose(e.relevance["x"][0, 4], x[0, 4], rtol=1e-6)


TOKENS = """(int64[N, T] ids, int64[N, T] mask) => (float[N, T, 3] y) {
  e = Gather(table, ids) m = Cast<to=1>(mask) k = Unsqueeze(m, last) h = Mul(e, k) y = MatMul(h, w) }"""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_position_that_is_no_padding(engine: str, rng: np.random.Generator) -> None:
    table = rng.normal(size=(9, 2)).astype(np.float32)
    ids = np.array([[1, 2, 3, 0], [4, 5, 6, 7]])
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]])
    source = model(TOKENS, table=table, w=W, last=np.array([-1]))
    e = explained(source, {"ids": ids, "mask": mask}, "y[last],2", engine)
    assert e.target == (((2, 2),), ((3, 2),))
    np.testing.assert_allclose(e.target_value, [table[3] @ W[:, 2], table[7] @ W[:, 2]], rtol=1e-5)
    best = explained(source, {"ids": ids, "mask": mask}, "y[last]", engine)
    assert [index[0][0] for index in best.target] == [2, 3]
    with pytest.raises(TargetError, match="no positions"):
        explained(model(DENSE, w=W), X, "y[last]", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_language_model_is_asked_for_the_next_token(engine: str) -> None:
    # Table and logits have three tokens: y of token 0 is (1, 0, -1), of 1 (1, 1, -2), of 2 (-1, 2, -1).
    table = np.array([[1, 0], [0, 1], [-3, 2]], np.float32)
    weights = np.array([[1, 0, -1], [1, 1, -2]], np.float32)
    feeds = {
        "ids": np.array([[0, 2, 0, 0], [2, 2, 2, 0], [2, 2, 2, 2]]),
        "mask": np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]),
    }
    source = model(TOKENS, table=table, w=weights, last=np.array([-1]))
    e = explained(source, feeds, None, engine)
    # Of a mask that counts nothing it is the very last position, where all logits are 0 here.
    assert e.target == (((1, 1),), ((3, 0),), ((3, 0),))
    np.testing.assert_allclose(e.target_value, [2, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(e.relevance["ids"], [[0, 2, 0, 0], [0, 0, 0, 1], [0] * 4], atol=1e-6)
    assert e.label() == "the next token: the arg-max of the last position that is no padding"
    every = explained(source, feeds, ":,top", engine)
    np.testing.assert_allclose(every.target_value[1], 2 + 2 + 2 + 1, rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_no_table_of_tokens_has_as_rows_is_asked_at_each_position(engine: str) -> None:
    source = model(TOKENS, table=np.ones((9, 2), np.float32), w=W, last=np.array([-1]))
    ids = np.array([[1, 2, 3, 0]])
    e = explained(source, {"ids": ids, "mask": np.ones_like(ids)}, None, engine)
    assert e.label() == "the arg-max of each of 4 positions"
    np.testing.assert_allclose(e.target_value, [4 * 2])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_mask_of_the_encoder_counts_no_positions_of_the_decoder(engine: str) -> None:
    source = model(
        """(int64[N, S] ids, int64[N, S] mask, int64[N, T] decoder_ids) => (float[N, T, 3] y) {
        a = Gather(table, ids) m = Cast<to=1>(mask) k = Unsqueeze(m, last) h = Mul(a, k)
        s = ReduceSum<keepdims=1>(h, one) d = Gather(table, decoder_ids) b = Add(d, s) y = MatMul(b, w) }""",
        table=np.eye(3, 2, dtype=np.float32), w=W, last=np.array([-1]), one=np.array([1]),
    )  # fmt: skip
    feeds = {
        "ids": np.array([[0, 1, 2]]),
        "mask": np.array([[1, 0, 0]]),
        "decoder_ids": np.array([[2, 0, 1]]),
    }
    for target in (None, "y[last]"):
        e = explained(source, feeds, target, engine)
        assert e.target == (((2, 0),),)
        np.testing.assert_allclose(e.target_value, [2], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cache", [0, 2])
def test_a_mask_may_have_names_of_its_own_and_count_a_cache(engine: str, cache: int, tmp_path: Path) -> None:
    source = model(
        """(int64[N, T] ids, int64[N, S] attention_mask) => (float[N, T, 3] y) {
        e = Gather(table, ids) m = Cast<to=1>(attention_mask) s = ReduceSum<keepdims=1>(m, one)
        k = Unsqueeze(s, one) h = Mul(e, k) y = MatMul(h, w) }""",
        table=np.eye(3, 2, dtype=np.float32), w=W, one=np.array([1]),
    )  # fmt: skip
    mask = np.array([[1] * cache + [1, 1, 0], [1] * cache + [1, 1, 1]])
    feeds = {"ids": np.array([[1, 0, 2], [2, 2, 1]]), "attention_mask": mask}
    e = explained(source, feeds, None, engine)
    assert e.target == (((1, 0),), ((2, 0),))  # of equal logits the first
    np.testing.assert_allclose(e.target_value, [cache + 2, cache + 3], rtol=1e-6)
    file = onnxdtd.compile(source, tmp_path / "e.onnx", method="gradient_x_input", target="y[last],0")
    session = onnxruntime.InferenceSession(file.files[0], providers=["CPUExecutionProvider"])
    (r,) = session.run([file.relevance["ids"]], feeds)
    np.testing.assert_allclose(r, e.relevance["ids"], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_map_behind_a_sigmoid_is_asked_where_it_is_above_zero(engine: str) -> None:
    text = "(float[N, 1, 2, 3] x) => (float[N, 1, 2, 3] y) { z = Mul(x, two) y = Sigmoid(z) }"
    x = np.array([[1, -2, 3, -4, 5, -6], [-1, -2, -3, -4, -5, -6]], np.float32).reshape(2, 1, 2, 3)
    e = explained(model(text, two=np.float32(2)), x, None, engine)
    np.testing.assert_allclose(e.target_value, [18, -2])
    assert len(e.target[0]) == 3
    assert e.target[1] == ((0, 0, 0),)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_segmenter_is_asked_for_the_class_of_most_positions(engine: str) -> None:
    text = "(float[N, 2, 1, 3] x) => (float[N, 3, 1, 3] y) { y = Conv(x, k) }"
    x = np.array([[[[1, 0, 1]], [[0, 2, 0]]]], np.float32)  # scores: x0, x1, 0 at three places
    k = np.array([[1, 0], [0, 1], [0, 0]], np.float32).reshape(3, 2, 1, 1)
    e = explained(model(text, k=k), x, None, engine)
    assert e.target == (((0, 0, 0), (0, 0, 2)),)
    assert e.label() == "class 0 at 2 positions"
    np.testing.assert_allclose(e.relevance["x"], [[[[1, 0, 1]], [[0, 0, 0]]]])
    whole = explained(model(text, k=k), x, "1,:,:", engine)
    np.testing.assert_allclose(whole.relevance["x"], [[[[0, 0, 0]], [[0, 2, 0]]]])


def test_a_picture_out_of_a_picture_is_refused_with_three_targets() -> None:
    text = "(float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) { y = Conv<pads=[1, 1, 1, 1]>(x, k) }"
    k = np.ones((3, 3, 3, 3), np.float32)
    with pytest.raises(TargetError, match=r"--target 1,4,4 .* --target 0,:,: .* --target mask:FILE.npy"):
        explained(model(text, k=k), np.ones((1, 3, 8, 8), np.float32))


def detector(rng: np.random.Generator, rows_last: bool) -> tuple[onnx.ModelProto, np.ndarray]:
    """16 anchors of 4 box numbers and 3 class scores, the latter behind a Sigmoid, side by side."""
    text = f"""(float[N, 7, 4, 4] x) => (float[N, {"16, 7" if rows_last else "7, 16"}] y) {{
      h = Mul(x, two) flat = Reshape(h, sizes)
      box = Slice(flat, s0, s4, one) z = Slice(flat, s4, s7, one) p = Sigmoid(z)
      a = Concat<axis=1>(box, p) y = {"Transpose<perm=[0, 2, 1]>(a)" if rows_last else "Identity(a)"} }}"""
    x = rng.normal(size=(1, 7, 4, 4)).astype(np.float32)
    x[0, :4] = np.abs(x[0, :4]) * 9 + 2
    x[0, 4:] -= 3
    x[0, :, 2, 1] = [50, 40, 20, 10, -5, 2.5, -4]  # anchor 9: class 1, logit 2.5
    x[0, :, 2, 2] = [51, 40, 20, 10, -5, 2.0, -4]  # anchor 10: nearly the same box, less certain
    x[0, :, 0, 3] = [8, 8, 4, 4, 1.5, -5, -4]  # anchor 3: class 0, logit 1.5
    ends = {f"s{k}": np.array([k]) for k in (0, 4, 7)}
    return model(text, sizes=np.array([0, 7, 16]), one=np.array([1]), two=np.float32(2), **ends), x / 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_detector_is_asked_for_its_best_box(engine: str, rng: np.random.Generator) -> None:
    source, x = detector(rng, rows_last=False)
    e = explained(source, x, None, engine, "epsilon_plus")
    assert e.target == (((5, 9),),)
    np.testing.assert_allclose(e.target_value, [2.5], rtol=1e-6)
    assert e.corners == ((40, 35, 60, 45),)
    assert np.count_nonzero(e.relevance["x"]) == 1
    second = explained(source, x, "box:1", engine, "epsilon_plus")
    assert second.target == (((4, 3),),)
    np.testing.assert_allclose(second.target_value, [1.5], rtol=1e-6)
    assert explained(source, x, "box:best", engine, "epsilon_plus").target == e.target
    with pytest.raises(TargetError, match="the best is box:0"):
        explained(source, x, "box:99", engine)
    with pytest.raises(TargetError, match="no boxes"):
        explained(model(DENSE, w=W), X, "box:best", engine)


def test_the_logit_behind_an_inner_activation_is_explained(rng: np.random.Generator) -> None:
    text = """(float[N, 2] x) => (float[N, 4] y) {
      z = MatMul(x, w) p = Softmax<axis=1>(z) h = Slice(x, a, b, b) y = Concat<axis=1>(p, h) }"""
    source = model(text, w=W, a=np.array([0]), b=np.array([1]))
    e = explained(source, X, 0)
    np.testing.assert_allclose(e.target_value, [3, 2])
    np.testing.assert_allclose(explained(source, X, 3).target_value, [1, 3])
    np.testing.assert_allclose(e.outputs["y"][:, :3].sum(axis=1), [1, 1], rtol=1e-6)


def test_scores_come_before_corners() -> None:
    text = """(float[N, 2] x) => (float[N, 2] box, float[N, 3] score) {
      box = Identity(x) z = MatMul(x, w) score = Softmax<axis=1>(z) }"""
    assert explained(model(text, w=W), X).output == "score"


def test_deep_taylor_takes_no_difference() -> None:
    with pytest.raises(TargetError, match="dtd_head"):
        explained(model(DENSE, w=W), X, "0 - 1", method="dtd")


def test_several_targets_give_several_results() -> None:
    explainer = onnxdtd.Explainer(labelled("a", "b", "c"), "gradient_x_input")
    results = explainer(X, targets=["a", 1, "b - c"])
    assert [r.label() for r in results] == ["class 0 'a'", "class 1 'b'", "b - c"]
    np.testing.assert_allclose(results[2].target_value, [5, 1])
    with pytest.raises(TargetError, match="give one of target="):
        explainer(X, 0, targets=[1])


@pytest.mark.parametrize("target", ["1", ":", "0 - 1", "b - c"])
def test_a_fixed_question_compiles(tmp_path: Path, target: str) -> None:
    source = labelled("a", "b", "c")
    onnxdtd.compile(source, tmp_path / "e.onnx", method="attnlrp", target=target)
    session = onnxruntime.InferenceSession(tmp_path / "e.onnx", providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["x"]
    (relevance,) = session.run(["relevance/x"], {"x": X})
    expected = explained(source, X, target, method="attnlrp").relevance["x"]
    np.testing.assert_allclose(relevance, expected, rtol=1e-5, atol=1e-6)


def test_coefficients_are_an_input(tmp_path: Path) -> None:
    source = labelled("a", "b", "c")
    onnxdtd.compile(source, tmp_path / "e.onnx", method="attnlrp", target="coefficients")
    session = onnxruntime.InferenceSession(tmp_path / "e.onnx", providers=["CPUExecutionProvider"])
    weights = np.array([[1, -1, 0], [0, 0, 2]], np.float32)
    (relevance,) = session.run(["relevance/x"], {"x": X, "coefficients": weights})
    np.testing.assert_allclose(relevance, X * (weights @ W.T), rtol=1e-5, atol=1e-6)
    with pytest.raises(onnxdtd.UnsupportedError, match="'coefficients'"):
        onnxdtd.compile(source, tmp_path / "f.onnx", method="attnlrp", target="a - rest")


@pytest.mark.parametrize("engine", ENGINES)
def test_coefficients_have_the_output_s_own_shape(engine: str, rng: np.random.Generator) -> None:
    text = "(float[N, T, 2] x) => (float[T, N, 3] y) { z = MatMul(x, w) y = Transpose<perm=[1, 0, 2]>(z) }"
    x = rng.normal(size=(2, 4, 2)).astype(np.float32)
    weights = rng.normal(size=(4, 2, 3)).astype(np.float32)
    e = explained(model(text, w=W), x, lambda shapes: {"y": weights}, engine)
    expected = np.einsum("tnk,nti,ik->nti", weights, x, W)
    np.testing.assert_allclose(e.relevance["x"], expected, rtol=1e-4, atol=1e-6)


# Models without an axis for samples: all lengths fixed, and those of input and output differ.

MIXING = "a = MatMul(x, w) r = Relu(a)"
EYES = {
    "w": np.float32([[1, 0, 2], [0, 1, 0], [1, 1, 0], [0, 0, 1]]),
    "v": np.float32([[1, 0], [0, 2], [1, 1]]),
}


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_an_output_of_another_length_has_no_samples(engine: Any) -> None:
    """x = (1, 2, 3, 4): r = (4, 5, 6), y = (10, 16): the arg-max is 1, by r: 5 x 2 + 6."""
    source = model(f"(float[4] x) => (float[2] y) {{ {MIXING} y = MatMul(r, v) }}", **EYES)
    e = onnxdtd.Explainer(source, "epsilon_plus", engine=engine)(np.float32([1, 2, 3, 4]))
    assert (e.batch_axis, e.target, e.target_value.tolist()) == (None, (((1,),),), [16])
    # r = (4, 5, 6) gets (0, 10, 6); 10 goes to x_2 and x_3 by 2 : 3, 6 to x_1 and x_4 by 2 : 4.
    np.testing.assert_allclose(e.relevance["x"], [2, 4, 6, 4], rtol=1e-5)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_picture_without_a_batch_has_one_target(engine: Any) -> None:
    """(2, 2, 2) to 5 scores: one sample, of which the largest score is explained."""
    source = model(
        "(float[2, 2, 2] x) => (float[5] y) { f = Reshape(x, s) y = MatMul(f, w) }",
        s=np.int64([-1]), w=np.arange(40, dtype=np.float32).reshape(8, 5),
    )  # fmt: skip
    e = onnxdtd.Explainer(source, "gradient", engine=engine)(np.ones((2, 2, 2), np.float32))
    assert (e.batch_axis, e.target) == (None, (((4,),),))
    np.testing.assert_allclose(e.relevance["x"].ravel(), np.arange(4, 40, 5))


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_steps_of_any_number_to_one_vector_are_one_sample(engine: Any) -> None:
    """y = the mean of the steps times w: each step gets its part of the larger score."""
    source = model(
        "(float[T, 3] x) => (float[2] y) { m = ReduceMean<keepdims = 0>(x, first) y = MatMul(m, w) }", 18,
        first=np.array([0]), w=np.float32([[1, 2], [0, 3], [0, 4]]),
    )  # fmt: skip
    explainer = onnxdtd.Explainer(source, "gradient", engine=engine)
    for steps in (1, 3, 5):
        e = explainer(np.ones((steps, 3), np.float32))
        assert (e.batch_axis, e.target) == (None, (((1,),),))
        np.testing.assert_allclose(
            e.relevance["x"], np.tile(np.float32([2, 3, 4]) / steps, (steps, 1)), rtol=1e-6
        )


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_vector_along_an_axis_of_the_input_holds_its_samples(engine: Any) -> None:
    """y_j, the sum over i of x_iij, runs along the last axis of x: each of its elements is explained."""
    source = model('(float[2, 2, 3] x) => (float[3] y) { y = Einsum<equation = "iij->j">(x) }')
    e = onnxdtd.Explainer(source, "gradient", engine=engine)(np.ones((2, 2, 3), np.float32))
    assert e.batch_axis == 0
    np.testing.assert_array_equal(e.relevance["x"], np.eye(2)[:, :, None].repeat(3, 2))


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_one_number_of_all_elements_is_no_sum_of_samples(engine: Any) -> None:
    """y = sum of r mixes its inputs, and so `natural` is not what auto takes."""
    source = model(f"(float[4] x) => (float y) {{ {MIXING} y = ReduceSum<keepdims = 0>(r) }}", **EYES)
    x = np.float32([1, 2, 3, 4])
    e = onnxdtd.Explainer(source, engine=engine)(x)
    assert e.method != "natural"
    np.testing.assert_allclose(e.relevance["x"], x * [3, 1, 2, 1], rtol=1e-5)
    with pytest.raises(onnxdtd.UnsupportedError, match="is one row"):
        onnxdtd.Explainer(source, "natural")(x)
