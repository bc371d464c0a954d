"""Models that skl2onnx and onnxmltools exported (tools/exports/tables.py): explained as the libraries see them."""

from __future__ import annotations

import numpy as np
import onnxruntime.datasets
import pytest

import onnxdtd
from onnxdtd.cli import main
from onnxdtd.reading.shows import columns
from onnxdtd.render import save_heatmap
from tests.support.paths import EXPORTS

GOLDENS = np.load(EXPORTS / "tables.npz")
NAMES = sorted({key.split("/")[0] for key in GOLDENS})
SMOOTH = ["linear_svc", "normalised", "svr_rbf", "svr_poly", "svr_sigmoid", "svc_rbf", "mlp"]
TREES = [
    "random_forest",
    "random_forest_counts",
    "forest_regressor",
    "gradient_boosting",
    "lightgbm",
    "xgboost",
]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def rows_of(name: str):
    rows = GOLDENS[f"{name.removesuffix('_counts')}/rows"]
    return {c: rows[:, [i]] for i, c in enumerate(COLUMNS)} if name == "logistic_columns" else rows


def scores_of(name: str) -> np.ndarray:
    return GOLDENS[f"{name.removesuffix('_counts')}/scores"]


def explain(name: str, target=None, method: str = "epsilon_plus", **options):
    explainer = onnxdtd.Explainer(EXPORTS / f"{name}.onnx", method, verify=True, **options)
    return explainer(rows_of(name), target)


