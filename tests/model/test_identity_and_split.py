from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.model.canonise.identity import identity
from onnxdtd.model.canonise.split import split
from onnxdtd.model.load import load
from tests.support.model_text import OPSETS, changed, graph, model, normal, ops, unchanged


@pytest.mark.parametrize("opset", OPSETS)
def test_no_ops_are_dropped(opset):
    pad = "Pad<pads = [0, 0, 0, 0]>(d)" if opset < 11 else "Pad(d, zeros)"
    net = graph(
        f"""(float[N, 3] x) => (float[N, 3] y) {{
            a = Identity(x)
            b = Relu(a)
            c = Dropout(b)
            d = Cast<to = 1>(c)
            e = {pad}
            f = Transpose<perm = [0, 1]>(e)
            g = Concat<axis = 0>(f)
            h = Sum(g)
            i = Reshape(h, shape)
            j = Flatten<axis = 1>(i)
            y = Neg(j)
        }}""",
        opset,
        zeros=np.zeros(4, np.int64),
        shape=np.array([-1, 3]),
    )
    after = changed(net, identity)
    assert ops(after) == ["Relu", "Neg"]
    assert after.nodes[0].inputs == ("x",)
    assert after.notes == ("no-ops dropped: 9 nodes",)


@pytest.mark.parametrize("opset", [12, 13, 17, 22])
@pytest.mark.parametrize(("training", "count"), [("", 1), (", no", 1), (", yes", 2)])
def test_dropout_since_opset_12(opset, training, count):
    text = f"(float[3] x) => (float[3] y) {{ a = Dropout(x, r{training}) y = Neg(a) }}"
    net = graph(text, opset, r=np.float32(0.5), no=np.array(False), yes=np.array(True))
    assert len(identity(net).nodes) == count


KEPT = {
    "float[3]": [
        "b, m = Dropout(a)  n = Not(m)",
        "b = Dropout(a, r, t)",
        "b = Cast<to = 11>(a)",
        "b = Pad(a, p)",
    ],
    "float[3, 3]": ["b = Transpose<perm = [1, 0]>(a)", "b = Transpose(a)"],
    "float[2, 3]": ["b = Reshape(a, s)", "b = Flatten<axis = 0>(a)", "b = Reshape<allowzero = 1>(a, zeros)"],
    "float[N, M]": ["b = Reshape(a, s)", "b = Reshape(a, open)"],
    "float[3, 0]": ["b = Reshape(a, rest)"],
}


@pytest.mark.parametrize(("kind", "body"), [(kind, body) for kind in KEPT for body in KEPT[kind]])
def test_what_moves_something_stays(kind, body):
    arrays = {"r": np.float32(0.5), "s": np.array([3, 2]), "rest": np.array([-1, 3]), "p": np.array([0, 1])}
    arrays |= {"zeros": np.array([0, 0]), "open": np.array([-1, 3])}
    outputs = "float[A] y, bool[B] n" if "Not" in body else "float[A] y"
    unchanged(
        graph(f"({kind} x, bool t) => ({outputs}) {{ a = Relu(x) {body} y = Neg(b) }}", **arrays), identity
    )


def test_an_output_keeps_its_name():
    text = "(float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Identity(a) z = Neg(a) }"
    after = changed(graph(text), identity)
    assert [(node.op, node.output) for node in after.nodes] == [("Relu", "y"), ("Neg", "z")]


@pytest.mark.parametrize(
    "text",
    [
        "(float[3] x) => (float[3] y) { y = Identity(x) }",
        "(float[3] x) => (float[3] y, float[3] z) { y = Relu(x) z = Identity(y) }",
        "(float[3] x) => (float[3] y, float[3] z) { y = Relu(x) z = Identity(w) }",
    ],
)
def test_an_output_that_copies_another_value_stays(text):
    unchanged(graph(text, w=normal(3)), identity)


def test_a_copied_output_among_others():
    text = "(float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Identity(a) z = Identity(a) }"
    after = changed(graph(text), identity)
    assert ops(after) == ["Relu", "Identity"]


def test_a_value_that_a_subgraph_reads_keeps_its_name():
    text = """(float[3] x, bool c) => (float[3] y) {
        a = Relu(x)
        b = Identity(a)
        y = If (c) <
            then_branch = g1 () => (float[3] t) { t = Neg(b) },
            else_branch = g2 () => (float[3] e) { e = Exp(b) }
        >
    }"""
    unchanged(graph(text), identity)
    unchanged(
        graph(text.replace("float[3] y)", "float[3] y, float[3] b)").replace("Neg(b)", "Neg(a)")), identity
    )


# Split

SPLITS = {
    "a, b, c = Split<axis = 1, split = [1, 2, 3]>(x)": (7, 9, 11),
    "a, b, c = Split<axis = 1>(x, sizes)": (13, 17, 22),
    "a, b, c = Split<axis = 1>(x)": (7, 9, 11, 13, 17),
    "a, b, c = Split<axis = -2>(x)": (11, 13, 17),
    "a, b, c = Split(x)": (7, 9, 11, 13, 17),
    "a, b, c = Split<axis = 1, num_outputs = 3>(x)": (22,),
    "a, b, c = Split<axis = 2, num_outputs = 3>(x)": (22,),  # of 5: 2, 2 and 1
}


@pytest.mark.parametrize(("form", "opset"), [(form, opset) for form in SPLITS for opset in SPLITS[form]])
def test_split_becomes_slices(form, opset):
    text = f"""(float[3, 6, 5] x) => (float[p, q, r] y, float[s, t, u] b, float[v, w, z] d) {{
        {form} y = Neg(a) d = Exp(c)
    }}"""
    net = graph(text, opset, sizes=np.array([1, 2, 3]))
    after = changed(net, split)
    assert sorted(ops(after)) == ["Exp", "Neg", "Slice", "Slice", "Slice"]
    assert len(after.nodes[0].inputs) == (1 if opset < 10 else 5)
    assert after.notes == ("Split written as Slice: 1 node",)
    if opset >= 10:
        ends = [int(after.constants[node.inputs[2]][0]) for node in after.nodes if node.op == "Slice"]
        assert max(ends) == after.value("x").shape[after.constants[after.nodes[0].inputs[3]][0]]


def test_unused_parts_get_no_slice_and_names_do_not_clash():
    proto = model("(float[4] x) => (float[2] y) { a, b = Split<axis = 0>(x) h = Neg(b) y = Relu(h) }")
    proto.graph.node[0].name, proto.graph.node[1].name = "s", "s_1"
    after = changed(load(proto), split)
    assert [(node.name, node.op) for node in after.nodes[:2]] == [("s_1_1", "Slice"), ("s_1", "Neg")]


@pytest.mark.parametrize(
    "text",
    [
        "(float[N] x) => (float[a] y, float[b] z) { y, z = Split(x) }",
        "(float[4] x, int64[2] s) => (float[a] y, float[b] z) { y, z = Split(x, s) }",
    ],
)
def test_a_split_of_unknown_sizes_stays(text):
    unchanged(graph(text), split)
