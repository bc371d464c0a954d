"""`onnxdtd check`: whether a model can be explained and what it would cost, from the file alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.domains.propagation import domains
from onnxdtd.plan import ground
from onnxdtd.plan.carry import carry
from tests.support.command_line import Cli
from tests.support.model_text import model
from tests.support.paths import MODELS


def model_of(
    *nodes: onnx.NodeProto, outputs: tuple[str, ...] = ("y",), **constants: np.ndarray
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


W = np.ones((4, 3), np.float32)
BRANCH = helper.make_graph(
    [helper.make_node("Bernoulli", ["d"], ["z"], name="drawn")],
    "b",
    [],
    [helper.make_tensor_value_info("z", 1, None)],
)
DENSE = helper.make_node("MatMul", ["x", "w"], ["d"], name="dense")
ROUND = helper.make_node("Round", ["d"], ["y"], name="round")
CHOICE = [
    helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
    helper.make_node("Greater", ["s", "zero"], ["c"]),
    helper.make_node("If", ["c"], ["i"], name="choice", then_branch=BRANCH, else_branch=BRANCH),
    helper.make_node("Relu", ["i"], ["y"]),
]


def test_what_a_dense_layer_costs() -> None:
    survey = onnxdtd.check(model_of(DENSE, helper.make_node("Relu", ["d"], ["y"]), w=W), "epsilon_plus")
    assert survey.ok
    assert survey.verdicts == {"linear": {"MatMul": 1}, "elementwise": {"Relu": 1}}
    # One row of 3 x 4 products forward; epsilon has z from there and needs the adjoint only.
    assert survey.cost is not None
    assert (survey.cost.forward, survey.cost.walk) == (12, 12)
    assert survey.cost.memory == 4 * (12 + 4 + 3 + 3)
    assert survey.cost.exact


def test_zplus_on_a_signed_input_costs_two_products_and_two_adjoints_more() -> None:
    survey = onnxdtd.check(
        model_of(DENSE, helper.make_node("Relu", ["d"], ["y"]), w=W), "excitation_backprop"
    )
    assert survey.cost is not None
    assert survey.cost.walk == 4 * 12
    assert survey.cost.memory == 4 * (3 * 12 + 4 + 3 + 3)


def test_a_value_whose_type_is_not_known_costs_what_a_float_does() -> None:
    """The rows of w are no columns of x, so nothing is known of d; it and y count as one number."""
    unfit = helper.make_node("MatMul", ["x", "unfit"], ["d"], name="dense")
    survey = onnxdtd.check(
        model_of(unfit, helper.make_node("Relu", ["d"], ["y"]), unfit=np.ones((13, 3), np.float32)),
        "gradient",
    )
    assert survey.cost is not None
    assert (survey.cost.activations, survey.cost.exact) == (4 * (4 + 1 + 1), False)


def test_an_output_that_ends_at_a_barrier_says_which() -> None:
    survey = onnxdtd.check(model_of(DENSE, ROUND, w=W))
    assert not survey.ok
    assert survey.faults == ("'round' Round: piecewise constant: its derivative is zero wherever it exists",)


def test_the_first_output_that_can_be_explained_is_taken() -> None:
    nodes = [DENSE, ROUND, helper.make_node("Neg", ["d"], ["n"])]
    survey = onnxdtd.check(model_of(*nodes, outputs=("y", "n"), w=W))
    assert survey.output == "n"
    assert "Round" in survey.others["y"]
    assert not onnxdtd.check(model_of(*nodes, outputs=("y", "n"), w=W), output="y").ok
    with pytest.raises(onnxdtd.TargetError, match="no output 'z'"):
        onnxdtd.check(model_of(*nodes, outputs=("y", "n"), w=W), output="z")


def test_the_command_says_ok(cli: Cli) -> None:
    code, out, err = cli("check", MODELS / "mnist_cnn.onnx", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["ok"]
    assert facts["output"] == "logits"
    assert facts["nodes"]["linear"] == {"Conv": 3, "Gemm": 2}
    code, out, _ = cli("check", MODELS / "mnist_cnn.onnx")
    assert code == 0
    assert "can be explained" in out
    assert "multiplications" in out


@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_the_command_refuses_with_exit_code_4_and_the_whole_report(
    cli: Cli, tmp_path: Path, json_: tuple
) -> None:
    onnx.save(model_of(DENSE, *CHOICE, w=W, zero=np.zeros((), np.float32)), tmp_path / "m.onnx")
    code, out, err = cli("check", tmp_path / "m.onnx", *json_)
    assert code == 4
    assert "'choice' If" in err
    assert "in a branch of 'choice' If: 'drawn' Bernoulli" in err
    if json_:
        facts = json.loads(out)
        assert not facts["ok"]
        assert facts["cost"] is None
        assert "'drawn' Bernoulli" in facts["faults"][0]
    else:
        assert "cannot be explained" in out


def test_the_graph_is_followed_once_however_many_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan for each of 40 outputs, one of them not served; what they have in common is worked out once."""
    followed = []
    monkeypatch.setattr(ground, "carry", lambda *a: followed.append(1) or carry(*a))
    monkeypatch.setattr(ground, "domains", lambda *a: followed.append(2) or domains(*a))
    names = [f"y{i}" for i in range(40)]
    lines = [f"{name} = Relu (x)" for name in names[1:]]
    outputs = ", ".join(f"float[N, 3] {name}" for name in names)
    checked = onnxdtd.check(model(f"(float[N, 3] x) => ({outputs}) {{ y0 = Round (x) {' '.join(lines)} }}"))
    assert (checked.output, sorted(checked.others)) == ("y1", sorted({*names} - {"y1"}))
    assert [name for name, fault in checked.others.items() if fault] == ["y0"]
    assert followed == [1, 2]
