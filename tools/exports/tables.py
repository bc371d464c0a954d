"""Fit small models on scikit-learn's tables and convert them as users do, for `tests/whole/test_ml_exports.py`.

    pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnxmltools==1.16.0 onnxconverter-common==1.16.0 \
        lightgbm==4.7.0 xgboost==3.2.0 treeinterpreter==0.2.3 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
    python -m tools.exports.tables               # seconds

Writes tests/exports/*.onnx and tables.npz: rows, what the libraries themselves say of them, and the contributions of
features by treeinterpreter (which knows the samples at every node) and by the trees' own arrays with each leaf
counted once.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import onnx
import xgboost
from onnx import helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as OtherFloats
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from treeinterpreter import treeinterpreter

from tools.paths import EXPORTS

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
GOLDENS: dict[str, np.ndarray] = {}


def main() -> None:
    EXPORTS.mkdir(exist_ok=True)
    linear_models()
    kernels()
    forests()
    boosters()
    np.savez_compressed(EXPORTS / "tables.npz", **GOLDENS)


def iris() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows as float32, labels, and eight rows to explain, two of them without one value."""
    x, labels = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    return x, labels, x[::20].copy()


def linear_models() -> None:
    x, labels, rows = iris()
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    gaps = rows.copy()
    gaps[1, 2] = gaps[4, 0] = np.nan
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(x, names)
    columns = [(name, FloatTensorType([None, 1])) for name in COLUMNS]
    write("logistic_columns", convert_sklearn(pipeline, initial_types=columns, target_opset=opsets()))
    keep("logistic_columns", gaps, pipeline.decision_function(gaps))
    two = labels < 2
    model = LinearSVC().fit(x[two], labels[two])
    sklearn("linear_svc", model, rows[:5], model.decision_function(rows[:5])[:, None])
    model = make_pipeline(Normalizer("l1"), LogisticRegression()).fit(x[two], labels[two])
    score = model.decision_function(rows[:5])
    sklearn("normalised", model, rows[:5], np.stack([-score, score], axis=1))
    network = MLPClassifier((8,), max_iter=2000, random_state=0)
    network = make_pipeline(StandardScaler(), network).fit(x, labels)
    sklearn("mlp", network, rows, np.log(network.predict_proba(rows)))


def kernels() -> None:
    x, labels, rows = iris()
    for kernel in ("rbf", "poly", "sigmoid"):
        options: dict[str, Any] = {"coef0": 0.5, "degree": 2, "gamma": 0.05}
        model = SVR(kernel=kernel, **options).fit(x[::2], labels[::2].astype(float))
        sklearn(f"svr_{kernel}", model, rows, model.predict(rows)[:, None])
    two = labels < 2
    model = SVC(kernel="rbf").fit(x[two], labels[two])
    score = model.decision_function(rows[:5])
    # The exported node gives the score of the second class first.
    sklearn("svc_rbf", model, rows[:5], np.stack([score, -score], axis=1))
    several = SVC(kernel="linear").fit(x, labels)
    sklearn("svc_linear_three", several, rows, several.decision_function(rows))


def forests() -> None:
    x, labels, rows = iris()
    forest = RandomForestClassifier(6, max_depth=4, random_state=0).fit(x, labels)
    proto = sklearn("random_forest", forest, rows, forest.predict_proba(rows))
    trees = [tree.tree_ for tree in forest.estimators_]
    shares = [normalised(tree.value[:, 0, :]) for tree in trees]
    keep_paths("random_forest", rows, trees, shares, 1 / len(trees))
    with_counts(proto, trees)
    write("random_forest_counts", proto)
    _, bias, contributions = treeinterpreter.predict(forest, rows)
    GOLDENS["random_forest_counts/bias"], GOLDENS["random_forest_counts/paths"] = bias, contributions

    z, progress = load_diabetes(return_X_y=True)
    z = z.astype(np.float32)
    regressor = RandomForestRegressor(5, max_depth=5, random_state=0).fit(z, progress)
    sklearn("forest_regressor", regressor, z[:8], regressor.predict(z[:8])[:, None])
    trees = [tree.tree_ for tree in regressor.estimators_]
    keep_paths("forest_regressor", z[:8], trees, [tree.value[:, 0, :] for tree in trees], 1 / len(trees))

    b, kinds = load_breast_cancer(return_X_y=True)
    b = b.astype(np.float32)
    boosting = GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0).fit(b, kinds)
    score = boosting.decision_function(b[:8])
    sklearn("gradient_boosting", boosting, b[:8], np.stack([-score, score], axis=1))
    trees = [tree.tree_ for tree in boosting.estimators_[:, 0]]
    keep_paths("gradient_boosting", b[:8], trees, [t.value[:, 0, :] for t in trees], boosting.learning_rate)


