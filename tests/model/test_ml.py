"""ai.onnx.ml in standard operators: every form against onnxruntime's own node."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnx.defs
import pytest
from onnx import TensorProto, helper

import onnxdtd
from onnxdtd.errors import UnsupportedError
from onnxdtd.model.canonise.ml import ml
from onnxdtd.model.canonise.zipmap import zipmap
from onnxdtd.model.load import load
from onnxdtd.ops import OPS
from tests.support.model_text import run

RNG = np.random.default_rng(3)
X = RNG.standard_normal((5, 3)).astype(np.float32)
POSTS = ["NONE", "SOFTMAX", "LOGISTIC"]


def node_model(
    op, outputs=("label", "scores"), kind=TensorProto.FLOAT, width=3, opset=17, tail=(), **attributes
):
    """One node of ai.onnx.ml on x (N, width); tail: nodes behind it, whose last output is the model's."""
    node = helper.make_node(op, ["x"], list(outputs), "node", domain="ai.onnx.ml", **attributes)
    ends = [tail[-1].output[0]] if tail else outputs
    graph = helper.make_graph(
        [node, *tail], "one", [helper.make_tensor_value_info("x", kind, ["N", width])],
        [typed(name, attributes) for name in ends],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def typed(name, attributes):
    if name == "z":
        pairs = helper.make_map_type_proto(
            TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
        return helper.make_value_info(name, helper.make_sequence_type_proto(pairs))
    if name != "label":
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None])
    text = "classlabels_strings" in attributes
    return helper.make_tensor_value_info(name, TensorProto.STRING if text else TensorProto.INT64, ["N"])


def rewritten(model: onnx.ModelProto, x=X):
    """What the pass makes of the model; all outputs must stay, and a second pass has nothing to do."""
    before = load(model)
    after = ml(before)
    assert ml(after) is after
    for old, new in zip(run(before, {"x": x}), run(after, {"x": x}), strict=True):
        np.testing.assert_allclose(new, old, rtol=2e-5, atol=2e-6)
    return after


def ops_of(graph) -> list[str]:
    """What makes the scores."""
    return [node.op for node in graph.nodes if not node.name.endswith("labels")]


def test_every_operator_of_the_domain_has_a_verdict():
    schemas = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == "ai.onnx.ml"}
    assert schemas == {name for domain, name in OPS if domain == "ai.onnx.ml"}
    assert all(OPS["ai.onnx.ml", name].doc for name in schemas)


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT64])
def test_linear_classifiers(post, rows, kind):
    model = node_model(
        "LinearClassifier", kind=kind, coefficients=RNG.standard_normal(rows * 3).tolist(),
        intercepts=RNG.standard_normal(rows).tolist(), post_transform=post,
        classlabels_ints=list(range(max(rows, 2))),
    )  # fmt: skip
    x = X if kind == TensorProto.FLOAT else (10 * X).astype(np.int64)
    after = rewritten(model, x)
    assert "Gemm" in ops_of(after)
    e = onnxdtd.Explainer(model, "epsilon_plus", verify=True)(x)
    assert e.relevance["x"].any()
    assert e.conservation.relative < 1e-4


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("intercepts", [True, False])
def test_linear_regressors(post, targets, intercepts):
    attributes = {"intercepts": RNG.standard_normal(targets).tolist()} if intercepts else {}
    weights = RNG.standard_normal(3 * targets).tolist()
    model = node_model(
        "LinearRegressor", ["y"], coefficients=weights, targets=targets, post_transform=post, **attributes
    )
    assert ops_of(rewritten(model))[0] == "Gemm"


def machine(op, kernel, classes, **more):
    per_class = [2, 3, 2][:classes]
    count, pairs = sum(per_class) if classes > 1 else 4, classes * (classes - 1) // 2 or 1
    labels = {"vectors_per_class": per_class, "classlabels_ints": list(range(classes))}
    return node_model(
        op, *([] if classes > 1 else [["y"]]), kernel_type=kernel, kernel_params=[0.3, 0.2, 3.0],
        support_vectors=RNG.standard_normal(3 * count).tolist(),
        coefficients=RNG.standard_normal(max(classes - 1, 1) * count).tolist(),
        rho=RNG.standard_normal(pairs).tolist(), **(labels if classes > 1 else {"n_supports": count}), **more,
    )  # fmt: skip


