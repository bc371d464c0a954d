"""Pipelines of StandardScaler, OneHotEncoder and an estimator (tools/tables_check): as shap and margins have them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import onnxdtd
from onnxdtd.cli import main
from onnxdtd.errors import UnsupportedError
from tests.support.paths import EXPORTS

GOLDENS = np.load(EXPORTS / "pipelines.npz")
ROWS, BACKGROUND = (
    {key.split("/")[1]: GOLDENS[key] for key in GOLDENS if key.startswith(f"{part}/")}
    for part in ("rows", "background")
)
TREES = ["randomforest", "gradientboosting", "histgradientboosting", "xgboost", "lightgbm"]


def explainer(name: str, method: str = "auto", **options):
    return onnxdtd.Explainer(EXPORTS / f"pipeline_{name}.onnx", method, verify=True, **options)


def shares(e: onnxdtd.Explanation) -> np.ndarray:
    """(N, columns), in the order of the table."""
    return np.concatenate([e.relevance[name] for name in ROWS], axis=1)


@pytest.mark.parametrize("name", TREES)
def test_trees_are_equal_to_shap(name):
    e = explainer(name, background=BACKGROUND)(ROWS, 1)
    assert e.method == "tree_shap"
    np.testing.assert_allclose(shares(e), GOLDENS[f"{name}/shares"], atol=1e-5)


@pytest.mark.parametrize("method", ["tree_shap", "saabas"])
@pytest.mark.parametrize("name", TREES)
def test_trees_add_up_to_the_raw_margin(name, method):
    """Base score included, before the link."""
    e = explainer(name, method, background=BACKGROUND)(ROWS, 1)
    margin = GOLDENS[f"{name}/margin"]
    np.testing.assert_allclose(shares(e).sum(axis=1) + e.extras["constant"], margin, atol=1e-5)
    assert e.conservation.relative < 1e-4


def test_a_linear_model_is_exact():
    """Coefficient times standardised value; of a category, its own coefficient."""
    e = explainer("logisticregression")(ROWS, 1)
    assert e.method == "natural"
    np.testing.assert_allclose(shares(e), GOLDENS["logisticregression/shares"], atol=1e-5)
    np.testing.assert_allclose(e.target_value, GOLDENS["logisticregression/margin"], atol=1e-5)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_kernel_adds_up_with_its_bias(engine):
    e = explainer("svc", engine=engine)(ROWS, 1)
    np.testing.assert_allclose(np.abs(e.target_value), np.abs(GOLDENS["svc/margin"]), atol=1e-4)
    if engine == "numpy":
        assert e.conservation.relative < 1e-4


def test_neighbours_are_refused_by_name():
    with pytest.raises(UnsupportedError, match="TopK: 'To_Indices1' says which of its values it took"):
        explainer("kneighbors")(ROWS, 1)


def test_from_a_csv_by_column_names(tmp_path, capsys):
    for name, columns in (("rows", ROWS), ("background", BACKGROUND)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(column[:, 0].tolist() for column in columns.values()), strict=True))
    model, rows = str(EXPORTS / "pipeline_xgboost.onnx"), str(tmp_path / "rows.csv")
    told = ["run", model, rows, "-o", str(tmp_path / "out"), "-t", "1"]
    assert main([*told, "--background", str(tmp_path / "background.csv")]) == 0
    out = capsys.readouterr().out
    assert "tree_shap" in out
    assert "input" in out
    assert "rest" not in out  # the input's part and the constant are all
