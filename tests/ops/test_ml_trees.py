"""Tree ensembles: all that the operators allow, the sums by onnxruntime and the contributions by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.errors import UnsupportedError
from onnxdtd.model.load import load
from onnxdtd.model.trees.forest import MODES
from onnxdtd.model.trees.read import forest_of
from tests.support.model_text import run

RNG = np.random.default_rng(5)
X = np.round(RNG.standard_normal((40, 3)), 1).astype(np.float32)
X[3, 0] = X[7, 1] = X[11] = np.nan


def model_of(op, kind=TensorProto.FLOAT, version=3, targets=2, **attributes):
    node = helper.make_node(op, ["x"], ["y"], "trees", domain="ai.onnx.ml", n_targets=targets, **attributes)
    made = kind if op == "TreeEnsemble" else TensorProto.FLOAT
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", kind, ["N", 3])],
        [helper.make_tensor_value_info("y", made, ["N", targets])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def grown(modes, trees=4, depth=3, targets=2, missing=0.5):
    """Full trees of random splits: TreeEnsembleRegressor's attributes."""
    a = {key: [] for key in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids",
                             "missing_value_tracks_true")}  # fmt: skip
    t = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(trees):
        for node in range(2 ** (depth + 1) - 1):
            leaf = node >= 2**depth - 1
            row = (tree, node, int(RNG.integers(3)), "LEAF" if leaf else str(RNG.choice(modes)),
                   float(np.round(RNG.standard_normal(), 1)), 0 if leaf else 2 * node + 1,
                   0 if leaf else 2 * node + 2, int(RNG.random() < missing))  # fmt: skip
            for key, value in zip(a, row, strict=True):
                a[key].append(value)
            for target in range(targets) if leaf else ():
                for key, value in zip(t, (tree, node, target, float(RNG.standard_normal())), strict=True):
                    t[key].append(value)
    return {f"nodes_{k}": v for k, v in a.items()} | {f"target_{k}": v for k, v in t.items()}


def shares(model, x=X):
    """C and the expectation; together they are what onnxruntime computes."""
    graph = load(model)
    changes, expected = forest_of(graph.nodes[0]).saabas(x)
    y = run(graph, {"x": x})[0]
    np.testing.assert_allclose(changes.sum(axis=1) + expected, y, rtol=1e-4, atol=1e-5)
    return changes, expected


@pytest.mark.parametrize("mode", [*MODES[:6], "all"])
def test_every_mode_and_missing_values(mode):
    changes, expected = shares(
        model_of("TreeEnsembleRegressor", **grown(MODES[:6] if mode == "all" else [mode]))
    )
    assert changes.any()
    np.testing.assert_allclose(expected, np.broadcast_to(expected[0], expected.shape))


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("base", [[], [0.25, -1.5]])
def test_every_aggregate_and_base_values(aggregate, base):
    trees = grown(MODES[:4]) | ({"base_values": base} if base else {})
    shares(model_of("TreeEnsembleRegressor", aggregate_function=aggregate, **trees))


