from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import onnx
import pytest

from onnxdtd.errors import ModelError
from onnxdtd.model.graph import Graph, Node, needs, sort_nodes
from tests.support.model_text import graph, model, run

DIAMOND = """(float[N, 3] x) => (float[N, 3] y) {
    a = Relu(x)  b = Neg(a)  c = Exp(a)  y = Add(b, c)
}"""
BRANCHES = """(float[3] x, bool c) => (float[3] y) {
    a = Relu(x)
    b = Neg(x)
    y = If (c) <
        then_branch = g1 () => (float[3] t) { t = Add(a, w) },
        else_branch = g2 () => (float[3] e) { e = Exp(b) }
    >
}"""


def test_network_has_an_edge_per_use():
    net = graph("(float[3] x) => (float[3] y) { h = Relu(x) y = Mul(h, h) }")
    relu, mul = net.nodes
    assert set(net.network.get_edge_data(relu.name, mul.name)) == {("h", 0), ("h", 1)}
    assert net.network.number_of_edges() == 3
    assert net.network.nodes["input:x"]["value"] == "x"
    assert net.network.nodes[mul.name]["node"] is mul
    assert net.consumers["h"] == (mul,)


def test_producers_consumers_and_names():
    net = graph(DIAMOND)
    assert net.producers["b"].op == "Neg"
    assert [node.op for node in net.consumers["a"]] == ["Neg", "Exp"]
    assert net.by_name[net.nodes[0].name] is net.nodes[0]
    assert str(net.nodes[0]) == "'Relu_0' Relu"


def test_order_is_topological_and_keeps_the_order_given():
    net = graph(DIAMOND)
    assert [node.op for node in net.nodes] == ["Relu", "Neg", "Exp", "Add"]
    turned = net.replace(nodes=tuple(reversed(net.nodes)))
    assert [node.op for node in turned.nodes] == ["Relu", "Exp", "Neg", "Add"]
    assert all(graph(DIAMOND).nodes == net.nodes for _ in range(3))


def test_dead_branches_and_their_constants_are_dropped():
    net = graph(
        "(float[3] x) => (float[3] y) { y = Relu(x) d = Add(x, w) e = Exp(d) }", w=np.ones(3, np.float32)
    )
    assert [node.op for node in net.nodes] == ["Relu"]
    assert not net.constants


def test_captures_of_subgraphs_keep_their_producers():
    net = graph(BRANCHES, w=np.ones(3, np.float32))
    assert [node.op for node in net.nodes] == ["Relu", "Neg", "If"]
    branch = net.nodes[-1]
    assert set(needs(branch)) == {"c", "a", "b", "w"}
    assert net.network.number_of_edges(net.producers["a"].name, branch.name) == 1
    assert set(net.constants) == {"w"}
    x = np.array([-1, 0, 2], np.float32)
    for flag, expected in ((True, np.maximum(x, 0) + 1), (False, np.exp(-x))):
        np.testing.assert_allclose(run(net, {"x": x, "c": np.array(flag)})[0], expected, rtol=1e-6)


def test_a_subgraph_that_hands_on_an_outer_value_needs_it():
    inner = onnx.parser.parse_graph("g () => (float[3] outer) { }")
    assert needs(Node("n", "If", ("c",), ("y",), {"then_branch": inner})) == ("c", "outer")


def test_targets_and_their_makers_stay():
    net = graph("(float[3] x) => (float[3] y) { a = Relu(x) y = Neg(x) }")
    kept = graph("(float[3] x) => (float[3] y, float[3] a) { a = Relu(x) y = Neg(x) }")
    kept = kept.replace(outputs=("y",), targets={"y": "a"})
    assert [node.op for node in net.nodes] == ["Neg"]
    assert [node.op for node in kept.nodes] == ["Relu", "Neg"]
    assert (kept.target("y"), net.target("y")) == ("a", "y")


def test_a_cycle_is_refused():
    net = graph("(float[3] x) => (float[3] y) { a = Relu(x) y = Neg(a) }")
    relu, neg = net.nodes
    with pytest.raises(ModelError, match="cycle"):
        net.replace(nodes=(dataclasses.replace(relu, inputs=("y",)), neg))
    with pytest.raises(ModelError, match="one name"):
        sort_nodes([relu, dataclasses.replace(neg, name=relu.name)], ["y"])


def test_pickle_round_trip():
    net = graph(BRANCHES, w=np.ones(3, np.float32)).noting("a note")
    assert net.network.number_of_nodes() == 5
    again = pickle.loads(pickle.dumps(net))
    for field in dataclasses.fields(Graph):
        if field.name != "constants":
            assert getattr(again, field.name) == getattr(net, field.name)
    np.testing.assert_array_equal(again.constants["w"], net.constants["w"])
    assert again.notes == ("a note",)


def test_graphs_are_equal_only_to_themselves():
    one, two = graph(DIAMOND), graph(DIAMOND)
    assert one == one
    assert one != two
    assert len({one, two, one}) == 2


@pytest.mark.parametrize("opset", [7, 13, 22])
def test_to_proto_is_the_model_again(opset):
    text = "(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) y = LeakyRelu<alpha = 0.3>(h) }"
    w = np.arange(6, dtype=np.float32).reshape(3, 2)
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    proto, net = model(text, opset, w=w), graph(text, opset, w=w)
    onnx.checker.check_model(net.to_proto(), full_check=True)
    np.testing.assert_array_equal(run(net, {"x": x})[0], run(proto, {"x": x})[0])
    np.testing.assert_allclose(run(net.to_proto(outputs=["h"]), {"x": x})[0], x @ w, rtol=1e-6)


def test_attributes_survive():
    text = """(float[1, 1, 5, 5] x) => (float[1, 1, n, m] y) {
        y = AveragePool<auto_pad = "SAME_UPPER", kernel_shape = [3, 3], strides = [2, 2]>(x)
    }"""
    net = graph(text)
    assert net.nodes[0].attributes == {"auto_pad": "SAME_UPPER", "kernel_shape": [3, 3], "strides": [2, 2]}
    written, read = net.nodes[0].to_proto(net.opsets), model(text).graph.node[0]
    assert {a.name: a for a in written.attribute} == {a.name: a for a in read.attribute}


def test_attributes_that_are_not_text_survive():
    raw = onnx.helper.make_node("Op", ["x"], ["y"], domain="custom", key=b"\xff\x00")
    assert Node.from_proto(raw, "n").to_proto({"custom": 1}).attribute[0].s == b"\xff\x00"
