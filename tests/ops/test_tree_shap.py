"""Shapley values of trees: against their definition over all coalitions, shap's TreeExplainer, and by hand."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.cli import main
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.model.load import load
from onnxdtd.model.trees import shapley
from onnxdtd.model.trees.forest import MODES
from onnxdtd.model.trees.read import forest_of
from onnxdtd.model.trees.shapley import interventional, path_dependent
from tests.ops.test_ml_trees import X, grown, model_of, new_form

ROWS = X[20:33]


def read(**attributes):
    return forest_of(load(model_of("TreeEnsembleRegressor", **attributes)).nodes[0])


def says(forest, x):
    return forest.base + forest.weights[forest.paths(x)[-1]].sum(axis=1) * forest.scale


def by_definition(x, value):
    """phi_i = sum over coalitions S without i of |S|! (n - |S| - 1)! / n! (value(S + i) - value(S))."""
    n = x.shape[1]
    parts = []
    for i in range(n):
        others, total = [k for k in range(n) if k != i], 0.0
        for size in range(n):
            for s in combinations(others, size):
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                total = total + weight * (value((*s, i)) - value(s))
        parts.append(total)
    return np.stack(parts, axis=1)


def as_in_rows(forest, x):
    """E over the rows of f with the features of S as in x."""

    def value(s):
        mixed = np.broadcast_to(ROWS, (len(x), *ROWS.shape)).copy()
        mixed[:, :, list(s)] = x[:, None, list(s)]
        return says(forest, mixed.reshape(-1, x.shape[1])).reshape(len(x), len(ROWS), -1).mean(axis=1)

    return value


def both_ways(forest, x):
    """f where a split by a feature outside S goes both ways, by the counts."""

    def at(node, row, s):
        if forest.mode[node] < 0:
            return forest.weights[node]
        feature, children = forest.feature[node], (forest.yes[node], forest.no[node])
        if feature in s:
            return at(children[0 if forest.holds(row[[feature]], np.array([node]))[0] else 1], row, s)
        return sum(forest.count[child] * at(child, row, s) for child in children) / forest.count[node]

    def value(s):
        return np.stack(
            [forest.base + sum(at(root, row, s) for root in forest.roots) * forest.scale for row in x]
        )

    return value


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE"])
def test_both_forms_are_the_definition(aggregate):
    """Every mode, missing values, sets of one feature asked several times on a path, base values."""
    forest = read(
        aggregate_function=aggregate, base_values=[0.25, -1.5], **grown(MODES[:6], trees=3, depth=4)
    )
    for (phi, base), value in [
        (interventional(forest, X, ROWS), as_in_rows(forest, X)),
        (path_dependent(forest, X), both_ways(forest, X)),
    ]:
        np.testing.assert_allclose(phi, by_definition(X, value), atol=1e-12)
        np.testing.assert_allclose(phi.sum(axis=1) + base, says(forest, X), atol=1e-12)


def test_groups_of_trees_rows_and_pairs_change_nothing(monkeypatch):
    forest = read(**grown(MODES[:4], trees=5, depth=3))
    whole = interventional(forest, X, ROWS)[0], path_dependent(forest, X)[0]
    for name, size in (("NODES", 20), ("ROWS", 7), ("PAIRS", 9)):
        monkeypatch.setattr(shapley, name, size)
    np.testing.assert_allclose(interventional(forest, X, ROWS)[0], whole[0], atol=1e-12)
    np.testing.assert_allclose(path_dependent(forest, X)[0], whole[1], atol=1e-12)


def and_of_two(hits=(4.0, 2.0, 2.0, 1.0, 1.0), op="SUM"):
    """1 where x0 > 0.5 and x1 > 0.5, else 0."""
    return model_of(
        "TreeEnsembleRegressor", targets=1, nodes_treeids=[0] * 5, nodes_nodeids=[0, 1, 2, 3, 4],
        nodes_featureids=[0, 0, 1, 0, 0], nodes_values=[0.5, 0.0, 0.5, 0.0, 0.0], nodes_hitrates=list(hits),
        nodes_modes=["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 3, 0, 0],
        nodes_falsenodeids=[2, 0, 4, 0, 0], target_treeids=[0] * 3, target_nodeids=[1, 3, 4], target_ids=[0] * 3,
        target_weights=[0.0, 0.0, 1.0], aggregate_function=op,
    )  # fmt: skip


CORNERS = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0]], np.float32)


def test_and_by_hand():
    """Of all corners: v() = 1/4, v(0) = v(1) = 1/2, v(01) = 1, so 3/8 each. Saabas: 1/4 -> 1/2 -> 1, 1/4 and 1/2."""
    x = CORNERS[3:]
    e = onnxdtd.explain(and_of_two(), x)
    assert (e.method, e.relevance["x"].tolist(), e.extras["constant"]) == (
        "tree_shap",
        [[0.375, 0.375, 0]],
        [0.25],
    )
    ones = onnxdtd.Explainer(and_of_two([1.0] * 5))
    assert ones(x).method == "saabas"
    by = ones.by(background=CORNERS)
    assert by(x).method == "tree_shap"
    np.testing.assert_allclose(by(x).relevance["x"], [[0.375, 0.375, 0]])
    for method in ("saabas", "dtd", "epsilon_plus"):  # all the same where trees alone share
        e = by.by(method)(x)
        assert (e.method, e.extras["constant"]) == ("saabas", [0.25])
        np.testing.assert_allclose(e.relevance["x"], [[0.25, 0.5, 0]])


def test_a_score_of_zero_has_its_reasons():
    """0 = 1/4 - 1/8 - 1/8 at the first corner: nothing is divided by the score."""
    e = onnxdtd.explain(and_of_two(), CORNERS[:1])
    assert e.target_value.tolist() == [0.0]
    np.testing.assert_allclose(e.relevance["x"], [[-0.125, -0.125, 0]])


def test_rows_that_reach_no_leaf_below_a_node_count_its_leaves_once():
    forest = forest_of(load(and_of_two()).nodes[0]).counting(CORNERS[:1])
    assert forest.expected[:, 0].tolist() == [0.0, 0.0, 0.5, 0.0, 1.0]


def test_without_counts_there_is_a_warning_and_tree_shap_asks_for_rows():
    explainer = onnxdtd.Explainer(and_of_two([1.0] * 5))
    assert any("--background" in w and "counts once" in w for w in explainer(CORNERS).warnings)
    assert not any("--background" in w for w in explainer.by(background=CORNERS)(CORNERS).warnings)
    assert not any("--background" in w for w in onnxdtd.explain(and_of_two(), CORNERS).warnings)
    with pytest.raises(UsageError, match=r"stores no counts .*--background ROWS"):
        explainer.by("tree_shap")(CORNERS)


def test_what_has_no_shapley_values_of_trees_is_refused_by_name():
    with pytest.raises(UnsupportedError, match="MAX is no sum over the trees"):
        onnxdtd.explain(and_of_two(op="MAX"), CORNERS, method="tree_shap")
    assert onnxdtd.explain(and_of_two(op="MAX"), CORNERS).method == "saabas"
    mixed = and_of_two()
    mixed.graph.node[0].input[0] = "mixed"
    mixed.graph.node.insert(0, helper.make_node("MatMul", ["x", "w"], ["mixed"]))
    mixed.graph.initializer.append(numpy_helper.from_array(np.ones((3, 3), np.float32), "w"))
    with pytest.raises(UnsupportedError, match="mixes of inputs"):
        onnxdtd.explain(mixed, CORNERS, method="tree_shap")
    assert onnxdtd.explain(mixed, CORNERS).method == "attnlrp"
    with pytest.raises(UsageError, match="the model has none"):
        onnxdtd.Explainer(one_column(), background=CORNERS)


def one_column():
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g", [info("x", 1, ["N", 3])], [info("y", 1, ["N", 3])]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_form_of_opset_5():
    x = np.array([[3, 0, 0], [2, 0.5, 0], [2, 1, 0]], np.float32)
    e = onnxdtd.Explainer(new_form(), background=x)(x)
    assert e.method == "tree_shap"
    phi, mean = interventional(forest_of(load(new_form()).nodes[0]), x, x)
    np.testing.assert_allclose(e.relevance["x"], phi[:, :, 0], rtol=1e-6)
    np.testing.assert_allclose(mean, 25.0)


def test_a_sum_of_trees_and_of_columns():
    """y = 2 trees(x) - 3 x0 + x1 + 1: both parts are exact; a Sigmoid between trees and a sum is no sum."""
    model = and_of_two()
    w = np.array([[-3.0], [1.0], [0.0]], np.float32)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(w, "w"),
            numpy_helper.from_array(np.float32(2), "two"),
            numpy_helper.from_array(np.ones(1, np.float32), "one"),
        ]
    )
    model.graph.node.extend([
        helper.make_node("Mul", ["y", "two"], ["twice"]), helper.make_node("Gemm", ["x", "w", "one"], ["line"]),
        helper.make_node("Add", ["twice", "line"], ["z"]),
    ])  # fmt: skip
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 1]))
    onnx.checker.check_model(model)
    e = onnxdtd.explain(model, CORNERS[3:])
    assert e.method == "tree_shap"
    np.testing.assert_allclose(e.relevance["x"], [[0.75 - 3, 0.75 + 1, 0]])
    np.testing.assert_allclose(e.extras["constant"], [1.5])


def test_the_command_line(tmp_path, capsys):
    (tmp_path / "model.onnx").write_bytes(and_of_two([1.0] * 5).SerializeToString())
    np.save(tmp_path / "rows.npy", CORNERS)
    run = ["run", str(tmp_path / "model.onnx"), str(tmp_path / "rows.npy"), "-o", str(tmp_path / "out")]
    assert main([*run, "-m", "tree_shap"]) == 2
    assert "--background" in capsys.readouterr().err
    assert main([*run, "--background", str(tmp_path / "rows.npy")]) == 0
    assert "tree_shap" in capsys.readouterr().out
    assert main([*run, "-m", "dtd"]) == 0
    assert "saabas" in capsys.readouterr().out


def test_a_compiled_file_has_the_counts_of_a_background(tmp_path, capsys):
    """1/4 and 1/2 at the last corner; with each leaf counted once it would be 1/6 and 1/2."""
    (tmp_path / "model.onnx").write_bytes(and_of_two([1.0] * 5).SerializeToString())
    np.save(tmp_path / "rows.npy", CORNERS)
    told = ["compile", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "explainer.onnx"), "-t", "0"]
    assert main([*told, "--background", str(tmp_path / "rows.npy")]) == 0
    assert "warning" not in capsys.readouterr().err
    session = onnxruntime.InferenceSession(tmp_path / "explainer.onnx")
    (relevance,) = session.run(["relevance/x"], {"x": CORNERS[3:]})
    np.testing.assert_allclose(relevance, [[0.25, 0.5, 0]], rtol=1e-5)
