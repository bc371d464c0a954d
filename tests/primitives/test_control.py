"""Loops and branches: the Python form and the ONNX form of the same function, one file for every length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxdtd.errors import UnsupportedError
from onnxdtd.primitives import (
    Tracer,
    concat,
    cond,
    expand_like,
    greater,
    matmul,
    reduce_sum,
    relu,
    scan,
    slice_axes,
    unsqueeze,
)
from onnxdtd.walk.forward import run_session, start_session
from tests.support.model_text import normal
from tests.support.written import written

CPU = ["CPUExecutionProvider"]
LENGTHS = [0, 1, 2, 13]
Function = Callable[..., tuple[Any, ...]]


def traced(function: Function, **shapes: tuple[int | str, ...]) -> Callable[[dict[str, Any]], list[Any]]:
    """The function of inputs of these shapes, as a session."""
    tracer = Tracer(17)
    inputs = [tracer.value(name, np.float32, shape) for name, shape in shapes.items()]
    results = function(*inputs)
    outputs = [helper.make_value_info(y.name, y.type_proto) for y in results]
    infos = [helper.make_value_info(x.name, x.type_proto) for x in inputs]
    graph = helper.make_graph(written(tracer), "control", infos, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = start_session(model, tracer.constants, CPU)

    def run(feeds: dict[str, Any]) -> list[Any]:
        values = run_session(session, [y.name for y in results], feeds)
        return [values[y.name] for y in results]

    return run


def check(
    function: Function, feeds: Callable[[int], dict[str, Any]], **shapes: tuple[int | str, ...]
) -> None:
    """Both forms agree at every length."""
    run = traced(function, **shapes)
    for length in LENGTHS:
        inputs = feeds(length)
        expected = function(*inputs.values())
        for actual, y in zip(run(inputs), expected, strict=True):
            assert actual.shape == y.shape
            np.testing.assert_allclose(actual, y, rtol=1e-5, atol=1e-6)


def drawn(length: int) -> dict[str, Any]:
    rng = np.random.default_rng(length)
    shapes = {"x": (length, 2, 3), "h": (2, 4), "w": (3, 4)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


RECURRENT = {"x": ("T", "N", 3), "h": ("N", 4), "w": (3, 4)}
R, BIG = normal(4, 4), normal(32, 32)[:, ::-1]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrence_captures_its_weights(reverse: bool) -> None:
    """w is a value of the graph around, R a constant, and relu(w) is made around the loop."""

    def net(x: Any, h: Any, w: Any) -> tuple[Any, ...]:
        def step(states: Any, slices: Any) -> Any:
            (before,), (now,) = states, slices
            after = matmul(now, w) + matmul(now, relu(w)) + matmul(before, R) * np.float32(0.5)
            return (after,), (after, before)

        (last,), (all_, before) = scan(step, (h,), (x,), reverse=reverse)
        return last, all_, before

    check(net, drawn, **RECURRENT)


def test_order_by_hand() -> None:
    x = np.array([1, 2, 3], np.float32)

    def net(x: Any) -> tuple[Any, ...]:
        def step(states: Any, slices: Any) -> Any:
            total = states[0] * np.float32(10) + slices[0]
            return (total,), (total,)

        (ahead,), (rows,) = scan(step, (np.zeros((), np.float32),), (x,))
        (behind,), (back,) = scan(step, (np.zeros((), np.float32),), (x,), reverse=True)
        return ahead, rows, behind, back

    expected = [123, [1, 12, 123], 321, [321, 32, 3]]
    for actual in (net(x), traced(net, x=("T",))({"x": x}), traced(net, x=(3,))({"x": x})):
        for y, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(y, e)


def test_several_states_and_sequences() -> None:
    """A state that passes through, one that two outputs share, an output that is a constant or a slice."""

    def net(x: Any, h: Any, w: Any) -> tuple[Any, ...]:
        u = matmul(x, w)

        def step(states: Any, slices: Any) -> Any:
            (a, b, still), (now, other) = states, slices
            a, b = a * np.float32(0.5) + now, b + now * other
            return (a, b, still), (a, a, now, R[0], still)

        states, outputs = scan(step, (h, h * np.float32(2), h), (u, relu(u)))
        return (*states, *outputs)

    check(net, drawn, **RECURRENT)


def test_a_loop_without_states_and_one_without_outputs() -> None:
    def net(x: Any, h: Any, w: Any) -> tuple[Any, ...]:
        _, (doubled,) = scan(lambda _, s: ((), (s[0] * np.float32(2),)), (), (x,))
        (total,), _ = scan(lambda t, s: ((t[0] + matmul(s[0], w),), ()), (h,), (x,), reverse=True)
        return doubled, total

    check(net, drawn, **RECURRENT)


@pytest.mark.parametrize("inner", [0, 1, 4])
def test_a_loop_in_a_loop(inner: int) -> None:
    """The inner one goes over columns whose number is open too; it captures what the outer step makes."""

    def net(x: Any, w: Any) -> tuple[Any, ...]:
        def row(states: Any, slices: Any) -> Any:
            (total,), (columns,) = states, slices
            scaled = total * np.float32(0.5)

            def column(states: Any, slices: Any) -> Any:
                after = states[0] * np.float32(0.9) + matmul(slices[0], w) + scaled
                return (after,), (after,)

            (last,), (made,) = scan(column, (total,), (columns,), reverse=True)
            return (last,), (reduce_sum(made, axes=(0,), keepdims=False), last)

        states, outputs = scan(row, (np.zeros((2, 4), np.float32),), (x,))
        return (*states, *outputs)

    def feeds(length: int) -> dict[str, Any]:
        rng = np.random.default_rng(length)
        x = rng.standard_normal((length, inner, 2, 3)).astype(np.float32)
        return {"x": x, "w": normal(3, 4)}

    check(net, feeds, x=("T", "C", 2, 3), w=(3, 4))


def test_a_large_constant_is_stored_once() -> None:
    """Whatever the depth it is read at, and in whatever order it lies."""
    tracer = Tracer(17)
    x = tracer.value("x", np.float32, ("T", "N", 32))

    def step(states: Any, slices: Any) -> Any:
        (other,) = cond(greater(reduce_sum(slices[0], axes=(0, 1), keepdims=False), 0.0),
                        lambda v: (matmul(v, BIG),), lambda v: (v,), slices[0])  # fmt: skip
        return (), (matmul(slices[0], BIG) + other,)

    scan(step, (), (x,))
    assert sum(array.size == BIG.size for array in tracer.constants.values()) == 1
    assert [node.op_type for node in tracer.nodes].count(
        "Slice"
    ) == 2  # the length, and the mirrored constant


def branching(x: Any, h: Any, w: Any) -> tuple[Any, ...]:
    total = reduce_sum(matmul(x, w), axes=(0, 1, 2), keepdims=False)

    def inner(y: Any) -> tuple[Any, ...]:
        return cond(greater(total, 2.0), lambda v: (v + h, R), lambda v: (v * h, v), y)

    return cond(greater(total, 0.0), lambda y: inner(relu(y)), lambda y: (y, h), h)


def test_branches_in_branches() -> None:
    drawings = [{"x": np.full((1, 4, 3), s, np.float32), "h": normal(4, 4), "w": np.ones((3, 4), np.float32)}
                for s in (-1.0, 0.01, 1.0)]  # fmt: skip
    run = traced(branching, x=("T", "N", 3), h=("N", 4), w=(3, 4))
    results = [run(drawing) for drawing in drawings]
    for drawing, outputs in zip(drawings, results, strict=True):
        for y, e in zip(outputs, branching(*drawing.values()), strict=True):
            np.testing.assert_allclose(y, e, rtol=1e-6)
    np.testing.assert_array_equal(results[0][0], drawings[0]["h"])
    np.testing.assert_array_equal(results[2][1], R)


def test_only_the_branch_that_is_taken_is_computed() -> None:
    tracer = Tracer(17)
    x = tracer.value("x", np.float32, (4, 4))
    (y,) = cond(greater(slice_axes(x, starts=[0, 0], ends=[1, 1], axes=[0, 1], steps=[1, 1]), 0.0),
                lambda v: (matmul(v, v),), lambda v: (v,), x)  # fmt: skip
    assert "MatMul" not in [node.op_type for node in tracer.nodes]
    (branch,) = [node for node in written(tracer) if node.op_type == "If"]
    bodies = {a.name: [n.op_type for n in a.g.node] for a in branch.attribute}
    assert bodies == {"then_branch": ["MatMul"], "else_branch": ["Identity"]}
    assert y.shape == (4, 4)


def test_a_condition_at_hand_is_no_if() -> None:
    tracer = Tracer(17)
    x = tracer.value("x", np.float32, (4,))
    (y,) = cond(np.array(True), lambda v: (v + v,), lambda v: (v,), x)
    assert y.tracer is tracer
    assert [node.op_type for node in tracer.nodes] == ["Add"]


def test_branches_of_other_ranks_are_refused() -> None:
    tracer = Tracer(17)
    x = tracer.value("x", np.float32, (4,))
    with pytest.raises(UnsupportedError, match=r"rank 1 here and .* rank 2 there"):
        cond(greater(reduce_sum(x, axes=(0,)), 0.0), lambda v: (v,), lambda v: (unsqueeze(v, axes=(0,)),), x)


def test_names_differ_in_all_graphs() -> None:
    """onnx's checker refuses a model in which a body's name hides one of the graph around."""
    tracer = Tracer(17)
    x = tracer.value("x", np.float32, ("T", "C", 4))

    def row(_: Any, slices: Any) -> Any:
        _, (made,) = scan(lambda _, s: ((), (s[0] + slices[0],)), (), (slices[0],))
        return (), (concat(made, expand_like(made, made), axis=0),)

    _, (y,) = scan(row, (), (x,))
    info = [helper.make_value_info(v.name, v.type_proto) for v in (x, y)]
    constants = [onnx.numpy_helper.from_array(a, name) for name, a in tracer.constants.items()]
    graph = helper.make_graph(written(tracer), "names", info[:1], info[1:], constants)
    onnx.checker.check_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), True)
