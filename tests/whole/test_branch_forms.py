"""What branches may be made of, on both engines: the gradient of the branch that is taken, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx.parser
import onnxruntime
import pytest

import onnxdtd
from onnxdtd import Explainer
from tests.support.model_text import model

X = np.float32([[1.0, 2.0]])
W = np.float32([[1.0, -2.0], [3.0, 1.0]])
HEAD = "(float[N, 2] x, bool c) => (float[N, 2] y)"

CAPTURES = (
    HEAD
    + """{ k = MatMul(x, w)
    z = If (c) <then_branch = f () => (float[N, 2] a) { a = Mul(k, k) },
                else_branch = g () => (float[N, 2] b) { b = Sub(k, x) }>
    y = Add(z, k) }"""
)
OWN_WEIGHTS = (
    HEAD
    + """{ y = If (c) <
        then_branch = f () => (float[N, 2] a) <float[2, 2] u = {1, 0, 5, 0}> { a = MatMul(x, u) },
        else_branch = g () => (float[N, 2] a) <float[2, 2] u = {2, 0, 3, 0}> { a = MatMul(x, u) }> }"""
)
ONLY_CONSTANTS = (
    HEAD
    + """{ k = If (c) <
        then_branch = f () => (float[2, 2] a) { a = Constant<value = float[2, 2] {1, 0, 5, 0}>() },
        else_branch = g () => (float[2, 2] u) <float[2, 2] u = {2, 0, 3, 0}> { }>
    y = MatMul(x, k) }"""
)
INPUT_AS_IT_IS = (
    HEAD
    + """{ y = If (c) <then_branch = f () => (float[N, 2] a) { a = Identity(x) },
                            else_branch = g () => (float[N, 2] b) { b = Neg(x) }> }"""
)
# The second output is a constant in one branch, the first one once more in the other.
TWO_OUTPUTS = """(float[N, 2] x, bool c) => (float[N, 2] y, float[M, 2] q) { y, q = If (c) <
    then_branch = f () => (float[N, 2] a, float[1, 2] u) { a = MatMul(x, w)
                                                           u = Constant<value = float[1, 2] {1, 2}>() },
    else_branch = g () => (float[N, 2] b, float[N, 2] d) { b = Neg(x) d = Identity(b) }> }"""
# x w = (7, 0): the inner condition is made inside, of what the outer branch makes.
NESTED = (
    HEAD
    + """{ y = If (c) <
        then_branch = f () => (float[N, 2] r) {
            p = MatMul(x, w) s = ReduceSum<keepdims = 0>(p) seven = Constant<value = float {7}>()
            d = GreaterOrEqual(s, seven)
            r = If (d) <then_branch = h () => (float[N, 2] t) { t = Mul(p, p) },
                        else_branch = i () => (float[N, 2] t) { t = Neg(p) }> },
        else_branch = g () => (float[N, 2] b) { b = Neg(x) }> }"""
)
BY_SIZE = """(float[N, M] x) => (float[N, K] y) {
    size = Shape(x) one = Constant<value = int64 {1}>() n = Gather(size, one)
    two = Constant<value = int64 {2}>() c = Equal(n, two)
    y = If (c) <then_branch = f () => (float[N, 2] a) { a = MatMul(x, w) },
                else_branch = g () => (float[N, 3] b) { b = Mul(x, x) }> }"""
# Ranks differ, so that nothing is known behind the If until a branch is taken.
BY_RANK = """(float[N, M, 2] x) => (y) {
    size = Shape(x) one = Constant<value = int64 {1}>() n = Gather(size, one) c = Equal(n, one)
    z = If (c) <then_branch = f () => (float[N, 2] a) {
                    axes = Constant<value = int64[1] {1}>() a = Squeeze(x, axes) },
                else_branch = g () => (float[N, M, 2] b) { b = Neg(x) }>
    y = MatMul(z, w) }"""
INTEGERS_ONLY = """(float[N, 2] x, bool c) => (float[N, 1] y) {
    k = If (c) <then_branch = f () => (int64[1] a) { a = Constant<value = int64[1] {0}>() },
                else_branch = g () => (int64[1] b) { b = Constant<value = int64[1] {1}>() }>
    y = Gather<axis = 1>(x, k) }"""
# 70 iterations, more than are unrolled: all by one branch, a number of them, or as long as the sum exceeds 1.
IN_A_LOOP = (
    HEAD
    + """{{ n = Constant<value = int64 {{70}}>() yes = Constant<value = bool {{1}}>()
    one = Constant<value = float {{1}}>()
    two = Constant<value = int64 {{2}}>() half = Constant<value = float {{0.5}}>()
    y = Loop (n, yes, x) <body = b (int64 i, bool k, float[N, 2] h) => (bool k2, float[N, 2] h2) {{
        k2 = Identity(k) {decides}
        h2 = If (d) <then_branch = f () => (float[N, 2] a) {{ a = Mul(h, half) }},
                     else_branch = g () => (float[N, 2] b) {{ b = Neg(h) }}> }}> }}"""
)
ALL, TWICE = IN_A_LOOP.format(decides="d = Not(c)"), IN_A_LOOP.format(decides="d = Less(i, two)")
SHRINKS = IN_A_LOOP.format(decides="p = Abs(h) s = ReduceSum<keepdims = 0>(p) d = Greater(s, one)")
CONDITION_WITH_AN_AXIS = INPUT_AS_IT_IS.replace("bool c", "bool[1] c")
NO, YES = ({"x": X, "c": np.array(c)} for c in (False, True))
X3 = np.float32([[1.0, 2.0, 3.0]])

FORMS: dict[str, tuple[str, dict[str, Any], Any]] = {
    # dy0/dx = (1 + 2 k0) w0, k0 = 7; or 2 w0 - (1, 0).
    "captures, then": (CAPTURES, YES, [[15, 45]]),
    "captures, else": (CAPTURES, NO, [[1, 6]]),
    "weights of their own, then": (OWN_WEIGHTS, YES, [[1, 5]]),
    "weights of their own, else": (OWN_WEIGHTS, NO, [[2, 3]]),
    "only constants, then": (ONLY_CONSTANTS, YES, [[1, 5]]),
    "only constants, else": (ONLY_CONSTANTS, NO, [[2, 3]]),
    "the input as it is": (INPUT_AS_IT_IS, YES, [[1, 0]]),
    "a condition with an axis": (CONDITION_WITH_AN_AXIS, {"x": X, "c": np.array([False])}, [[-1, 0]]),
    "two outputs, then": (TWO_OUTPUTS, YES, [[1, 3]]),
    "two outputs, else": (TWO_OUTPUTS, NO, [[-1, 0]]),
    "nested, then": (NESTED, YES, [[14, 42]]),
    "nested, else": (NESTED, {"x": -X, "c": np.array(True)}, [[-1, -3]]),
    "nested, outer else": (NESTED, NO, [[-1, 0]]),
    "by size, then": (BY_SIZE, {"x": X}, [[1, 3]]),
    "by size, else": (BY_SIZE, {"x": X3}, [[2, 0, 0]]),
    "by rank, then": (BY_RANK, {"x": X[:, None]}, [[[1, 3]]]),
    "by rank, else": (BY_RANK, {"x": np.stack([X, X], axis=1)}, [[[-1, -3], [0, 0]]]),
    "all of a loop, then": (ALL, NO, [[2.0**-70, 0]]),
    "all of a loop, else": (ALL, YES, [[1, 0]]),
    "twice in a loop": (TWICE, NO, [[0.25, 0]]),
    # |x| sums up to 3, 1.5, .75.
    "as values of a loop decide": (SHRINKS, NO, [[0.25, 0]]),
    "integers only": (INTEGERS_ONLY, NO, [[0, 1]]),
}


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_that_of_the_branch(form: str, engine: Any) -> None:
    text, feeds, slope = FORMS[form]
    proto = model(text, w=W) if "w)" in text else model(text)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))
    target = "y:0,0" if expected["y"].ndim == 3 else "y:0"
    e = Explainer(proto, "gradient", engine, verify=True)(feeds, target)
    np.testing.assert_allclose(e.relevance["x"], slope, rtol=1e-5)
    for name, array in expected.items():
        np.testing.assert_allclose(e.outputs[name], array, rtol=1e-5)


def test_operators_that_are_written_out_may_stand_in_a_branch() -> None:
    """Attention of one position hands on its value."""
    text = """(float[1, 1, 2] x, bool c) => (float[1, 1, 2] y) { y = If (c) <
        then_branch = f () => (float[1, 1, 2] a) { a = Attention<q_num_heads = 1, kv_num_heads = 1>(x, x, x) },
        else_branch = g () => (float[1, 1, 2] b) { b = Neg(x) }> }"""
    e = onnxdtd.explain(model(text, 23), {"x": X[None], "c": np.array(True)}, (0, 1), "gradient")
    np.testing.assert_allclose(e.relevance["x"], [[[0, 1]]], atol=1e-6)


def picking() -> onnx.ModelProto:
    """pick(x, c) = -x, or square(x), which takes x * x where the largest x exceeds 1, else x."""
    return onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 17, "my" : 1]>
    m (float[N, 2] x, bool c) => (float[N, 2] y) { y = my.pick(x, c) }
    <opset_import: ["" : 17, "my" : 1], domain: "my">
    pick (v, k) => (r) { r = If (k) <then_branch = f () => (a) { a = Neg(v) },
                                     else_branch = g () => (b) { b = my.square(v) }> }
    <opset_import: ["" : 17], domain: "my">
    square (v) => (r) { s = ReduceMax<keepdims = 0>(v) one = Constant<value = float {1}>() k = Greater(s, one)
        r = If (k) <then_branch = f () => (a) { a = Mul(v, v) },
                    else_branch = g () => (b) { b = Identity(v) }> }""")