def boosters() -> None:
    x, labels, rows = iris()
    gaps = rows.copy()
    gaps[1, 2] = gaps[4, 0] = np.nan
    holes = x.copy()
    holes[::7, 2] = holes[::9, 0] = np.nan
    kind = [("input", OtherFloats([None, 4]))]
    light = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=6, verbose=-1, random_state=0).fit(
        holes, labels
    )
    write("lightgbm", convert_lightgbm(light, initial_types=kind, target_opset=15, zipmap=False))
    keep("lightgbm", gaps, light.predict(gaps, raw_score=True))
    boost = xgboost.XGBClassifier(n_estimators=5, max_depth=3, random_state=0).fit(holes, labels)
    write("xgboost", convert_xgboost(boost, initial_types=kind, target_opset=15))
    keep("xgboost", gaps, boost.predict(gaps, output_margin=True))


def opsets() -> dict[str, int]:
    return {"": OPSET, "ai.onnx.ml": ML_OPSET}


def sklearn(name: str, model: Any, rows: np.ndarray, scores: np.ndarray) -> onnx.ModelProto:
    kind = [("input", FloatTensorType([None, rows.shape[1]]))]
    proto = convert_sklearn(model, initial_types=kind, target_opset=opsets())
    write(name, proto)
    keep(name, rows, scores)
    return proto


def write(name: str, proto: onnx.ModelProto) -> None:
    proto.ir_version = min(proto.ir_version, IR_VERSION)
    onnx.checker.check_model(proto)
    path = EXPORTS / f"{name}.onnx"
    path.write_bytes(proto.SerializeToString(deterministic=True))
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(proto.graph.node)} nodes")


def keep(name: str, rows: np.ndarray, scores: np.ndarray) -> None:
    """rows (N, features) and the scores (N, classes) before the link function, by the library itself."""
    GOLDENS[f"{name}/rows"], GOLDENS[f"{name}/scores"] = rows, np.asarray(scores, np.float64)


def normalised(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=1, keepdims=True)


def keep_paths(name: str, rows: np.ndarray, trees: list[Any], values: list[np.ndarray], scale: float) -> None:
    """Contributions (N, features, targets), each node worth the mean of the leaves below it."""
    found = np.zeros((*rows.shape, values[0].shape[1]))
    for tree, value in zip(trees, values, strict=True):
        for row, contribution in zip(rows, found, strict=True):
            add_path(tree, value, row, contribution, scale)
    GOLDENS[f"{name}/paths"] = found


def add_path(tree: Any, value: np.ndarray, row: np.ndarray, contribution: np.ndarray, scale: float) -> None:
    at = 0
    while tree.children_left[at] >= 0:
        goes_left = row[tree.feature[at]] <= tree.threshold[at]
        to = tree.children_left[at] if goes_left else tree.children_right[at]
        change = leaf_values(tree, value, to).mean(axis=0) - leaf_values(tree, value, at).mean(axis=0)
        contribution[tree.feature[at]] += scale * change
        at = to


def leaf_values(tree: Any, value: np.ndarray, at: int) -> np.ndarray:
    if tree.children_left[at] < 0:
        return value[at : at + 1]
    below = (tree.children_left[at], tree.children_right[at])
    return np.concatenate([leaf_values(tree, value, child) for child in below])


def with_counts(proto: onnx.ModelProto, trees: list[Any]) -> None:
    """Write the samples of training at every node into nodes_hitrates."""
    (node,) = (n for n in proto.graph.node if n.op_type == "TreeEnsembleClassifier")
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    pairs = zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True)
    counts = [float(trees[tree].weighted_n_node_samples[number]) for tree, number in pairs]
    (hits,) = (a for a in node.attribute if a.name == "nodes_hitrates")
    hits.CopyFrom(helper.make_attribute("nodes_hitrates", counts))


if __name__ == "__main__":
    main()