@pytest.mark.parametrize("kernel", ["LINEAR", "RBF", "POLY", "SIGMOID"])
@pytest.mark.parametrize(("classes", "post"), [(2, "NONE"), (2, "LOGISTIC"), (2, "SOFTMAX"), (3, "NONE")])
def test_support_vector_classifiers(kernel, classes, post):
    model = machine("SVMClassifier", kernel, classes, post_transform=post)
    after = rewritten(model)
    assert ops_of(after)[0] == ("Gemm" if kernel == "LINEAR" else "SVMRegressor")
    for engine in ("numpy", "onnx"):
        for method in ("epsilon_plus", "gradient"):
            e = onnxdtd.Explainer(model, method, engine=engine)(X, 1)
            slopes = differences(model, X, 1)
            if method == "gradient":
                np.testing.assert_allclose(e.relevance["x"], slopes, rtol=2e-2, atol=5e-3)


def differences(model, x, target):
    step, explainer = 1e-2, onnxdtd.Explainer(model, "gradient")
    moves = step * np.eye(x.shape[1], dtype=np.float32)
    pairs = [[explainer(x + s * move, target).target_value for s in (1, -1)] for move in moves]
    return np.stack([(ahead - behind) / (2 * step) for ahead, behind in pairs], axis=1)


@pytest.mark.parametrize("kernel", ["LINEAR", "RBF", "POLY", "SIGMOID"])
def test_support_vector_regressors(kernel):
    model = machine("SVMRegressor", kernel, 1)
    before = load(model)
    assert ops_of(ml(before)) == (["Gemm"] if kernel == "LINEAR" else ["SVMRegressor"])
    e = onnxdtd.Explainer(model, "gradient", verify=True)(X)
    np.testing.assert_allclose(e.relevance["x"], differences(model, X, None), rtol=2e-2, atol=5e-3)


@pytest.mark.parametrize("norm", ["L1", "L2", "MAX"])
@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 18])
def test_normalisers(norm, opset):
    x = X.copy()
    x[1], x[2] = 0, -abs(x[2])
    model = node_model("Normalizer", ["y"], norm=norm, opset=opset)
    assert "Normalizer" not in ops_of(rewritten(model, x))
    slopes = onnxdtd.Explainer(model, "gradient")(X, 1).relevance["x"]
    np.testing.assert_allclose(slopes, differences(model, X, 1), rtol=2e-2, atol=5e-3)


@pytest.mark.parametrize("kind", ["float", "int64"])
def test_columns_are_picked_and_joined(kind):
    text = """<ir_version: 8, opset_import: ["" : 13, "ai.onnx.ml" : 1]>
        m (KIND[N, 2] a, KIND[N, 1] b) => (float[N, 2] y) <int64[2] index = {2, 0}> {
            j = ai.onnx.ml.FeatureVectorizer <inputdimensions = [2, 1]> (a, b)
            y = ai.onnx.ml.ArrayFeatureExtractor(j, index)
        }"""
    model = onnx.parser.parse_model(text.replace("KIND", kind))
    dtype = np.float32 if kind == "float" else np.int64
    feeds = {"a": (9 * X[:, :2]).astype(dtype), "b": np.arange(5, dtype=dtype)[:, None]}
    before, after = load(model), ml(load(model))
    np.testing.assert_array_equal(run(before, feeds)[0], run(after, feeds)[0])
    e = onnxdtd.explain(model, feeds, 0, "epsilon_plus", verify=True)
    np.testing.assert_array_equal(e.relevance["b"][:, 0], np.arange(5))
    assert not e.relevance["a"].any()


def test_a_final_normaliser_is_set_aside_with_the_sigmoid_before_it():
    tail = [helper.make_node("Normalizer", ["scores"], ["p"], domain="ai.onnx.ml", norm="L1")]
    model = node_model(
        "LinearClassifier", tail=tail, coefficients=[1.0, 2, 3, -1, 2, 0, 0, 1, 1], intercepts=[0.1, 0.2, 0.3],
        classlabels_ints=[0, 1, 2], post_transform="LOGISTIC",
    )  # fmt: skip
    e = onnxdtd.Explainer(model, "gradient")(X, 0)
    np.testing.assert_allclose(e.relevance["x"], np.broadcast_to([1.0, 2, 3], X.shape), rtol=1e-6)