def test_branches_inside_of_functions() -> None:
    proto = picking()
    for c, slope in ((True, [[-1, 0]]), (False, [[2, 0]])):
        e = onnxdtd.explain(proto, {"x": X, "c": np.array(c)}, 0, "gradient")
        np.testing.assert_allclose(e.relevance["x"], slope, rtol=1e-5)


def test_a_head_inside_the_branch_is_set_aside() -> None:
    text = (
        HEAD
        + """{ k = MatMul(x, w) y = If (c) <then_branch = f () => (float[N, 2] a) { a = Softmax(k) },
                                                   else_branch = g () => (float[N, 2] b) { b = Identity(k) }> }"""
    )
    e = onnxdtd.explain(model(text, w=W), YES, 0)
    assert e.target_value == [7]
    assert any("final Softmax 'If_1/Softmax_0' set aside" in note for note in e.notes)


def test_probabilities_that_both_branches_make_are_predicted_as_they_are() -> None:
    text = (
        HEAD
        + """{ k = MatMul(x, w) y = If (c) <then_branch = f () => (float[N, 2] a) { a = Softmax(k) },
        else_branch = g () => (float[N, 2] b) { s = Sigmoid(k) b = Identity(s) }> }"""
    )
    assert onnxdtd.predict_fn(model(text, w=W)).how == "as it is"
    assert onnxdtd.predict_fn(model(text.replace("Sigmoid", "Relu"), w=W)).how == "softmax"


