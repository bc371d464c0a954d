"""Loading, canonising, planning and compiling take time linear in the nodes, whatever the pattern, without recursion.

Time itself is not measured here (`tools/bench` does): what is counted is how often Python calls a function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.explainer import Explainer
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.plan.cost import cost
from onnxdtd.plan.plan import Plan, make_plan
from onnxdtd.plan.target import Target
from onnxdtd.plan.uses import uses
from onnxdtd.walk.outcome import Asked
from onnxdtd.walk.run import NumpyWalker
from tests.support.model_text import model
from tools.bench.long_graphs import PATTERNS, Chain, long_graph

SHORT, LONG = 60, 240
PER_NODE = 1.25
"""How many times the calls of a node may grow between the two."""


def calls(function: Callable[[], Any]) -> tuple[int, Any]:
    """How many Python and C functions are called, and what the function returns."""
    number = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        result = function()
    finally:
        sys.setprofile(None)
    return number, result


def planned(graph: Graph) -> Plan:
    plan = make_plan(graph, "dtd", input_range=(0.0, 1.0))
    cost(plan)
    return plan


def calls_of_each_step(model: onnx.ModelProto) -> Any:
    """Per node, those of loading, canonising, planning and compiling."""
    load_calls, graph = calls(lambda: load(model))
    canonise_calls, graph = calls(lambda: canonise(graph))
    plan_calls, plan = calls(lambda: planned(graph))
    compile_calls, _ = calls(lambda: compile_plan(plan))
    return np.array([load_calls, canonise_calls, plan_calls, compile_calls]) / len(model.graph.node)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_step_is_linear_in_the_nodes(pattern: str) -> None:
    short, long = (calls_of_each_step(long_graph(pattern, length)) for length in (SHORT, LONG))
    assert (long <= PER_NODE * short).all(), (short, long)


def growing(steps: int) -> onnx.ModelProto:
    """A value that gets a column more at each step, made of all columns before it, as a cache of keys does."""
    c = Chain()
    for width in range(4, 4 + steps):
        c.h = c("Concat", c.h, c("Relu", c("MatMul", c.h, c.weights(width, 1))), axis=1)
    c.h = c("MatMul", c.h, c.weights(4 + steps, 4))
    return c.model("N", 4)


def test_what_is_concatenated_again_and_again_is_linear_too() -> None:
    short, long = (calls_of_each_step(growing(length // 3)) for length in (SHORT, LONG))
    assert (long <= PER_NODE * short).all(), (short, long)


def many_ends(moves: int) -> onnx.ModelProto:
    """A sigmoid that is moved again and again; each of the moves is an output."""
    lines = [f"h{k + 1} = Transpose <perm = [1, 0]> (h{k})" for k in range(moves)]
    ends = ", ".join(f"float[{'N, 4' if k % 2 else '4, N'}] h{k + 1}" for k in range(moves))
    return model(
        f"(float[N, 4] x) => ({ends}) {{ z = MatMul(x, w) h0 = Sigmoid(z) {' '.join(lines)} }}",
        w=np.eye(4, dtype=np.float32),
    )


def test_many_outputs_behind_one_another_are_linear_too() -> None:
    """Each is explained by a logit of its own, and what leads to them all is followed and repeated once."""
    by_length = []
    for length in (SHORT, LONG):
        number, graph = calls(lambda length=length: canonise(load(many_ends(length))))
        assert len(graph.targets) == length
        by_length.append(number / length)
        assert len(graph.nodes) <= 2 * length + 2
    assert by_length[1] <= PER_NODE * by_length[0], by_length


@pytest.mark.parametrize(("count", "data"), [(10, False), (200, True)])
def test_what_is_made_of_very_many_inputs_is_no_mask(count: int, data: bool) -> None:
    """So no value is noted with all the inputs that lie before it, which would be quadratic."""
    names = [f"x{k}" for k in range(count)]
    inputs = ", ".join(f"int64[N] {name}" for name in names)
    casts = " ".join(f"f_{name} = Cast <to = 1> ({name})" for name in names)
    together = ", ".join(f"f_{name}" for name in names)
    text = f"({inputs}, float[N] z) => (float[N] y) {{ {casts} s = Sum({together}) y = Mul(z, s) }}"
    follow = uses(canonise(load(model(text))))
    assert {follow[name].data for name in names} == {data}


def test_a_chain_of_five_thousand_nodes_is_planned() -> None:
    plan = make_plan(canonise(load(long_graph("relus", 5000))), "dtd")
    assert len(plan.steps) == 4999


@pytest.mark.parametrize(("pattern", "nodes"), [("stages", 120), ("forks", 72)])
def test_a_fork_at_each_of_many_stages_is_planned(pattern: str, nodes: int) -> None:
    e = Explainer(long_graph(pattern, nodes), "dtd", input_range=(0.0, 1.0))(np.ones((1, 4), np.float32))
    np.testing.assert_allclose(e.relevance["x"].sum(), e.target_value, rtol=1e-5)


def test_facts_hold_behind_a_fork() -> None:
    """Two ReLUs read h, and what reads them shares R = x c: nothing arrives where h is <= 0. Of one ReLU and one
    plain reader something does."""
    for reader, vanishes in (("Relu", True), ("Identity", False)):
        c = Chain()
        h = c("MatMul", "x", c.weights(4, 4))
        readers = [c("Relu", h), c(reader, h)]
        c.h = c("Add", *(c("MatMul", r, c.weights(4, 4)) for r in readers))
        plan = make_plan(canonise(load(c.model("N", 4))), "epsilon_plus")
        first = next(step for step in plan.steps if step.node.output == h)
        assert first.pruned.facts.vanishes_below_zero == vanishes


def test_a_sum_hides_what_is_below_zero_if_only_x_above_it_is_given_relevance() -> None:
    """relu(a + b): signed z+ gives b's relevance as b+ c, epsilon as b c. The terms that are left out so are zero."""
    c = Chain()
    h = c("Relu", c("MatMul", "x", c.weights(4, 4)))
    branch = c("MatMul", c("Relu", c("MatMul", h, c.weights(4, 4))), c.weights(4, 4))
    c.h = c("MatMul", c("Relu", c("Add", branch, h)), c.weights(4, 4))
    graph, x = canonise(load(c.model("N", 4))), np.random.default_rng(0).random((64, 4), np.float32)
    for method, vanishes in (("dtd", True), ("epsilon_plus", False)):
        plan = make_plan(graph, method, input_range=(0.0, 1.0))
        (step,) = (step for step in plan.steps if step.node.output == branch)
        assert step.pruned.facts.vanishes_below_zero == vanishes
        assert len(step.pruned.groups) == 1
        whole = replace(plan, steps=tuple(replace(step, pruned=step.rule) for step in plan.steps))
        made, right = (
            NumpyWalker(p, ["CPUExecutionProvider"])({"x": x}, [Asked(Target())])[0].relevance["x"]
            for p in (plan, whole)
        )
        np.testing.assert_allclose(made, right, rtol=1e-5, atol=1e-7)


def test_an_lstm_of_a_hundred_steps_is_checked(tmp_path: Path) -> None:
    onnx.save(long_graph("lstm", 2600), tmp_path / "long.onnx")
    assert onnxdtd.check(tmp_path / "long.onnx").ok
