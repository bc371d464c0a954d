"""Export pipelines as users do, explain 600 rows of each from a CSV, and compare with shap and with the raw margin.

    pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnxmltools==1.16.0 xgboost==3.2.0 lightgbm==4.7.0 \
        catboost==1.2.10 shap==0.51.0 pandas onnx==1.23.2
    python -m tools.tables_check                  # minutes: docs/figures/tables_check.json
    python -m tools.tables_check --fixtures       # seconds: tests/exports/pipeline_*.onnx and pipelines.npz

100 trees of depth 5 (forests 7), a background of 100 rows.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

import onnxdtd
from onnxdtd.errors import UnsupportedError
from tools.paths import EXPORTS, FIGURES
from tools.tables_check.data import CATEGORIES, NUMBERS, Table, table
from tools.tables_check.models import CASES, Case, catboost, exported, fitted, register
from tools.tables_check.reference import blocks, reference

TREES, DEPTH = 100, 5
FEW = {"RandomForest": (8, 2), "GradientBoosting": (8, 3), "HistGradientBoosting": (6, 3), "XGBoost": (8, 3),
       "LightGBM": (8, 3), "LogisticRegression": (0, 0), "SVC": (0, 0), "KNeighbors": (0, 0)}  # fmt: skip


def main() -> None:
    register()
    data = table()
    if "--fixtures" in sys.argv:
        fixtures(data)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for case in CASES:
            results.append(measured(case, data, Path(folder)))
            print(results[-1], flush=True)
        results.append(by_catboost(data, Path(folder)))
    (FIGURES / "tables_check.json").write_text(json.dumps(results, indent=1) + "\n")


def measured(case: Case, data: Table, folder: Path) -> dict[str, Any]:
    """The largest differences over all rows and, of several classes, all classes."""
    pipeline = fitted(case, data, TREES, DEPTH)
    (folder / "model.onnx").write_bytes(exported(pipeline).SerializeToString())
    for name in ("rows", "background"):
        getattr(data, name).to_csv(folder / f"{name}.csv", index=False)
    try:
        explainer = onnxdtd.Explainer(
            folder / "model.onnx", background=folder / "background.csv" if case.kind == "trees" else None
        )
        return {"model": case.name} | compared(explainer, folder / "rows.csv", case, pipeline)
    except UnsupportedError as error:
        return {"model": case.name, "refused": str(error).splitlines()[0]}


def compared(explainer: Any, rows: Any, case: Case, pipeline: Any) -> dict[str, Any]:
    classes = [1] if case.classes == 2 else range(case.classes) if case.classes else [0]
    start = time.perf_counter()
    told = [explainer(rows, k) for k in classes]
    seconds = (time.perf_counter() - start) / len(told)
    shown = [np.concatenate([e.relevance[name] for name in (*NUMBERS, *CATEGORIES)], axis=1) for e in told]
    features = transformed(explainer, rows, pipeline.named_steps["model"].n_features_in_)
    margin = np.asarray(case.margin(pipeline.named_steps["model"], features)).reshape(len(features), -1)
    off = []
    for e, r, k in zip(told, shown, classes, strict=True):
        account = np.array(e.extras["constant"]) if "constant" in e.extras else lost(e)
        off.append(np.abs(r.sum(axis=1) + account - margin[:, min(k, margin.shape[1] - 1)]).max())
    result = {"method": told[0].method, "margin": float(max(off)), "seconds": seconds}
    if case.kind == "smooth":
        return result
    start = time.perf_counter()
    right = reference(case, pipeline.named_steps["model"], features, explainer.graph.background)
    if right is None:
        return result
    result["reference_seconds"] = (time.perf_counter() - start) / len(told)
    own = blocks(right, case.ordinal)  # (N, columns, classes)
    result["reference"] = float(max(np.abs(r - own[:, :, i]).max() for i, r in enumerate(shown)))
    return result


def lost(e: onnxdtd.Explanation) -> np.ndarray:
    """What each sample's books say that no input was given."""
    return np.sum(
        [amounts for node in e.nodes if node.samples for amounts in node.samples.lost.values()], axis=0
    )


def transformed(explainer: Any, rows: Any, width: int) -> np.ndarray:
    """The features as the file computes them, in float32: a value that rounds to the other side of a threshold is
    another row, not another share."""
    graph = explainer.graph
    names = [n.inputs[0] for n in graph.nodes if n.domain == "ai.onnx.ml" or n.op in ("Gemm", "MatMul")]
    wide = [
        name
        for name in names
        if (graph.value(name).shape or ())[1:] and graph.value(name).elem_type == TensorProto.FLOAT
    ]
    values = explainer.activations(explainer.feeds(rows), wide)
    return next(value for value in values.values() if value.shape[1:] == (width,))


def by_catboost(data: Table, folder: Path) -> dict[str, Any]:
    """Its own exporter, numbers only."""
    model = catboost(data, TREES, DEPTH)
    path = folder / "catboost.onnx"
    model.save_model(str(path), format="onnx")
    rows, background = (getattr(data, name)[list(NUMBERS)].to_numpy() for name in ("rows", "background"))
    explainer = onnxdtd.Explainer(path, background=background)
    start = time.perf_counter()
    e = explainer(rows, 1)
    seconds = time.perf_counter() - start
    margin = model.predict(rows, prediction_type="RawFormulaVal")
    (r,) = e.relevance.values()
    off = float(np.abs(r.sum(axis=1) + e.extras["constant"] - margin).max())
    return {"model": "CatBoost", "method": e.method, "margin": off, "seconds": seconds}


def fixtures(data: Table) -> None:
    """Small files for the suite, with what shap says of twelve rows against twenty."""
    few = Table(
        data.train[:300],
        data.rows[:12],
        data.background[:20],
        data.one[:300],
        data.three[:300],
        data.amount[:300],
    )
    goldens: dict[str, np.ndarray] = {}
    for name in (*NUMBERS, *CATEGORIES):
        for part in ("rows", "background"):
            goldens[f"{part}/{name}"] = (
                getattr(few, part)[[name]].to_numpy().astype(str if name in CATEGORIES else np.float32)
            )
    for case in [case for case in CASES if case.name in FEW]:
        pipeline = fitted(case, few, *FEW[case.name])
        path = EXPORTS / f"pipeline_{case.name.lower()}.onnx"
        path.write_bytes(exported(pipeline).SerializeToString(deterministic=True))
        print(f"{path.name}: {path.stat().st_size:,} bytes")
        if case.kind == "refused":
            continue
        feeds = [
            {n: goldens[f"{part}/{n}"] for n in (*NUMBERS, *CATEGORIES)} for part in ("rows", "background")
        ]
        explainer = onnxdtd.Explainer(path)
        model, key = pipeline.named_steps["model"], case.name.lower()
        features, behind = (transformed(explainer, part, model.n_features_in_) for part in feeds)
        goldens[f"{key}/margin"] = np.asarray(case.margin(model, features), np.float64)
        if case.kind != "smooth":
            right = reference(case, model, features, {"": behind})
            goldens[f"{key}/shares"] = blocks(right, case.ordinal)[:, :, 0]
    np.savez_compressed(EXPORTS / "pipelines.npz", **goldens)


if __name__ == "__main__":
    main()