def test_an_old_file_is_compiled_with_its_conditions(tmp_path: Any) -> None:
    path = tmp_path / "e.onnx"
    onnxdtd.compile(model(CAPTURES, 11, w=W), path, method="gradient", target=0, like=NO)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for feeds, valid in ((NO, True), (YES, False)):
        r, held = session.run(["relevance/x", "onnxdtd/valid"], feeds)
        assert held == valid
        np.testing.assert_array_equal(r, [[1, 6]])


def test_what_decides_inside_of_a_loop_decides_whether_a_file_is_valid(tmp_path: Any) -> None:
    path = tmp_path / "e.onnx"
    made = onnxdtd.compile(model(ALL), path, method="gradient", target=0, like=YES)
    assert (
        made.notes[-1]
        == "branch taken: else of 'Loop_5/If_2', since not ('Loop_5/c') does not hold, in a loop"
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [session.run(["onnxdtd/valid"], feeds)[0] for feeds in (YES, NO)] == [True, False]


def test_a_loop_inside_of_a_branch() -> None:
    text = (
        HEAD
        + """{ y = If (c) <then_branch = f () => (float[N, 2] r) {
            n = Constant<value = int64 {70}>() yes = Constant<value = bool {1}>()
            r = Loop (n, yes, x) <body = b (int64 i, bool k, float[N, 2] h) => (bool k2, float[N, 2] h2) {
                k2 = Identity(k) h2 = Neg(h) }> },
        else_branch = g () => (float[N, 2] a) { a = Mul(x, x) }> }"""
    )
    for feeds, slope in ((YES, [[1, 0]]), (NO, [[2, 0]])):
        e = onnxdtd.explain(model(text), feeds, 0, "gradient")
        np.testing.assert_allclose(e.relevance["x"], slope)


def test_a_choice_of_constants_has_nothing_to_explain() -> None:
    text = """(bool c) => (float[2] y) { y = If (c) <
        then_branch = f () => (float[2] a) { a = Constant<value = float[2] {1, 2}>() },
        else_branch = g () => (float[2] b) { b = Constant<value = float[2] {2, 1}>() }> }"""
    with pytest.raises(onnxdtd.TargetError, match="nothing to explain"):
        onnxdtd.explain(model(text), np.array(True))


def test_sizes_of_two_inferences_bear_no_common_name() -> None:
    """Without the branch that is not taken, onnx counts the sizes that it cannot infer in another way."""
    text = """(float[N, M] x, bool c) => (float[N] s, y) {
        zero = Constant<value = int64[1] {0}>() end = Constant<value = int64[1] {99}>()
        axis = Constant<value = int64[1] {1}>() two = Constant<value = int64[1] {2}>()
        z = If (c) <then_branch = f () => (float[N, K] t) { t = Slice(x, axis, end, axis) },
                    else_branch = g () => (float[N, 1, K] t) { p = Slice(x, zero, end, axis, two)
                        q = Slice(p, zero, end, axis, two) t = Unsqueeze(q, axis) }>
        a = Slice(x, zero, end, axis, two) s = ReduceSum<keepdims = 0>(a, axis)
        b = Slice(z, axis, end, axis) d = Slice(b, axis, end, axis) e = Slice(d, axis, end, axis)
        h = Slice(e, axis, end, axis) y = Slice(h, axis, end, axis) }"""
    feeds = {"x": np.arange(22, dtype=np.float32).reshape(2, 11), "c": np.array(True)}
    explainer = Explainer(model(text), "gradient")
    graph, lengths = explainer.at(feeds).graph, dict[str, set[int]]()
    for name, array in explainer.activations(feeds).items():
        for size, length in zip(graph.value(name).shape or (), array.shape, strict=False):
            if isinstance(size, str):
                lengths.setdefault(size, set()).add(length)
    assert {size: several for size, several in lengths.items() if len(several) > 1} == {}
    for engine in ("numpy", "onnx"):
        r = explainer.by(engine=engine)(feeds, "y:1").relevance["x"]
        assert [list(row.nonzero()[0]) for row in r] == [[7], [7]]