@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("targets", [1, 2])
def test_post_transforms_are_set_aside(post, targets):
    trees = grown(MODES[:4], targets=targets)
    model = model_of("TreeEnsembleRegressor", post_transform=post, targets=targets, **trees)
    plain = model_of("TreeEnsembleRegressor", targets=targets, **trees)
    e = onnxdtd.Explainer(model, "epsilon_plus", verify=True)(X, 0)
    bare = onnxdtd.Explainer(plain, "epsilon_plus")(X, 0)
    np.testing.assert_allclose(e.relevance["x"], bare.relevance["x"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(e.relevance["x"], shares(plain)[0][:, :, 0], rtol=1e-3, atol=1e-5)
    assert e.conservation.relative < 1e-4


def test_a_double_has_its_own_thresholds():
    trees = grown(["BRANCH_LEQ"])
    for key in ("nodes_values", "target_weights"):
        trees[f"{key}_as_tensor"] = numpy_helper.from_array(np.array(trees.pop(key), np.float64), key)
    model = model_of("TreeEnsembleRegressor", TensorProto.DOUBLE, **trees)
    shares(model, X.astype(np.float64))
    e = onnxdtd.explain(model, X.astype(np.float64), 0, "epsilon_plus")
    assert e.relevance["x"].dtype == np.float64


def test_integers_are_cast_for_trees():
    """onnxruntime's own regressor takes none."""
    graph = model_of("TreeEnsembleRegressor", TensorProto.INT64, **grown(MODES[:4]))
    x = np.arange(-6, 6).reshape(4, 3)
    e = onnxdtd.Explainer(graph, "epsilon_plus")(x, 1)
    assert e.conservation.relative < 1e-4
    assert e.relevance["x"].any()


def new_form(aggregate=1):
    """x0 in {1, 3} -> 10 | (x1 <= 0.5 -> 20 | 30), and a tree of one leaf that is 5."""
    numbers = {name: numpy_helper.from_array(np.array(values, kind), name) for name, values, kind in [
        ("nodes_splits", [0, 0.5, 0], np.float32), ("nodes_modes", [6, 0, 0], np.uint8),
        ("leaf_weights", [10, 20, 30, 5], np.float32), ("membership_values", [1, 3, np.nan], np.float32),
    ]}  # fmt: skip
    return model_of(
        "TreeEnsemble", version=5, targets=1, aggregate_function=aggregate, tree_roots=[0, 2],
        nodes_featureids=[0, 1, 0], nodes_truenodeids=[0, 1, 3], nodes_trueleafs=[1, 1, 1],
        nodes_falsenodeids=[1, 2, 3], nodes_falseleafs=[0, 1, 1], leaf_targetids=[0] * 4, **numbers,
    )  # fmt: skip


def test_the_form_of_opset_5_by_hand():
    """E = 20 (three leaves) and 25 (two); the tree of one leaf changes nothing."""
    x = np.array([[3, 0, 0], [2, 0.5, 0], [2, 1, 0]], np.float32)
    changes, expected = shares(new_form(), x)
    np.testing.assert_allclose(changes[:, :, 0], [[-10, 0, 0], [5, -5, 0], [5, 5, 0]])
    np.testing.assert_allclose(expected, 25)
    e = onnxdtd.explain(new_form(), x, method="dtd")
    assert e.conservation.lost_to("bias") == pytest.approx(3 * 25)
    np.testing.assert_allclose(e.relevance["x"], changes[:, :, 0], rtol=1e-5)


def test_the_largest_tree_takes_all():
    x = np.array([[3, 0, 0], [2, 0.5, 0]], np.float32)
    changes, expected = shares(new_form(3), x)
    np.testing.assert_allclose(changes[:, :, 0], [[-10, 0, 0], [5, -5, 0]])
    np.testing.assert_allclose(expected, 20)
    np.testing.assert_allclose(shares(new_form(2), x)[0], 0)


def test_hit_rates_count_where_they_add_up():
    trees = grown(["BRANCH_LEQ"], trees=1, depth=1)
    trees["nodes_hitrates"] = [10.0, 9.0, 1.0]
    _, weighted = shares(model_of("TreeEnsembleRegressor", **trees))
    leaves = np.array(trees["target_weights"]).reshape(2, 2)
    np.testing.assert_allclose(weighted[0], 0.9 * leaves[0] + 0.1 * leaves[1], rtol=1e-5)
    trees["nodes_hitrates"] = [1.0, 1.0, 1.0]
    _, even = shares(model_of("TreeEnsembleRegressor", **trees))
    np.testing.assert_allclose(even[0], leaves.mean(axis=0), rtol=1e-5)


def test_trees_of_one_leaf_and_of_different_depths():
    trees = grown(MODES[:4], trees=1, depth=2)
    for key, value in [("treeids", 1), ("nodeids", 0), ("featureids", 0), ("modes", "LEAF"), ("values", 0.0),
                       ("truenodeids", 0), ("falsenodeids", 0), ("missing_value_tracks_true", 0)]:  # fmt: skip
        trees[f"nodes_{key}"].append(value)
    for key, value in [("treeids", 1), ("nodeids", 0), ("ids", 1), ("weights", 4.0)]:
        trees[f"target_{key}"].append(value)
    shares(model_of("TreeEnsembleRegressor", **trees))


def test_a_ring_is_refused():
    trees = grown(["BRANCH_LEQ"], trees=1, depth=2)
    trees["nodes_truenodeids"][1] = 1
    graph = load(model_of("TreeEnsembleRegressor", **trees))
    with pytest.raises(UnsupportedError, match="ring"):
        forest_of(graph.nodes[0])


def test_a_layer_behind_the_trees_shares_by_their_score():
    trees = model_of("TreeEnsembleRegressor", **grown(MODES[:4]))
    tail = helper.make_node("MatMul", ["y", "w"], ["z"])
    trees.graph.node.append(tail)
    w = np.array([[1.0], [-2.0]], np.float32)
    trees.graph.initializer.append(numpy_helper.from_array(w, "w"))
    trees.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 1]))
    onnx.checker.check_model(trees)
    e = onnxdtd.explain(trees, X, method="epsilon_plus")
    changes, _ = forest_of(load(trees).nodes[0]).saabas(X)
    np.testing.assert_allclose(e.relevance["x"], (changes @ w)[:, :, 0], rtol=1e-3, atol=1e-4)


