"""The pipelines: StandardScaler, OneHotEncoder and an estimator, fitted and exported as users do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common import _container
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBClassifier, XGBRegressor

from tools.tables_check.data import CATEGORIES, NUMBERS, Table

Margin = Callable[[Any, Any], np.ndarray]


@dataclass(frozen=True)
class Case:
    """name: of the estimator. make(trees, depth): a new one. kind: trees, linear, smooth or refused.
    margin(estimator, features): the raw score by the library. classes: of the target, 0 for a number. ordinal:
    categories as codes."""

    name: str
    make: Callable[[int, int], Any]
    kind: str
    margin: Margin
    classes: int = 2
    ordinal: bool = False


def decision(model: Any, x: Any) -> np.ndarray:
    return model.decision_function(x)


def probability(model: Any, x: Any) -> np.ndarray:
    return model.predict_proba(x)[:, 1:].squeeze(1) if model.n_classes_ == 2 else model.predict_proba(x)


def logit(model: Any, x: Any) -> np.ndarray:
    p = model.predict_proba(x)[:, 1]
    return np.log(p) - np.log1p(-p)


def first(model: Any, x: Any) -> np.ndarray:
    """The exported SVMClassifier gives the score of the second class first."""
    return -model.decision_function(x)


def number(model: Any, x: Any) -> np.ndarray:
    return model.predict(x)


def boosted(model: Any, x: Any) -> np.ndarray:
    return model.predict(x, output_margin=True)


def raw(model: Any, x: Any) -> np.ndarray:
    return model.predict(x, raw_score=True)


SEED = {"random_state": 0}
CASES = (
    Case("LogisticRegression", lambda n, d: LogisticRegression(max_iter=500), "linear", decision),
    Case("LinearSVC", lambda n, d: LinearSVC(**SEED), "linear", decision),
    Case("RandomForest", lambda n, d: RandomForestClassifier(n, max_depth=d + 2, **SEED), "trees", probability),
    Case("RandomForest, codes", lambda n, d: RandomForestClassifier(n, max_depth=d + 2, **SEED), "trees", probability,
         ordinal=True),
    Case("RandomForest, 3 classes", lambda n, d: RandomForestClassifier(n, max_depth=d + 2, **SEED), "trees",
         probability, 3),
    Case("RandomForest, number", lambda n, d: RandomForestRegressor(n, max_depth=d + 2, **SEED), "trees", number, 0),
    Case("ExtraTrees", lambda n, d: ExtraTreesClassifier(n, max_depth=d + 2, **SEED), "trees", probability),
    Case("GradientBoosting", lambda n, d: GradientBoostingClassifier(n_estimators=n, max_depth=d, **SEED),
         "trees", decision),
    Case("GradientBoosting, 3 classes", lambda n, d: GradientBoostingClassifier(n_estimators=n, max_depth=d, **SEED),
         "trees", decision, 3),
    Case("HistGradientBoosting", lambda n, d: HistGradientBoostingClassifier(max_iter=n, max_depth=d, **SEED),
         "trees", decision),
    Case("XGBoost", lambda n, d: XGBClassifier(n_estimators=n, max_depth=d, **SEED), "trees", boosted),
    Case("XGBoost, 3 classes", lambda n, d: XGBClassifier(n_estimators=n, max_depth=d, **SEED), "trees", boosted, 3),
    Case("XGBoost, number", lambda n, d: XGBRegressor(n_estimators=n, max_depth=d, **SEED), "trees", number, 0),
    Case("LightGBM", lambda n, d: LGBMClassifier(n_estimators=n, max_depth=d, verbose=-1, **SEED), "trees", raw),
    Case("LightGBM, number", lambda n, d: LGBMRegressor(n_estimators=n, max_depth=d, verbose=-1, **SEED), "trees",
         number, 0),
    Case("SVC", lambda n, d: SVC(), "smooth", first),
    Case("MLP", lambda n, d: MLPClassifier((16,), max_iter=400, **SEED), "smooth", logit),
    Case("KNeighbors", lambda n, d: KNeighborsClassifier(), "refused", probability),
)  # fmt: skip


def register() -> None:
    """Tell skl2onnx of XGBoost and LightGBM, as their users do; and give onnx numbers for the booleans that skl2onnx
    1.20 writes of histogram gradient boosting, which onnx 1.23 refuses."""
    make_node = _container.make_node

    def of_numbers(*names: Any, **attributes: Any) -> onnx.NodeProto:
        lists = {k: [int(v) if isinstance(v, (bool, np.bool_)) else v for v in values]
                 for k, values in attributes.items() if isinstance(values, list)}  # fmt: skip
        return make_node(*names, **{**attributes, **lists})

    _container.make_node = of_numbers
    options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    for kind, convert in ((XGBClassifier, convert_xgboost), (LGBMClassifier, convert_lightgbm)):
        update_registered_converter(
            kind, kind.__name__, calculate_linear_classifier_output_shapes, convert, options=options
        )
    for kind, convert in ((XGBRegressor, convert_xgboost), (LGBMRegressor, convert_lightgbm)):
        update_registered_converter(kind, kind.__name__, calculate_linear_regressor_output_shapes, convert)


def fitted(case: Case, table: Table, trees: int, depth: int) -> Pipeline:
    """The pipeline, fitted."""
    encoder = (
        OrdinalEncoder() if case.ordinal else OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    columns = [("numbers", StandardScaler(), list(NUMBERS)), ("categories", encoder, list(CATEGORIES))]
    target = {0: table.amount, 2: table.one, 3: table.three}[case.classes]
    pipeline = Pipeline([("columns", ColumnTransformer(columns)), ("model", case.make(trees, depth))])
    return pipeline.fit(table.train, target)


def exported(pipeline: Pipeline) -> onnx.ModelProto:
    """One graph input for each column, texts among them."""
    types = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    types += [(name, StringTensorType([None, 1])) for name in CATEGORIES]
    model = pipeline.named_steps["model"]
    # LinearSVC takes no ZipMap, and needs an option of its own not to be given one.
    own = {"raw_scores": True} if isinstance(model, LinearSVC) else {"zipmap": False}
    options = {type(model): own} if hasattr(model, "classes_") else None
    proto = convert_sklearn(
        pipeline, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3}, options=options
    )
    proto.ir_version = min(proto.ir_version, 8)
    return proto


def catboost(table: Table, trees: int, depth: int) -> CatBoostClassifier:
    """CatBoost exports by itself, and numbers only."""
    model = CatBoostClassifier(
        iterations=trees, depth=depth, verbose=False, allow_writing_files=False, random_seed=0
    )
    return model.fit(table.train[list(NUMBERS)].to_numpy(), table.one)
