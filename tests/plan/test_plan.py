"""Plans: what is pruned changes nothing, bounds reach the first layer, refusals say what mends them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.load import load
from onnxdtd.plan.plan import make_plan
from onnxdtd.plan.target import Target
from onnxdtd.walk.outcome import Asked
from onnxdtd.walk.run import NumpyWalker
from tests.support.paths import GOLDENS, MODELS

NETWORKS = [
    *GOLDENS.glob("*.onnx"),
    *(MODELS / f"{name}.onnx" for name in ("mnist_cnn", "mnist_resnet", "mnist_keras", "wine_mlp")),
]


def model_of(nodes: list, inputs: dict, constants: dict, outputs: tuple[str, ...] = ("y",), opset: int = 17):
    """A small model; inputs by name with their shapes."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in inputs.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
@pytest.mark.parametrize("method", sorted(onnxdtd.METHODS))
def test_pruning_changes_nothing(path: Path, method: str, rng: np.random.Generator) -> None:
    """Where each division has its stabiliser: what pruning leaves of a rule may be handed on without dividing."""
    plan = make_plan(canonise(load(path)), method, input_range=(0.0, 1.0))
    steps = [dataclasses.replace(s, rule=unchained(s.rule), pruned=unchained(s.pruned)) for s in plan.steps]
    whole = [dataclasses.replace(step, pruned=step.rule) for step in steps]
    (name,) = plan.inputs
    shape = [d if isinstance(d, int) else 2 for d in plan.graph.value(name).shape]
    feeds = {name: rng.random(shape).astype(np.float32)}
    lean, full = (
        NumpyWalker(p, ["CPUExecutionProvider"])(feeds, [Asked(Target())])[0].relevance[name]
        for p in (dataclasses.replace(plan, steps=tuple(some)) for some in (steps, whole))
    )
    np.testing.assert_allclose(lean, full, rtol=1e-5, atol=1e-5 * np.abs(full).max())


def unchained(rule: Any) -> Any:
    return dataclasses.replace(rule, chained=False) if rule.divides else rule


def test_signed_zplus_behind_relus_is_one_group_of_one_term() -> None:
    plan = make_plan(canonise(load(MODELS / "mnist_cnn.onnx")), "dtd", input_range=(0, 1))
    step = next(s for s in plan.steps if s.node.name == "/3/Conv")
    assert [len(group.terms) for group in step.pruned.groups] == [1]
    assert [len(group.terms) for group in step.rule.groups] == [2, 2]


def test_bounds_go_through_scaling_moving_and_padding() -> None:
    """(x / 255 - mean) / std on NHWC pixels, moved to NCHW and padded: the box is per channel, zero at the border."""
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["a"]),
        helper.make_node("Sub", ["a", "mean"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 3, 1, 2]),
        helper.make_node("Pad", ["c", "pads"], ["d"]),
        helper.make_node("Conv", ["d", "w"], ["y"], name="conv"),
    ]
    constants = {
        "scale": np.array([1, -1, 2], np.float32) / 255,
        "mean": np.array([0.5, 0.0, 1.0], np.float32),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "w": np.ones((2, 3, 3, 3), np.float32),
    }
    graph = load(model_of(nodes, {"x": ["N", 4, 4, 3]}, constants))  # as read: a Conv would take the border
    (step,) = [s for s in make_plan(graph, "dtd", input_range=(0, 255)).steps if s.place.first]
    low, high = step.place.box.low, step.place.box.high
    assert low.shape == (1, 3, 6, 6)
    np.testing.assert_allclose(low[0, :, 2, 2], [-0.5, -1.0, -1.0])
    np.testing.assert_allclose(high[0, :, 2, 2], [0.5, 0.0, 1.0])
    assert not low[0, :, 0].any()
    assert not high[0, :, :, -1].any()


@pytest.mark.parametrize(
    ("input_range", "rule"),
    [((0, 1), "zbox(low=0, high=1, epsilon=0)"), ((0, np.inf), "zplus(epsilon=0, bias=redistribute)"),
     ((-1, np.inf), "zplus_shifted(low=-1, epsilon=0)"), ((-np.inf, 2), "zminus_shifted(high=2, epsilon=0)"),
     (None, "wsquare(epsilon=0, bias=redistribute)")],
)  # fmt: skip
def test_the_first_rule_follows_the_domain(input_range: tuple | None, rule: str) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="dense")]
    graph = load(model_of(nodes, {"x": ["N", 3]}, {"w": np.ones((3, 2), np.float32)}))
    assert make_plan(graph, "dtd", input_range=input_range).rules["dense"] == rule


