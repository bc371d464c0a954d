from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from onnxdtd.errors import InputError
from onnxdtd.inputs import check_inputs
from onnxdtd.model.graph import Value

IMAGE = {"x": Value("x", TensorProto.FLOAT, ("N", 3, 4, 5))}
TABLE = {"x": Value("x", TensorProto.FLOAT, ("N", 2))}
TWO = {
    "x": Value("x", TensorProto.FLOAT, ("N", 2)),
    "ids": Value("ids", TensorProto.INT64, (None, "T")),
}
X = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)


def one(elem_type: int, *shape: Any) -> dict[str, Value]:
    return {"x": Value("x", elem_type, shape)}


def message(call: Any, *args: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.longdouble])
def test_any_floating_type_becomes_the_models(dtype: Any) -> None:
    checked = check_inputs(X.astype(dtype), TABLE)
    assert checked["x"].dtype == np.float32
    assert checked["x"].flags.c_contiguous
    np.testing.assert_array_equal(checked["x"], X)
    assert check_inputs(checked, TABLE)["x"] is checked["x"]


@pytest.mark.parametrize(
    ("elem_type", "name"),
    [(TensorProto.FLOAT16, "float16"), (TensorProto.DOUBLE, "float64"), (TensorProto.BFLOAT16, "bfloat16")],
)
def test_models_of_other_floating_types(elem_type: int, name: str) -> None:
    checked = check_inputs(X, one(elem_type, "N", 2))
    assert checked["x"].dtype.name == name
    assert check_inputs(checked["x"], TABLE)["x"].dtype == np.float32


def test_integers_of_any_type_that_fits() -> None:
    for dtype in (np.int8, np.uint64, np.int64):
        assert check_inputs(np.array([[1, 2]], dtype), one(TensorProto.INT32, 1, 2))["x"].dtype == np.int32
    assert check_inputs(np.array([True]), one(TensorProto.BOOL, "N"))["x"].dtype == bool


@pytest.mark.parametrize("shape", [None, (None, None), ("", 2), ("N", "M")])
def test_free_dimensions(shape: Any) -> None:
    assert check_inputs(X, {"x": Value("x", TensorProto.FLOAT, shape)})["x"].shape == (2, 2)


def test_lists_and_order() -> None:
    checked = check_inputs({"ids": [[1]], "x": [[1.0, 2.0]]}, TWO)
    assert list(checked) == ["x", "ids"]
    transposed = check_inputs(X.T, TABLE)["x"]
    assert transposed.flags.c_contiguous
    np.testing.assert_array_equal(transposed, X.T)


NAN = np.array([[1.0, np.nan], [np.inf, np.nan]])

