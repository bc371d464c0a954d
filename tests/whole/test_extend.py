"""The door for others: ops, rules and methods from outside the package, on both engines."""

from __future__ import annotations

import functools
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

import onnxdtd
from onnxdtd import extend
from onnxdtd.compiled.digest import digest, lasting
from onnxdtd.errors import UsageError
from onnxdtd.extend import Group, Options, Place, Rule, Site, Term, TermRule, negative, positive, zero
from onnxdtd.rules.epsilon import epsilon
from onnxdtd.rules.passing import passing
from tests.support.model_text import model
from tests.support.paths import DOCS

# h = x w = [3, 1], a = h, y = a . [1, 2] = 5.
TEXT = """(float[N, 3] x) => (float[N, 1] y) {
    [hidden] h = MatMul(x, w) [cut] a = Relu(h) [last] y = MatMul(a, v) }"""
W = np.array([[1, 0], [2, 0], [-3, 1]], np.float32)
V = np.array([[1], [2]], np.float32)
X = np.array([[4, 1, 1]], np.float32)
OUTSIDE = """
import json, sys
import numpy as np, onnxdtd
from onnxdtd.extend import Group, LinearMap, Point, Site, Term, TermRule, negative, op, positive, rule, zero

@op("Trilu", domain="com.microsoft", kind="linear", family="sum")
def triangle(point: Point) -> Site:
    mask = np.triu(np.ones(point.x.shape[-2:], np.float32), int(point.constant(1)))
    return point.site(LinearMap(mask, lambda w, x: w * x, lambda w, r: w * r, constant=True))

@rule("zminus")
def zminus(epsilon: float = 1e-6) -> TermRule:
    return TermRule("zminus", (Group((Term(positive, negative, zero),)),), epsilon)

x, rules = np.array([[4, 1, 1]], np.float32), [{"family": "dense", "use": "zminus"}]
for engine in ("numpy", "onnx"):
    for more in ({}, {"rules": rules}):
        e = onnxdtd.explain(sys.argv[1], x, 0, "epsilon_plus", engine, **more)
        print(json.dumps(e.relevance["x"].tolist()))
"""