def test_rows_explained_together_are_as_one_by_one():
    explainer = onnxdtd.Explainer(model_of("TreeEnsembleRegressor", **grown(MODES[:4])), "epsilon_plus")
    whole = explainer(X, 0).relevance["x"]
    for i in (0, 3, 11):
        np.testing.assert_array_equal(explainer(X[i : i + 1], 0).relevance["x"], whole[i : i + 1])


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_the_compiled_walk_takes_the_same_paths(aggregate):
    """Every mode, missing values, trees of several depths; a background counts on both engines."""
    trees = grown(MODES[:6]) | {"aggregate_function": aggregate, "base_values": [0.25, -1.5]}
    walks = [
        onnxdtd.Explainer(model_of("TreeEnsembleRegressor", **trees), "attnlrp", engine, background=X[::2])
        for engine in ("numpy", "onnx")
    ]
    for target in (0, 1):
        here, there = (explainer.one_pass(X, target).relevance["x"] for explainer in walks)
        np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("aggregate", [1, 2, 3])
def test_the_compiled_walk_looks_sets_up(aggregate):
    x = np.array([[3, 0, 0], [2, 0.5, 0], [np.nan, 1, 0]], np.float32)
    here, there = (
        onnxdtd.Explainer(new_form(aggregate), "attnlrp", engine).one_pass(x).relevance["x"]
        for engine in ("numpy", "onnx")
    )
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)


def test_a_compiled_explainer_of_trees_is_a_file_of_its_own(tmp_path):
    """onnxruntime alone runs it; tree_shap takes more than a walk and is refused by name."""
    model = model_of("TreeEnsembleRegressor", **grown(MODES[:4]))
    written = onnxdtd.compile(model, tmp_path / "explainer.onnx", target=0)
    session = onnxruntime.InferenceSession(tmp_path / "explainer.onnx")
    (relevance,) = session.run([written.relevance["x"]], {"x": X})
    walk = onnxdtd.Explainer(model, "attnlrp").one_pass(X, 0)
    np.testing.assert_allclose(relevance, walk.relevance["x"], rtol=1e-4, atol=1e-6)
    with pytest.raises(UnsupportedError, match="tree_shap"):
        onnxdtd.compile(model, tmp_path / "other.onnx", method="tree_shap")


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("turned", [False, True])
def test_trees_beside_a_layer_that_reads_the_same_values(engine: str, turned: bool) -> None:
    """y = 5 x0 + 7 x1 + trees(x): the layer's (10, 21) at (2, 3) are added to what the trees give alone."""
    trees = model_of("TreeEnsembleRegressor", targets=1, **grown(["BRANCH_LEQ"], targets=1))
    (node,), (layer, total) = (
        trees.graph.node,
        (helper.make_node("MatMul", ["x", "w"], ["b"]), helper.make_node("Add", ["a", "b"], ["y"])),
    )
    node.output[0] = "a"
    trees.graph.node.extend([layer, total])
    if turned:  # so that the layer is the first one on the way back
        trees.graph.node.insert(0, trees.graph.node.pop(1))
    trees.graph.initializer.append(numpy_helper.from_array(np.array([[5], [7], [0]], np.float32), "w"))
    explainer, x = onnxdtd.Explainer(trees, "attnlrp", engine=engine), np.array([[2, 3, 1]], np.float32)
    a = run(trees, {"x": x})[0] - 31
    alone = explainer(x, start={"a": a}).relevance["x"]
    np.testing.assert_allclose(
        explainer(x, target=0).relevance["x"] - alone, [[10, 21, 0]], rtol=1e-5, atol=1e-5
    )
