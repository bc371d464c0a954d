"""Models with an If whose condition only a run knows: the branch that an input takes is what is explained."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxdtd
from onnxdtd import CheckError, Explainer, InputError, UnsupportedError, UsageError, explain
from onnxdtd.model.load import load
from tests.support.model_text import model

W = np.float32([[1.0, -2.0], [3.0, 1.0]])
V = np.float32([[2.0, 0.0], [1.0, 1.0]])
X = np.float32([[1.0, 2.0]])
# x W = (7, 0), x V = (4, 2).
SWITCH = """(float[N, 2] x, bool c) => (float[N, 2] y) {
    y = If (c) <
        then_branch = f () => (float[N, 2] a) { a = MatMul(x, w) },
        else_branch = g () => (float[N, 2] b) { h = MatMul(x, v) b = Relu(h) }
    > }"""
# The sum of all elements decides.
SUM = """(float[N, 2] x) => (float[N, 2] y) {
    s = ReduceSum<keepdims = 0>(x)
    c = Greater(s, zero)
    y = If (c) <
        then_branch = f () => (float[N, 2] a) { a = MatMul(x, w) },
        else_branch = g () => (float[N, 2] b) { b = MatMul(x, v) }
    > }"""


def switch() -> onnx.ModelProto:
    return model(SWITCH, w=W, v=V)


def by_sum() -> onnx.ModelProto:
    return model(SUM, w=W, v=V, zero=np.float32(0))


def outputs(proto: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def gradient(explainer: Explainer, **feeds: Any) -> np.ndarray:
    return explainer(feeds, target=0).relevance["x"]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_the_branch_that_the_input_takes_is_explained(engine: Any) -> None:
    """x_i w_i0 of y_0: 1 * 1, 2 * 3 by one branch; 1 * 2, 2 * 1 by the other."""
    explainer = Explainer(switch(), "gradient_x_input", engine)
    for c, r in ((True, [[1.0, 6.0]]), (False, [[2.0, 2.0]]), (True, [[1.0, 6.0]])):
        e = explainer({"x": X, "c": np.array(c)}, target=0)
        np.testing.assert_allclose(e.relevance["x"], r, rtol=1e-5)
        np.testing.assert_allclose(e.outputs["y"], [[7, 0] if c else [4, 2]])


def test_which_branch_was_taken_is_told_and_why() -> None:
    notes = explain(switch(), {"x": X, "c": np.array(False)}, 0).notes
    (note,) = [n for n in notes if n.startswith("branch taken")]
    assert note == "branch taken: else of 'If_0', since 'c' does not hold"
    notes = explain(by_sum(), X, 0).notes
    assert "branch taken: then of 'If_2', since 's' > 0.0" in notes


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_one_way_is_made_once_and_another_signature_has_another(engine: Any) -> None:
    explainer = Explainer(by_sum(), "gradient", engine)
    up, down = explainer.at(X), explainer.at(-X)
    assert up is explainer.at(2 * X)
    assert up is not down
    assert up.plan() is explainer.at(3 * X).plan()
    np.testing.assert_array_equal(gradient(explainer, x=X), [[1, 3]])
    np.testing.assert_array_equal(gradient(explainer, x=-X), [[2, 1]])
    np.testing.assert_array_equal(gradient(explainer, x=X), [[1, 3]])


def test_a_batch_takes_one_branch() -> None:
    """1 + 2 - 1 - 1 > 0: both rows take what the sum over the batch says."""
    x = np.float32([[1, 2], [-1, -1]])
    e = explain(by_sum(), x, 0, "gradient")
    np.testing.assert_array_equal(e.relevance["x"], [[1, 3], [1, 3]])
    np.testing.assert_allclose(e.outputs["y"], outputs(by_sum(), {"x": x})[0])


def test_a_condition_of_each_row_is_refused() -> None:
    text = SUM.replace("ReduceSum<keepdims = 0>(x)", "ReduceSum<keepdims = 0>(x, one)")
    proto = model(text, w=W, v=V, zero=np.float32(0), one=np.int64([1]))
    explain(proto, X, 0)
    with pytest.raises(InputError, match=r"condition 'c' has shape \(2,\).*one sample at a time"):
        explain(proto, np.concatenate([X, X]), 0)


def test_data_of_one_branch_are_evaluated_together() -> None:
    x = np.float32([[1, 2], [2, 1], [3, 3]])
    assert onnxdtd.evaluate(by_sum(), x, "gradient", metrics="sparseness").inputs == 3
    with pytest.raises(UsageError, match="inputs 0 and 1 of the data take different branches"):
        onnxdtd.evaluate(by_sum(), x * np.float32([[1], [-1], [1]]), "gradient", metrics="sparseness")


def test_methods_of_many_passes_stay_in_the_branch() -> None:
    """From 0, where the other branch would be taken, to x: x_i w_i0."""
    e = explain(by_sum(), X, 0, "integrated_gradients")
    np.testing.assert_allclose(e.relevance["x"], [[1, 6]], rtol=1e-5)
    assert any("hangs on values of the input ('c')" in text for text in e.warnings)


def test_without_an_input_the_branch_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match=r"'If_0' If .*a branch"):
        Explainer(switch()).plan()


def test_copies_know_their_ways() -> None:
    explainer = Explainer(by_sum(), "gradient_x_input")
    r = gradient(explainer, x=X)
    for other in (
        copy.deepcopy(explainer),
        pickle.loads(pickle.dumps(explainer)),
        explainer.by("gradient_x_input"),
    ):
        np.testing.assert_array_equal(gradient(other, x=X), r)
        np.testing.assert_array_equal(gradient(other, x=-X), gradient(explainer, x=-X))


def test_activations_are_those_of_the_branch() -> None:
    explainer = Explainer(switch())
    values = explainer.activations({"x": X, "c": np.array(False)})
    np.testing.assert_array_equal(values["If_0/h"], X @ V)
    assert "If_0/h" not in explainer.activations({"x": X, "c": np.array(True)})


def test_every_way_is_compared_with_the_file() -> None:
    explainer = Explainer(by_sum(), "gradient")
    explainer(X, target=0)
    constants: Any = explainer.at(-X).graph.constants
    constants["v"] = V + 7
    with pytest.raises(CheckError, match="not what onnxruntime computes"):
        explainer(-X, target=0)
    assert explain(by_sum(), -X, 0, verify=True).notes


def test_a_fixed_input_is_not_asked_for_and_not_explained() -> None:
    explainer = Explainer(switch(), "gradient_x_input", fixed={"c": True})
    assert list(explainer.inputs) == ["x"]
    e = explainer(X, target=0)
    np.testing.assert_allclose(e.relevance["x"], [[1, 6]], rtol=1e-5)
    assert set(e.relevance) == {"x"}
    assert "input 'c' fixed at True" in e.notes
    other = Explainer(switch(), "gradient_x_input").by(fixed={"c": False})
    np.testing.assert_allclose(other(X, target=0).relevance["x"], [[2, 2]], rtol=1e-5)


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ({"d": True}, r"fixed: the model has no input 'd'; it takes 'x', 'c'"),
        ({"c": 1.5}, r"fixed: input 'c' holds float64 where the model takes bool"),
        ({"c": [True, False]}, r"fixed: input 'c' has shape \(2,\) where the model takes \(\)"),
        ({"c": True, "x": X}, "all inputs are fixed"),
    ],
)
def test_what_cannot_be_fixed_is_refused_in_one_line(fixed: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        Explainer(switch(), fixed=fixed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("held", [True, False])
def test_bodies_that_name_their_values_alike_keep_their_lengths(held: bool) -> None:
    """As merged decoders do: onnx's propagation of data would take the first body's `s` for the other's."""
    bodies = (
        "{ k = Constant<value = int64[1] {%d}>() o = Gather<axis=0>(q, w) s = Concat<axis=0>(%s, l) "
        "r = Reshape(x, s) u = Relu(r) }"
    )
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 12] x, bool c) => (float[a, b, d] y) <int64[1] w = {{0}}, int64[1] l = {{-1}}> {{
        q = Shape(x)
        y = If(c) <
            then_branch = f () => (float[a, b, d] u) {bodies % (2, "k, o")},
            else_branch = h () => (float[a, b, d] u) {bodies % (3, "o, k")}
        >
    }}"""
    proto = onnx.parser.parse_model(text)
    assert not isinstance((load(proto).value("y").shape or (None,))[0], int)
    e = Explainer(proto, "gradient", fixed={"c": np.array(held)}, verify=True)(
        {"x": np.ones((6, 12), np.float32)}, target="y:0,0"
    )
    assert e.outputs["y"].shape == ((2, 6, 6) if held else (6, 3, 4))