def outside(tmp_path: Path) -> Path:
    """A model with an operator that the package has no entry for, which drops x_0: y = relu(u w), where
    w = [[1, 0], [5, 1], [-3, 1]]."""
    nodes = [
        helper.make_node("Trilu", ["x", "k"], ["u"], domain="com.microsoft", upper=1),
        helper.make_node("MatMul", ["u", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(n, 1, [1, size]) for n, size in (("x", 3), ("y", 2))]
    weights = {"w": np.array([[1, 0], [5, 1], [-3, 1]], np.float32), "k": np.array(1)}
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "outside", values[:1], values[1:], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "outside.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    return path


def test_an_op_and_a_rule_from_outside(tmp_path: Path) -> None:
    """Epsilon gives x_i w_i = [0, 5, -3]; zminus gives all 2 of z to the one input that inhibits."""
    module = tmp_path / "outside.py"
    module.write_text(OUTSIDE, "utf-8")
    command = [sys.executable, str(module), str(outside(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    np.testing.assert_allclose(lines, [[[0, 5, -3]], [[0, 0, 2]]] * 2, rtol=1e-5)


def test_without_the_op_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(onnxdtd.UnsupportedError, match="no entry for this operator"):
        onnxdtd.Explainer(outside(tmp_path)).plan()


@pytest.mark.parametrize("text", [extend.__doc__, (DOCS / "extend.md").read_text("utf-8")])
def test_what_is_shown_runs(text: str) -> None:
    start = text.index("    from onnxdtd.extend import")
    lines = text[start:].splitlines()
    code = [
        line.removeprefix("    ") for line in lines[: next(i for i, t in enumerate(lines) if t[:1].strip())]
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def mine(place: Place, options: Options) -> Rule:
    """Epsilon where there is something to share, else pass."""
    return epsilon(bias=options.bias) if place.shares else passing()


def damped(place: Place, options: Options, by: float) -> Rule:
    return epsilon(by) if place.shares else passing()


class Halves:
    """A rule that is no table: half of an equal share to each input of a dense layer."""

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        return (0.5 * site.maps[0].adjoint(0.0 * site.maps[0].weights + 1.0, r),)


class Half(Halves, Rule):
    """The same, with all else as a rule has it."""


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_method_of_ones_own(engine: Any) -> None:
    """R_h = a v = [3, 2]; R_x = x_i (w_i1 3 / 3 + w_i2 2 / 1) = [4, 2, -3 + 2]."""
    explainer = onnxdtd.Explainer(model(TEXT, w=W, v=V), mine, engine)
    e = explainer(X)
    assert e.method == "mine"
    np.testing.assert_allclose(e.relevance["x"], [[4, 2, -1]], rtol=1e-5)
    again = pickle.loads(pickle.dumps(explainer))(X)
    np.testing.assert_array_equal(again.relevance["x"], e.relevance["x"])
    assert explainer.by("gradient")(X).method == "gradient"
    assert explainer.by("gradient").by(mine)(X).method == "mine"


def test_what_a_method_is_called() -> None:
    def dtd(place: Place, options: Options) -> Rule:
        return mine(place, options)

    source = model(TEXT, w=W, v=V)
    names = {
        mine: "mine",
        functools.partial(damped, by=0.5): "damped",
        dtd: f"{__name__}.dtd",  # not the registered one
        onnxdtd.METHODS["dtd"].assign: "dtd",
    }
    for method, name in names.items():
        assert onnxdtd.Explainer(source, method).plan().method == name
    assert onnxdtd.Explainer(source, onnxdtd.METHODS["dtd"].assign).plan().seed == "positive"
    with pytest.raises(UsageError, match="method <lambda> gives 'hidden' MatMul no rule but 3"):
        onnxdtd.Explainer(source, lambda place, options: 3).plan()  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_rule_may_be_an_object(engine: Any) -> None:
    """The object takes 3 of h1 = 3 to the input that inhibits, and gives nothing of h2 (which no input inhibits)."""
    zminus = TermRule("zminus", (Group((Term(positive, negative, zero),)),))
    for rule, expected in ((zminus, [[0, 0, 3]]), (Half(), [[2.5, 2.5, 2.5]])):
        rules = [{"name": "hidden", "use": rule}]
        explainer = onnxdtd.Explainer(model(TEXT, w=W, v=V), "epsilon_plus", engine, rules=rules)
        np.testing.assert_allclose(explainer(X).relevance["x"], expected, rtol=1e-5)
    with pytest.raises(UsageError, match="epsilon beside a rule that is made already"):
        onnxdtd.Explainer(model(TEXT, w=W, v=V), rules=[{"op": "MatMul", "use": zminus, "epsilon": 1}])
    for other in (Halves(), TermRule):
        with pytest.raises(UsageError, match="is not a rule"):
            onnxdtd.Explainer(model(TEXT, w=W, v=V), rules=[{"op": "MatMul", "use": other}])


def test_functions_of_someone_else_are_never_taken_for_each_other(tmp_path: Path) -> None:
    """Two closures have one name; and their compiled walks are not kept on disk, since their code may change."""

    def times(factor: float) -> TermRule:
        return TermRule("mapped", (Group((Term(x=lambda x: x * factor + 1.0),)),), epsilon=0.0)

    source, results, digests = model(TEXT, w=W, v=V), [], set()
    for factor in (1.0, 2.0):
        rules = [{"name": "hidden", "use": times(factor)}]
        explainer = onnxdtd.Explainer(source, "epsilon_plus", "onnx", rules=rules, cache_dir=tmp_path)
        expected = explainer.by(engine="numpy")(X).relevance["x"]
        results.append(explainer(X).relevance["x"])
        np.testing.assert_allclose(results[-1], expected, rtol=1e-5)
        plan = explainer.plan()
        assert digest(plan) == digest(plan)
        assert not lasting(plan)
        digests.add(digest(plan))
    assert not np.allclose(*results)
    assert len(digests) == 2
    assert list(tmp_path.iterdir()) == []
    assert lasting(onnxdtd.Explainer(source, "epsilon_plus").plan())


def test_a_rule_that_matches_nothing_warns_and_may_be_refused() -> None:
    rules = [{"kind": "nokind", "use": "flat"}, {"op": "MatMul", "use": "flat"}]
    source, words = model(TEXT, w=W, v=V), "the rule for kind = 'nokind' matches no node"
    explainer = onnxdtd.Explainer(source, rules=rules)
    assert [w for w in explainer(X).warnings if "matches no node" in w] == [explainer.plan().warnings[0]]
    assert explainer.plan().warnings[0].startswith(words)
    assert set(explainer.plan().rules.values()) == {"flat", "pass"}
    strict = explainer.by(strict_rules=True)
    with pytest.raises(UsageError, match=words):
        strict(X)