def test_every_missing_operator_is_named_with_what_mends_it() -> None:
    nodes = [
        helper.make_node("Mix", ["x", "w"], ["a"], name="mix", domain="com.example"),
        helper.make_node("BatchNormalization", ["a", "w", "w", "w", "x"], ["b"], name="strange"),
        helper.make_node("Sub", ["a", "b"], ["c"], name="difference"),
        helper.make_node("MatMul", ["c", "w"], ["y"], name="dense"),
    ]
    model = model_of(nodes, {"x": ["N", 3]}, {"w": np.eye(3, dtype=np.float32)})
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3]))
    with pytest.raises(UnsupportedError) as error:
        onnxdtd.Explainer(model).plan()
    first, second = error.value.faults
    assert first.startswith(
        "'mix' Mix (com.example opset 1, ('N', 3), (3, 3) -> ?): no entry for this operator"
    )
    assert 'use = "stop"' in first
    assert second.startswith("'strange' BatchNormalization")
    assert "'x' is a weight or setting here and an input elsewhere" in second
    rules = [{"name": "strange", "use": "stop"}, {"op": "Mix", "use": "stop"}]
    with pytest.raises(TargetError, match="nothing to explain"):
        onnxdtd.Explainer(model, rules=rules).plan()


def test_stop_takes_a_gate_as_a_constant(rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Softmax", ["x"], ["g"], name="gate"),
        helper.make_node("Mul", ["x", "g"], ["c"], name="product"),
        helper.make_node("MatMul", ["c", "w"], ["y"], name="dense"),
    ]
    w = rng.standard_normal((3, 2)).astype(np.float32)
    model = model_of(nodes, {"x": ["N", 3]}, {"w": w})
    x = rng.standard_normal((2, 3)).astype(np.float32)
    e = onnxdtd.explain(model, x, 1, "gradient", rules=[{"op": "Softmax", "use": "stop"}])
    gate = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    np.testing.assert_allclose(e.relevance["x"], gate * w[:, 1], rtol=1e-5)


def test_weights_computed_from_the_input_are_refused() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["v"]),
        helper.make_node("BatchNormalization", ["x", "one", "one", "one", "v"], ["y"], name="strange"),
    ]
    one = np.ones(1, np.float32)
    with pytest.raises(UnsupportedError, match="input 4 depends on the model's input"):
        onnxdtd.Explainer(model_of(nodes, {"x": [1]}, {"one": one})).plan()


def test_an_input_that_is_a_weight_is_held_fixed_and_said_so() -> None:
    nodes = [helper.make_node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y"], name="norm")]
    plan = onnxdtd.Explainer(model_of(nodes, {"x": ["N", 2], "s": [2]}, {}), "gradient").plan()
    assert plan.inputs == ("x",)
    assert plan.warnings == (
        "input 's' is a weight or setting of 'norm' BatchNormalization and is held fixed: it is given no relevance",
    )


def test_a_value_used_twice_by_one_node_gets_both_shares(rng: np.random.Generator) -> None:
    nodes = [helper.make_node("Add", ["x", "x"], ["y"], name="twice")]
    x = rng.standard_normal((2, 3)).astype(np.float32)
    e = onnxdtd.explain(model_of(nodes, {"x": ["N", 3]}, {}), x, 0, "gradient")
    np.testing.assert_array_equal(e.relevance["x"], [[2, 0, 0], [2, 0, 0]])


def test_two_inputs_two_outputs(rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("MatMul", ["a", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["y"]),
        helper.make_node("Relu", ["b"], ["z"]),
    ]
    w = rng.standard_normal((3, 2)).astype(np.float32)
    model = model_of(nodes, {"a": ["N", 3], "b": ["N", 2]}, {"w": w}, ("y", "z"))
    feeds = {"a": np.ones((1, 3), np.float32), "b": np.array([[2.0, 3.0]], np.float32)}
    explainer = onnxdtd.Explainer(model, "epsilon_plus")
    both, one = explainer(feeds, "y:1"), explainer(feeds, "z:0")
    total = sum(r.sum() for r in both.relevance.values())
    np.testing.assert_allclose(total, both.target_value[0], rtol=1e-4)
    assert set(one.relevance) == {"b"}
    np.testing.assert_allclose(one.relevance["b"], [[2.0, 0.0]])


def test_float16_models_are_explained_in_float32(rng: np.random.Generator) -> None:
    w = rng.standard_normal((3, 2)).astype(np.float16)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="dense")],
        "half",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["N", 2])],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = rng.standard_normal((2, 3)).astype(np.float16)
    e = onnxdtd.explain(model, x, 0, "gradient")
    np.testing.assert_allclose(e.relevance["x"], np.stack([w[:, 0]] * 2), rtol=1e-3)