FAULTS: list[tuple[Any, dict[str, Value], str]] = [
    (X[0], TABLE, "has shape (2,) where the model takes (N, 2); add the batch axis: x[None]"),
    (X[:, :1], TABLE, "has shape (2, 1) where the model takes (N, 2)"),
    (
        np.zeros((3, 4, 5)),
        IMAGE,
        "has shape (3, 4, 5) where the model takes (N, 3, 4, 5); add the batch axis: x[None]",
    ),
    (
        np.zeros((1, 4, 5, 3)),
        IMAGE,
        "has shape (1, 4, 5, 3) where the model takes (N, 3, 4, 5); "
        "move the channels forward: np.moveaxis(x, -1, 1)",
    ),
    (
        np.zeros((1, 3, 4, 5)),
        one(TensorProto.FLOAT, None, 4, 5, 3),
        "has shape (1, 3, 4, 5) where the model takes (?, 4, 5, 3); "
        "move the channels to the end: np.moveaxis(x, 1, -1)",
    ),
    (
        np.zeros((7, 2)),
        one(TensorProto.FLOAT, 1, 2),
        "has shape (7, 2) where the model takes (1, 2); the model's batch is fixed: give 1 at a time",
    ),
    (
        1.5,
        one(TensorProto.FLOAT, "N"),
        "has shape () where the model takes (N,); add the batch axis: x[None]",
    ),
    (np.zeros((0, 2)), TABLE, "is empty: shape (0, 2)"),
    (NAN, TABLE, "holds 2 NaN and 1 infinite of 4 values, the first nan at x[0, 1]"),
    (-NAN[1:, :1], one(TensorProto.FLOAT, "N", 1), "holds 1 infinite of 1 values, the first -inf at x[0, 0]"),
    ([[0.0, 1e300]], TABLE, "holds 1 value that float32 cannot hold, the first 1e+300 at x[0, 1]"),
    (
        X * 30000,
        one(TensorProto.FLOAT16, "N", 2),
        "holds 2 values that float16 cannot hold, the first 90000.0 at x[1, 0]",
    ),
    (
        np.zeros((1, 3, 4, 5), np.uint8),
        IMAGE,
        "holds uint8 where the model takes float32: convert it with x.astype('float32'), "
        "and scale pixels as the model was trained, often x / 255; "
        "or name how pictures are prepared, such as --preset unit",
    ),
    (
        [[1, 2]],
        TABLE,
        "holds int64 where the model takes float32: convert it with x.astype('float32')",
    ),
    (
        [[True, False]],
        TABLE,
        "holds bool where the model takes float32: convert it with x.astype('float32')",
    ),
    (
        [["a", "b"]],
        TABLE,
        "holds strings where the model takes float32: convert it with x.astype('float32')",
    ),
    (
        np.array([[None, {}]]),
        TABLE,
        "holds Python objects where the model takes float32: convert it with x.astype('float32')",
    ),
    (
        [1.0],
        one(TensorProto.INT64, "N"),
        "holds float64 where the model takes int64: convert it with x.astype('int64')",
    ),
    (
        [1],
        one(TensorProto.BOOL, "N"),
        "holds int64 where the model takes bool: convert it with x.astype('bool')",
    ),
    (
        [3, 300, -1],
        one(TensorProto.UINT8, "N"),
        "holds 2 values that uint8 cannot hold, the first 300 at x[1]",
    ),
    (
        np.array([2**63], np.uint64),
        one(TensorProto.INT64, "N"),
        "holds 1 value that int64 cannot hold, the first 9223372036854775808 at x[0]",
    ),
    (
        [1.0],
        one(TensorProto.STRING, "N"),
        "holds float64 where the model takes texts: convert it with x.astype(str), as the model was trained",
    ),
    ([1.0], one(TensorProto.UNDEFINED), "is no tensor in the model: only tensors can be given"),
]


@pytest.mark.parametrize(("array", "values", "fault"), FAULTS)
def test_each_fault_names_its_cure(array: Any, values: dict[str, Value], fault: str) -> None:
    assert message(check_inputs, array, values).splitlines()[-1] == f"input 'x' {fault}"


def test_all_faults_at_once() -> None:
    text = message(check_inputs, {"x": np.array([1, 2]), "extra": X, "more": X}, TWO)
    assert text.splitlines() == [
        "the model has no input 'extra': it takes 2 inputs, 'x' float32 (N, 2), 'ids' int64 (?, T)",
        "the model has no input 'more': it takes 2 inputs, 'x' float32 (N, 2), 'ids' int64 (?, T)",
        "input 'x' has shape (2,) where the model takes (N, 2); add the batch axis: x[None]",
        "input 'x' holds int64 where the model takes float32: convert it with x.astype('float32')",
        "input 'ids' int64 (?, T) is missing",
    ]
    assert message(check_inputs, X, TWO) == (
        "the model takes 2 inputs, 'x' float32 (N, 2), 'ids' int64 (?, T); give them by name: {name: array}"
    )
    assert message(check_inputs, [[1.0], [1.0, 2.0]], TABLE).startswith("input 'x' is not an array: ")