def test_zip_maps_keep_names_that_the_metadata_give():
    tail = [
        helper.make_node("ZipMap", ["scores"], ["z"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])
    ]
    model = node_model(
        "LinearClassifier", tail=tail, coefficients=[1.0, 2, 3, -1, 2, 0], intercepts=[0.1, 0.2],
        classlabels_strings=["a", "b"],
    )  # fmt: skip
    assert onnxdtd.explain(model, X, 0, "epsilon_plus").labels == ("a", "b")
    helper.set_model_props(model, {"onnxdtd.labels": '["one", "two"]'})
    assert onnxdtd.explain(model, X, 0, "epsilon_plus").labels == ("one", "two")
    assert zipmap(zipmap(load(model))).metadata == {"onnxdtd.labels": '["one", "two"]'}


def test_integers_are_embedded_by_scalers_encoders_and_trees():
    text = """<ir_version: 8, opset_import: ["" : 13, "ai.onnx.ml" : 3]>
        m (int64[N, 2] x) => (float[N, 1] y) <float[6, 1] w = {1, 2, 3, 4, 5, 6}> {
            h = ai.onnx.ml.OneHotEncoder <cats_int64s = [0, 1, 2]> (x)
            f = Flatten(h)
            y = MatMul(f, w)
        }"""
    x = np.array([[0, 2], [1, 1]])
    e = onnxdtd.explain(onnx.parser.parse_model(text), x, method="epsilon_plus")
    np.testing.assert_allclose(e.relevance["x"], [[1, 6], [2, 5]], rtol=1e-5)
    text = """<ir_version: 8, opset_import: ["" : 13, "ai.onnx.ml" : 3]>
        m (int64[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {1, 2}> {
            h = ai.onnx.ml.Scaler <offset = [1.0, 1.0], scale = [2.0, 3.0]> (x)
            y = MatMul(h, w)
        }"""
    e = onnxdtd.explain(onnx.parser.parse_model(text), x + 3, method="epsilon_plus")
    np.testing.assert_allclose(e.relevance["x"], [[4, 24], [6, 18]], rtol=1e-5)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("LinearClassifier", {"coefficients": [1.0] * 6, "intercepts": [0.0] * 2, "classlabels_ints": [0, 1],
                              "post_transform": "SOFTMAX_ZERO"}),
        ("LinearClassifier", {"coefficients": [1.0] * 3, "intercepts": [0.0], "classlabels_ints": [0, 1],
                              "post_transform": "PROBIT"}),
    ],
)  # fmt: skip
def test_forms_that_no_standard_operator_has_are_refused_by_name(op, attributes):
    with pytest.raises(UnsupportedError, match=f"'node' {op}"):
        onnxdtd.explain(node_model(op, **attributes), X)


def test_probabilities_of_support_vectors_are_refused_with_the_cure():
    model = machine("SVMClassifier", "RBF", 3, prob_a=[-1.0] * 3, prob_b=[0.0] * 3)
    with pytest.raises(UnsupportedError, match="export the model with raw scores"):
        onnxdtd.explain(model, X)


# Of three classes each has leaves and a base value of its own.
KINDS_OF_TREES = [
    (classes, base, ids)
    for classes, base, ids in itertools.product([1, 2, 3], [None, 1, "each"], ["first", "all"])
    if classes < 3 or (base != 1 and ids == "all")
]


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("weights", [(0.0, 0.9), (-0.2, 0.9)])
@pytest.mark.parametrize(("classes", "base", "ids"), KINDS_OF_TREES)
def test_tree_classifiers(post, classes, weights, base, ids):
    named = [0] if ids == "first" else range(classes)
    model = node_model("TreeEnsembleClassifier", **stump(weights, named, classes, base), post_transform=post)
    if classes == 2 and base == "each":
        with pytest.raises(UnsupportedError, match="TreeEnsembleClassifier"):
            onnxdtd.explain(model, X)
        return
    assert ops_of(rewritten(model))[0] == "TreeEnsembleRegressor"
    e = onnxdtd.Explainer(model, "epsilon_plus", verify=True)(X, classes - 1)
    assert np.isfinite(e.relevance["x"]).all()
    assert not e.relevance["x"][:, 1:].any()


def stump(weights, named, classes, base):
    """x0 <= 0.1, and a leaf on either side for every class named."""
    count = len(named)
    attributes = {
        "nodes_treeids": [0] * 3, "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0] * 3,
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.1, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0],
        "class_treeids": [0] * 2 * count, "class_nodeids": [1, 2] * count,
        "class_ids": np.repeat(list(named), 2).tolist(),
        "class_weights": [w + 0.1 * i for i in range(count) for w in weights],
        "classlabels_int64s": list(range(classes)),
    }  # fmt: skip
    if base is not None:
        attributes["base_values"] = [0.3] if base == 1 else [0.3 + 0.1 * i for i in range(classes)]
    return attributes
