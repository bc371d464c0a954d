"""Columns of categories: texts, integers or floats that an encoder turns into blocks or codes; by hand."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.cli import main

T = TensorProto
ML = "ai.onnx.ml"
CITIES = [b"Bern", b"Oslo", b"Rome"]
WEIGHTS = np.array([[2.0], [1.0], [-3.0], [0.5]], np.float32)  # age, then the three cities


def model(nodes, inputs, weights=WEIGHTS):
    """... -> features -> Gemm(weights, 0.25) -> y."""
    gemm = helper.make_node("Gemm", ["features", "w", "b"], ["y"])
    constants = {"w": weights, "b": np.array([0.25], np.float32), "first": np.array([0]), "last": np.array([1]),
                 "rows": np.array([-1, 3])}  # fmt: skip
    graph = helper.make_graph(
        [*nodes, gemm], "table",
        [helper.make_tensor_value_info(name, kind, ["N", width]) for name, kind, width in inputs],
        [helper.make_tensor_value_info("y", T.FLOAT, ["N", 1])],
        [numpy_helper.from_array(a, name) for name, a in constants.items()],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)], ir_version=8
    )


def encoder(source, made="block", **categories):
    return helper.make_node("OneHotEncoder", [source], [made], domain=ML, **{"zeros": 1, **categories})


def joined(*parts):
    return [
        helper.make_node("Reshape", ["block", "rows"], ["flat"]),
        helper.make_node("Concat", [*parts, "flat"], ["features"], axis=1),
    ]


BY_COLUMN = model(
    [encoder("city", cats_strings=CITIES), *joined("age")], [("age", T.FLOAT, 1), ("city", T.STRING, 1)]
)
AGE = np.array([[1.5], [-1.0], [2.0]], np.float32)
TOWNS = np.array([["Oslo"], ["Rome"], ["Paris"]])  # the encoder knows no Paris
OF_TOWNS = [[-3.0], [0.5], [0.0]]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", ["auto", "attnlrp", "gradient_x_input"])
@pytest.mark.parametrize("texts", [TOWNS, TOWNS.astype("S"), TOWNS.astype(object)], ids=["U", "S", "objects"])
def test_a_column_of_texts_gets_the_sum_of_its_block(method, engine, texts):
    e = onnxdtd.explain(BY_COLUMN, {"age": AGE, "city": texts}, 0, method, engine, bias=None)
    np.testing.assert_allclose(e.relevance["age"], 2 * AGE, rtol=1e-5)
    np.testing.assert_allclose(e.relevance["city"], OF_TOWNS, rtol=1e-5)
    assert e.outputs["y"][0, 0] == pytest.approx(3.0 - 3.0 + 0.25)


def test_what_is_no_text_is_named():
    with pytest.raises(onnxdtd.InputError, match=r"'city' holds a float .* the first nan at x\[1, 0\]"):
        onnxdtd.explain(BY_COLUMN, {"age": AGE[:2], "city": np.array([["Oslo"], [np.nan]], object)})
    with pytest.raises(onnxdtd.InputError, match=r"'city' holds float64 where the model takes texts"):
        onnxdtd.explain(BY_COLUMN, {"age": AGE[:2], "city": np.zeros((2, 1))})


def test_texts_are_saved_and_loaded(tmp_path, capsys):
    np.savez(tmp_path / "rows.npz", age=AGE, city=TOWNS)
    (tmp_path / "model.onnx").write_bytes(BY_COLUMN.SerializeToString())
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "model.onnx"), str(tmp_path / "rows.npz"), "-o", str(out)]) == 0
    assert capsys.readouterr().err == ""
    e = onnxdtd.Explanation.load(out)
    assert e.inputs["city"].tolist() == TOWNS.tolist()
    np.testing.assert_allclose(e.relevance["city"], OF_TOWNS, rtol=1e-5)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("kind", [T.FLOAT, T.INT64, T.STRING])
def test_one_matrix_whose_second_column_is_a_category(kind, engine):
    """Floats are cast to integers in front of the encoder; their derivative is zero, their share is not."""
    columns = [
        helper.make_node("Gather", ["x", name], [f"{name}_column"], axis=1) for name in ("first", "last")
    ]
    kinds = {T.FLOAT: np.float32, T.INT64: np.int64, T.STRING: str}
    if kind == T.STRING:
        categories = {"cats_strings": [b"7", b"8", b"9"]}
        start = [
            helper.make_node(
                "LabelEncoder",
                ["first_column"],
                ["age"],
                domain=ML,
                keys_strings=[b"3", b"5"],
                values_floats=[3.0, 5.0],
            )
        ]
    else:
        categories = {"cats_int64s": [7, 8, 9]}
        start = [helper.make_node("Cast", ["first_column"], ["age"], to=T.FLOAT)]
    if kind == T.FLOAT:
        start.append(helper.make_node("Cast", ["last_column"], ["code"], to=T.INT64))
    block = encoder("code" if kind == T.FLOAT else "last_column", **categories)
    table = model([*columns, *start, block, *joined("age")], [("x", kind, 2)])
    x = np.array([[3, 8], [5, 9]]).astype(kinds[kind])
    for method in ("auto", "attnlrp"):
        e = onnxdtd.explain(table, x, 0, method, engine)
        np.testing.assert_allclose(e.relevance["x"], [[6, -3], [10, 0.5]], rtol=1e-5)
    slopes = onnxdtd.explain(table, x, 0, "gradient_x_input", engine).relevance["x"]
    np.testing.assert_allclose(
        slopes, [[6, 0], [10, 0]] if kind == T.FLOAT else [[6, -3], [10, 0.5]], rtol=1e-5
    )


def test_a_code_stands_for_its_category():
    """LabelEncoder and CategoryMapper write a number, which a weight multiplies."""
    codes = {"LabelEncoder": {"keys_strings": CITIES, "values_int64s": [4, 5, 6]},
             "CategoryMapper": {"cats_strings": CITIES, "cats_int64s": [4, 5, 6]}}  # fmt: skip
    for op, attributes in codes.items():
        nodes = [helper.make_node(op, ["city"], ["code"], domain=ML, **attributes),
                 helper.make_node("Cast", ["code"], ["features"], to=T.FLOAT)]  # fmt: skip
        table = model(nodes, [("city", T.STRING, 1)], np.array([[2.0]], np.float32))
        e = onnxdtd.explain(table, np.array([["Oslo"], ["Rome"]]), 0, "attnlrp", verify=True)
        np.testing.assert_allclose(e.relevance["city"], [[10.0], [12.0]], rtol=1e-5)


def test_a_column_of_integers_beside_a_category_is_no_mask():
    nodes = [
        encoder("kind", cats_int64s=[7, 8, 9]),
        helper.make_node("Cast", ["age"], ["years"], to=T.FLOAT),
        *joined("years"),
    ]
    table = model(nodes, [("age", T.INT64, 1), ("kind", T.INT64, 1)])
    e = onnxdtd.explain(table, {"age": np.array([[3]]), "kind": np.array([[8]])}, 0)
    assert (e.relevance["age"].item(), e.relevance["kind"].item()) == (6.0, -3.0)
    assert e.extras["constant"] == pytest.approx([0.25])
    assert not any("mask" in warning for warning in e.warnings)


def test_an_imputed_value_counts_for_its_column():
    """natural: 2 * 1.25 of the imputed age; no NaN comes of it."""
    fill = helper.make_node(
        "Imputer",
        ["age"],
        ["filled"],
        domain=ML,
        imputed_value_floats=[1.25],
        replaced_value_float=float("nan"),
    )
    table = model(
        [fill, encoder("city", cats_strings=CITIES), *joined("filled")],
        [("age", T.FLOAT, 1), ("city", T.STRING, 1)],
    )
    e = onnxdtd.explain(table, {"age": np.array([[np.nan]], np.float32), "city": np.array([["Bern"]])}, 0)
    assert (e.method, e.relevance["city"].item()) == ("natural", 1.0)
    assert (e.relevance["age"].item(), e.extras["constant"]) == (2.5, [0.25])
