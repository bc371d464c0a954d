"""Which method `auto` takes, by kind of network, and what its methods give by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import onnxdtd
from onnxdtd import Explainer
from onnxdtd.audit import run_audit
from onnxdtd.errors import InputError, UsageError

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g '
CONV = np.float32([[[[1, -1], [2, 0]]]])  # (1, 1, 2, 2)


def model(body: str, constants: Mapping[str, Any] | None = None) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(HEAD + body)
    for name, array in (constants or {}).items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return proto


def dense(*steps: str, **constants: Any) -> onnx.ModelProto:
    return model("(float[N, 2] x) => (float[N, K] y) {" + "\n".join(steps) + "}", constants)


IMAGE = "(float[N, 1, 2, 2] x) => (float[N, 2] y) {"
CONVOLVES = model(
    IMAGE + "a = Conv(x, k) b = Relu(a) c = Flatten(b) y = MatMul(c, w)}",
    {"k": CONV, "w": np.float32([[3, -3]])},
)
MLP = dense("a = MatMul(x, v)", "b = Relu(a)", "y = MatMul(b, w)", v=np.float32([[1, 2], [1, -1]]),
            w=np.float32([[1, 0], [0, 1]]))  # fmt: skip


def test_convolutions_take_gamma_whatever_the_range_and_the_depth() -> None:
    for limits in (None, (0, 1), (0, np.inf)):
        plan = Explainer(CONVOLVES, input_range=limits).plan()
        assert (plan.method, plan.passes) == ("epsilon_gamma", "")
        assert "convolutions" in plan.reason
        assert [str(s.rule) for s in plan.steps if s.op.kind == "linear"] == ["gamma(gamma=1)", "epsilon"]


def test_gamma_by_hand() -> None:
    """x = (1, 1, 1, 0): z = 1 - 1 + 2 = 2; with gamma 1 shares are 2, -1 and 4 of 5, of a logit of 6."""
    x = np.float32([[[[1, 1], [1, 0]]]])
    e = Explainer(CONVOLVES)(x, 0)
    np.testing.assert_allclose(e.relevance["x"].ravel(), np.array([2, -1, 4, 0]) * 6 / 5, rtol=1e-5)
    against = Explainer(CONVOLVES)(x, 1)
    np.testing.assert_allclose(against.relevance["x"], -e.relevance["x"], rtol=1e-5)


def test_attention_beside_convolutions_takes_gamma_on_the_convolutions() -> None:
    body = "a = Conv(x, k) b = Reshape(a, s) t = Transpose<perm = [0, 2, 1]>(b) p = MatMul(b, t)"
    body += " q = Softmax(p) v = MatMul(q, b) f = Flatten(v) y = MatMul(f, w)}"
    shape, kernel = np.int64([0, 1, -1]), np.float32(np.ones((2, 1, 2, 2)))
    plan = Explainer(model(IMAGE + body, {"k": kernel, "s": shape, "w": np.float32(np.ones((2, 2)))})).plan()
    assert plan.method == "epsilon_gamma"
    rules = {s.node.op: str(s.rule) for s in plan.steps}
    assert rules["Conv"] == "gamma(gamma=1)"
    assert rules["Softmax"] == "epsilon"


def test_dense_layers_take_epsilon_and_look_at_the_input() -> None:
    plan = Explainer(MLP).plan()
    assert plan.method == "attnlrp"
    assert "dense layers without convolutions" in plan.reason
    one, other = (Explainer(MLP)(np.float32([x]), 0).relevance["x"] for x in ((1, 2), (2, 1)))
    np.testing.assert_allclose(one, [[1, 2]], rtol=1e-5)
    np.testing.assert_allclose(other, [[2, 1]], rtol=1e-5)


@pytest.mark.parametrize("value", [3.0, 1e-6, -2.0])
def test_a_linear_model_is_explained_exactly(value: float) -> None:
    """y = 2 x_0 - x_1 + b behind a scaler: w_i (x_i - mean_i) / sd_i, whatever y is, even nearly zero."""
    source = dense(
        "s = Sub(x, mean)", "t = Div(s, sd)", "m = MatMul(t, w)", "y = Add(m, b)",
        mean=np.float32([1, 3]), sd=np.float32([2, 0.5]), w=np.float32([[2], [-1]]),
        b=np.float32([value - (2 * 1.5 + 1 * 4)]),
    )  # fmt: skip
    e = Explainer(source)(np.float32([[4, 1]]), 0)
    assert e.method == "natural"
    assert "single inputs" in e.reason
    np.testing.assert_allclose(e.relevance["x"], [[2 * 1.5, 1 * 4]], rtol=1e-5)
    assert e.extras["constant"] == [pytest.approx(value - 7, abs=1e-5)]


def test_a_naive_sum_is_explained_by_its_summands() -> None:
    source = dense("a = Abs(x)", "b = Sqrt(a)", "y = MatMul(b, w)", w=np.float32([[3], [-5]]))
    e = Explainer(source)(np.float32([[-4, 9]]), 0)
    assert e.method == "natural"
    np.testing.assert_allclose(e.relevance["x"], [[6, -15]], rtol=1e-5)


def test_columns_with_a_network_each_are_a_sum() -> None:
    source = model(
        "(float[N, 1] u, float[N, 1] v) => (float[N, 1] y) "
        "{a = MatMul(u, w) b = Relu(a) c = MatMul(b, o) d = Tanh(c) e = Exp(v) y = Add(d, e)}",
        {"w": np.float32([[1, -2]]), "o": np.float32([[1], [1]])},
    )
    e = Explainer(source)({"u": np.float32([[0.5]]), "v": np.float32([[0.0]])}, 0)
    assert e.method == "natural"
    np.testing.assert_allclose([e.relevance["u"][0, 0], e.relevance["v"][0, 0]], [np.tanh(0.5), 1], rtol=1e-5)


def test_rules_of_the_user_hold_for_a_walk() -> None:
    source = dense("y = MatMul(x, w)", w=np.float32([[2], [-1]]))
    e = Explainer(source, rules=[{"op": "MatMul", "use": "flat"}])(np.float32([[1, 1]]), 0)
    assert e.method == "attnlrp"
    np.testing.assert_allclose(e.relevance["x"], [[0.5, 0.5]], rtol=1e-5)


def test_what_is_chosen_compiles() -> None:
    """A sum of single inputs is compiled by epsilon, which for linear models is the same."""
    source = dense("y = MatMul(x, w)", w=np.float32([[2], [-1]]))
    plan = Explainer(source).plan()
    assert (plan.by, plan.passes, plan.method) == ("natural", "natural", "attnlrp")


@pytest.mark.parametrize("method", ["composite", "epsilon_gamma", "attnlrp", "epsilon_plus"])
@pytest.mark.parametrize("source", [CONVOLVES, MLP], ids=["convolution", "dense"])
def test_an_unknown_range_leaves_the_first_layer_the_rule_of_its_kind(method: str, source: Any) -> None:
    first = next(s for s in Explainer(source, method).plan().steps if s.place.first)
    assert "wsquare" not in str(first.rule)
    assert "wsquare" in str(next(s for s in Explainer(source, "dtd").plan().steps if s.place.first).rule)


def test_the_rule_at_the_input_redistributes_unless_told_otherwise() -> None:
    def first(method: str, limits: Any, **bias: Any) -> str:
        plan = Explainer(CONVOLVES, method, input_range=limits, **bias).plan()
        return str(next(s.rule for s in plan.steps if s.place.first))

    assert first("composite", (0, np.inf)) == "zplus(epsilon=0, bias=redistribute)"
    assert first("composite", (0, np.inf), bias="absorb") == "zplus(epsilon=0)"
    assert first("dtd", None) == "wsquare(epsilon=0, bias=redistribute)"
    assert first("dtd", None, bias="absorb") == "wsquare(epsilon=0)"


def test_dtd_head_takes_epsilon_on_every_dense_op_before_the_output() -> None:
    plan = Explainer(CONVOLVES, "dtd_head", input_range=(0, 1)).plan()
    rules = [str(s.rule) for s in plan.steps if s.op.kind == "linear"]
    assert rules == ["zbox(low=0, high=1, epsilon=0)", "epsilon"]
    assert [str(s.rule) for s in Explainer(MLP, "dtd_head").plan().steps if s.op.kind == "linear"] == [
        "epsilon", "epsilon",
    ]  # fmt: skip


def test_dtd_head_without_a_dense_op_takes_epsilon_on_the_last_layer() -> None:
    source = model(
        "(float[N, 1, 3, 3] x) => (float[N, 1, 1, 1] y) {a = Conv(x, k) b = Relu(a) y = Conv(b, k)}",
        {"k": CONV},
    )
    plan = Explainer(source, "dtd_head").plan()
    assert [str(s.rule) for s in plan.steps if s.op.kind == "linear"][-1] == "epsilon"
    assert "wsquare" in str(plan.steps[0].rule)


def test_dtd_head_starts_with_the_sign_and_waives_what_it_does_not_claim() -> None:
    """A logit of -6: dtd shows nothing, dtd_head shows what speaks against it."""
    x = np.float32([[[[1, 1], [1, 0]]]])
    explainer = Explainer(CONVOLVES, "dtd_head", input_range=(0, 1))
    e = explainer(x, 1)
    assert float(e.seed[0]) == -6
    assert e.relevance["x"].sum() == pytest.approx(-6, rel=1e-5)
    report = run_audit(explainer, e, ["positivity", "roots"])
    assert {f.name for f in report.findings} == {"positivity", "roots_domain", "roots_region"}
    assert all(f.value is None and "does not claim" in f.sentence for f in report.findings)


def test_the_audit_of_a_sum_needs_a_walk() -> None:
    source = dense("y = MatMul(x, w)", w=np.float32([[2], [-1]]))
    explainer = Explainer(source)
    e = explainer(np.float32([[1, 1]]), 0)
    with pytest.raises(UsageError, match="natural"):
        run_audit(explainer, e)
    assert run_audit(explainer, explainer.one_pass(np.float32([[1, 1]]), 0), quick=True).findings


def test_the_methods_say_who_is_blind_to_the_class() -> None:
    for name in ("dtd", "excitation_backprop"):
        assert "blind to the class" in onnxdtd.METHODS[name].doc


TEXT = """(int64[N, 4] ids) => (float[N, 2] y) {
    e = Gather(table, ids) t = Transpose<perm = [0, 2, 1]>(e)
    a = Conv(t, k) b = Relu(a) c = Flatten(b) y = MatMul(c, w)
}"""


@pytest.mark.parametrize("given", ["integers", "floats"])
def test_convolutions_of_tokens_take_epsilon(given: str) -> None:
    """Also where floats are cast and looked up, as Keras writes it: relevance is the same."""
    rng = np.random.default_rng(0)
    arrays = {"table": rng.normal(size=(5, 3)), "k": rng.normal(size=(2, 3, 2)), "w": rng.normal(size=(6, 2))}
    constants = {name: array.astype(np.float32) for name, array in arrays.items()}
    ids = np.array([[4, 0, 2, 2]])
    expected = Explainer(model(TEXT, constants))(ids, 0)
    text = TEXT
    if given == "floats":
        text = TEXT.replace("(int64[N, 4] ids)", "(float[N, 4] x)").replace("{", "{ ids = Cast<to = 7>(x)")
    explainer = Explainer(model(text, constants))
    (name,) = explainer.inputs
    for engine in ("numpy", "onnx"):
        e = explainer.by(engine=engine)(ids.astype(np.float32) if given == "floats" else ids, 0)
        assert (e.method, list(e.texts)) == ("attnlrp", [name])
        assert "tokens" in e.reason
        np.testing.assert_allclose(e.relevance[name], expected.relevance["ids"], rtol=1e-5, atol=1e-6)
    if given == "floats":
        with pytest.raises(InputError, match="1 value that int64 cannot hold"):
            explainer(np.float32([[0.5, 1, 2, 3]]), 0)
        assert Explainer(model(text, constants), "gradient_x_input")(ids, 0).relevance["x"] == pytest.approx(
            Explainer(model(TEXT, constants), "gradient_x_input")(ids, 0).relevance["ids"], rel=1e-5
        )