def total(e: onnxdtd.Explanation) -> np.ndarray:
    return sum(r.sum(axis=1) for r in e.relevance.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_score_explained_is_the_librarys_own(name):
    """Before softmax and sigmoid, for every class. A boosted margin of several classes has a free constant."""
    scores = scores_of(name)
    explained = np.stack([explain(name, k).target_value for k in range(scores.shape[1])], axis=1)
    if name in ("lightgbm", "xgboost", "mlp"):
        explained, scores = (s - s.mean(axis=1, keepdims=True) for s in (explained, scores))
    np.testing.assert_allclose(explained, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["epsilon_plus", "dtd"])
def test_every_score_is_explained_and_accounted_for(name, method):
    e = explain(name, method=method)
    assert all(np.isfinite(r).all() for r in e.relevance.values())
    assert all(r.any() for r in e.relevance.values()) or not e.seed.any()
    assert e.conservation.relative < 1e-4
    assert all(output.dtype.kind in "fiU" or output.dtype == object for output in e.outputs.values())


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_by_central_differences(name):
    e = explain(name, 0, "gradient")
    rows, step = rows_of(name).astype(np.float64), 1e-2
    for i in range(rows.shape[1]):
        ahead, behind = (explained_at(name, rows + s * step * np.eye(rows.shape[1])[i]) for s in (1, -1))
        np.testing.assert_allclose(
            e.relevance["input"][:, i], (ahead - behind) / (2 * step), rtol=2e-2, atol=2e-3
        )


def explained_at(name: str, rows: np.ndarray) -> np.ndarray:
    e = onnxdtd.Explainer(EXPORTS / f"{name}.onnx", "gradient")(rows.astype(np.float32), 0)
    return e.target_value


@pytest.mark.parametrize("name", SMOOTH)
def test_both_engines_agree(name):
    for method in ("epsilon_plus", "gradient"):
        one, other = (explain(name, method=method, engine=engine) for engine in ("numpy", "onnx"))
        np.testing.assert_allclose(one.relevance["input"], other.relevance["input"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["random_forest", "forest_regressor", "gradient_boosting", "random_forest_counts"]
)
def test_trees_give_each_feature_the_changes_on_its_splits(name):
    """The golden is computed from scikit-learn's own trees; with the counts of samples, by treeinterpreter."""
    paths = GOLDENS[f"{name}/paths"]
    for k in range(paths.shape[2]):
        classes = {"gradient_boosting": 1}.get(name, k)
        e = explain(name, classes)
        assert e.method == "saabas"
        np.testing.assert_allclose(e.relevance["input"], paths[:, :, k], rtol=1e-4, atol=2e-6)
    if name == "random_forest_counts":
        e = explain(name)
        k = [index for ((index,),) in e.target]
        rest = e.target_value - total(e)
        np.testing.assert_allclose(rest, GOLDENS[f"{name}/bias"][range(len(k)), k], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TREES)
def test_what_trees_do_not_share_is_their_expectation(name):
    """It is the same for every row, and the ledger calls it the bias."""
    e = explain(name, 0)
    rest = e.target_value - total(e)
    np.testing.assert_allclose(rest, rest[0], rtol=1e-4, atol=1e-4)
    assert e.conservation.lost_to("bias") == pytest.approx(rest.sum(), abs=1e-3)


@pytest.mark.parametrize("name", TREES)
def test_the_gradient_of_trees_is_zero_and_the_plan_warns(name):
    e = explain(name, method="gradient")
    assert not e.relevance[next(iter(e.relevance))].any()
    assert any("is piecewise constant, so no gradient" in warning for warning in e.warnings)
    assert not any("piecewise" in warning for warning in explain(name).warnings)


@pytest.mark.parametrize("name", TREES)
def test_the_walk_through_trees_is_compiled(name):
    walks = [
        onnxdtd.Explainer(EXPORTS / f"{name}.onnx", "attnlrp", engine).one_pass(rows_of(name), 0)
        for engine in ("numpy", "onnx")
    ]
    np.testing.assert_allclose(*(e.relevance["input"] for e in walks), rtol=1e-4, atol=1e-6)
    assert explain(name, 0, "auto", engine="onnx").engine == "onnx"


def test_two_classes_of_one_score_get_opposite_relevance():
    one, other = (explain("gradient_boosting", k).relevance["input"] for k in (0, 1))
    np.testing.assert_allclose(one, -other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "logistic_columns"])
def test_missing_values_are_taken(name):
    rows = GOLDENS[f"{name}/rows"]
    assert np.isnan(rows).sum() == 2
    for method in ("epsilon_plus", "dtd"):
        assert all(np.isfinite(r).all() for r in explain(name, method=method).relevance.values())


def test_an_imputed_value_is_the_models_own():
    for method in ("gradient_x_input", "gradient", "epsilon_plus"):
        e = explain("logistic_columns", 0, method)
        assert e.relevance["petal_length"][1] == 0
        assert e.relevance["sepal_length"][4] == 0


def test_missing_values_are_refused_where_the_model_does_not_know_them():
    rows = GOLDENS["logistic_columns/rows"]
    with pytest.raises(onnxdtd.InputError, match="holds 2 NaN"):
        onnxdtd.explain(EXPORTS / "mlp.onnx", rows)


def test_dictionaries_become_arrays_and_their_keys_class_names():
    e = explain("logistic_columns")
    assert e.output == "output_probability"
    assert e.outputs["output_probability"].shape == (8, 3)
    np.testing.assert_allclose(e.outputs["output_probability"].sum(axis=1), 1, rtol=1e-5)
    assert e.labels == ("setosa", "versicolor", "virginica")
    assert [str(name) for name in e.outputs["output_label"]] == [e.labels[i] for ((i,),) in e.target]


def test_the_model_that_onnxruntime_ships():
    path = onnxruntime.datasets.get_example("logreg_iris.onnx")
    rows = GOLDENS["mlp/rows"][:3, :2]
    e = onnxdtd.Explainer(path, "epsilon_plus", verify=True)(rows)
    assert np.isfinite(e.relevance["float_input"]).all()
    assert e.conservation.relative < 1e-4
    assert e.outputs["probabilities"].shape == (3, 3)


def test_the_bars_of_a_table_with_one_input_for_each_column(tmp_path):
    e = explain("logistic_columns")
    assert columns(e) == tuple(COLUMNS)
    assert save_heatmap(e, tmp_path / "bars.svg") is not None
    text = (tmp_path / "bars.svg").read_text()
    assert all(f"{name} = " in text for name in COLUMNS)
    assert save_heatmap(e, tmp_path / "one.svg", name="petal_width") is not None
    assert "sepal" not in (tmp_path / "one.svg").read_text()


def test_the_command_line_on_a_pipeline_of_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    np.savez(tmp_path / "rows.npz", **rows_of("logistic_columns"))
    model = str(EXPORTS / "logistic_columns.onnx")
    assert main(["run", model, str(tmp_path / "rows.npz"), "-o", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "heatmap.png" in told
    assert "of sample 0 and" not in told
    assert "constants" in told
    loaded = onnxdtd.Explanation.load(tmp_path / "out")
    assert set(loaded.relevance) == set(COLUMNS)
    assert np.isnan(loaded.inputs["petal_length"][1, 0])
