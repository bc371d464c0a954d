from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from onnxdtd.model.canonise import PASSES, canonise
from onnxdtd.model.canonise.head import head
from onnxdtd.model.canonise.identity import identity
from tests.support.model_text import BN, OPSETS, changed, graph, normal, ops, run, same, statistics, unchanged

# head


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Sigmoid"])
@pytest.mark.parametrize(
    "tail", ["y = {op}(z)", "p = {op}(z) y = Identity(p)", "p = {op}(z) y = Reshape(p, s)"]
)
def test_the_final_activation_is_set_aside(opset, op, tail):
    text = f"(float[N, 3] x) => (float[N, 3] y) {{ z = Gemm(x, w, b) {tail.format(op=op)} }}"
    after = changed(graph(text, opset, w=normal(3, 3), b=normal(3), s=np.array([0, 3])), head)
    assert after.target("y") == "z"
    assert op in ops(after)
    assert f"final {op} '" in after.notes[0]


def changed_targets(text, **arrays):
    return head(graph(text, **arrays)).targets


def test_a_head_behind_a_cast_and_a_change_of_shape_and_back():
    text = """(float[N, 3] x) => (double[N, 3] y) {
        z = Relu(x) p = Sigmoid(z) q = Unsqueeze(p, a) r = Squeeze(q, a) y = Cast<to = 11>(r)
    }"""
    assert changed_targets(text, a=np.array([2])) == {"y": "z"}


def test_every_output_has_its_own_target():
    text = """(float[N, 3] x) => (float[N, 3] z, float[N, 3] p, float[N, 3] q, int64[N] i) {
        z = Relu(x) p = Softmax(z) q = Sigmoid(z) i = ArgMax<axis = 1, keepdims = 0>(p)
    }"""
    assert changed_targets(text) == {"p": "z", "q": "z"}


NO_HEAD = {
    "concat": """(float[N, 1] x) => (float[N, 2] y) {
        z = Neg(x) p = Sigmoid(z) q = Sub(one, p) y = Concat<axis = 1>(q, p) }""",
    "flattened": """(float[N, 3, 2] x) => (float[N, 6] y) { z = Neg(x) p = Softmax(z) y = Flatten(p) }""",
    "transposed": """(float[3, 3] x) => (float[3, 3] y) {
        z = Neg(x) p = Softmax(z) y = Transpose<perm = [1, 0]>(p) }""",
    "of the input": "(float[N, 3] x) => (float[N, 3] y) { y = Softmax(x) }",
    "inside": "(float[N, 3] x) => (float[N, 3] y) { z = Neg(x) p = Softmax(z) y = Mul(p, x) }",
    "to integers": "(float[3] x) => (int64[3] y) { z = Neg(x) p = Sigmoid(z) y = Cast<to = 7>(p) }",
    "another activation": "(float[3] x) => (float[3] y) { z = Neg(x) y = Tanh(z) }",
}


@pytest.mark.parametrize("case", NO_HEAD)
def test_what_is_no_head_stays(case):
    unchanged(graph(NO_HEAD[case], one=np.float32([1])), head)


def test_the_logit_of_an_output_survives_a_later_pass():
    text = "(float[N, 3] x) => (float[N, 3] y) { z = Neg(x) q = Identity(z) y = Softmax(q) }"
    after = identity(head(graph(text)))
    assert ops(after) == ["Neg", "Softmax"]
    assert after.producers[after.target("y")].op == "Neg"


# all together

WHOLE = f"""(float[N, 4, 8, 8] x) => (float[N, 2] y) {{
    w = Cast<to = 1>(half)
    a = Conv<pads = [1, 1, 1, 1]>(x, w)
    b = Add(a, c)
    d = {BN}(b, s, o, m, v)
    e = Relu(d)
    f = Dropout(e)
    g = GlobalAveragePool(f)
    h = Flatten(g)
    i = MatMul(h, dense)
    j = Add(i, offset)
    k = Identity(j)
    y = Softmax<axis = 1>(k)
}}"""


@pytest.mark.parametrize("opset", OPSETS)
def test_a_whole_network(opset):
    arrays = statistics(6) | {"dense": normal(6, 2), "offset": normal(2), "c": normal(6, 1, 1)}
    net = graph(WHOLE, opset, half=normal(6, 4, 3, 3).astype(np.float16), **arrays)
    seen = []

    def check(before, after):
        seen.append((len(before.nodes), len(after.nodes)))
        same(before, after)

    after = canonise(net, check)
    assert ops(after) == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    assert after.target("y") == after.nodes[-2].output
    assert len(seen) == 5  # no Split here
    assert after.sha256 == net.sha256
    assert canonise(after) is after
    again = canonise(graph(WHOLE, opset, half=net.constants["half"], **arrays))
    assert [(n.name, n.inputs) for n in again.nodes] == [(n.name, n.inputs) for n in after.nodes]


def test_check_sees_a_pass_that_is_wrong():
    net = graph("(float[3] x) => (float[3] y) { a = Identity(x) y = Neg(a) }")

    def check(before, after):
        raise AssertionError("outputs differ")

    with pytest.raises(AssertionError, match="outputs differ"):
        canonise(net, check)
    assert canonise(graph("(float[3] x) => (float[3] y) { y = Neg(x) }"), check).notes == ()


def test_every_pass_runs_and_is_described_by_its_algebra():
    folder = Path(import_module("onnxdtd.model.canonise").__file__).parent
    files = [file.stem for file in folder.glob("[a-z]*.py")]
    own = {name for name in files if hasattr(import_module(f"onnxdtd.model.canonise.{name}"), name)}
    assert {run.__name__ for run in PASSES} == own
    assert all("=" in run.__doc__.split("\n")[0] or "->" in run.__doc__.split("\n")[0] for run in PASSES)


def test_range_of_numbers_in_lists():
    """onnxruntime takes a Range whose numbers have shape (1,) only as long as it does not know that they have."""
    text = """(float[N, 4] x) => (float[N, 4] y) {
      s = Shape(x) n = Slice(s, one, two) r = Range(zero, n, step) f = Cast<to = 1>(r) y = Add(x, f) }"""
    source = graph(text, one=np.array([1]), two=np.array([2]), zero=np.array(0), step=np.array(1))
    x = np.ones((2, 4), np.float32)
    (y,) = run(canonise(source), {"x": x})
    np.testing.assert_array_equal(y, x + np.arange(4))
