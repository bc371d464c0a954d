"""Determinants, distinct values and regions of images by hand, on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxdtd import Explainer
from tests.support.one_node import model_of

ENGINES = pytest.mark.parametrize("engine", ["numpy", "onnx"])
SINGULAR = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def arriving(engine: str, op: str, feeds: dict[str, Any], r: Any, **attributes: Any) -> Any:
    """What arrives at x by the gradient if r starts at y."""
    arrays = {k: v if isinstance(v, np.ndarray) else np.array(v, np.float32) for k, v in feeds.items()}
    explainer = Explainer(model_of(op, arrays, 18, **attributes), "gradient", engine=engine)
    return explainer({"x": arrays["x"]}, start={"y": np.array(r, np.float32)}).relevance["x"]


@ENGINES
@pytest.mark.parametrize(
    ("x", "cofactors"),
    [
        ([[5]], [[1]]),
        ([[1, 2], [3, 4]], [[4, -3], [-2, 1]]),
        ([[1, 2], [2, 4]], [[4, -2], [-2, 1]]),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]]),
        ([[0, 1, 0], [0, 0, 2], [3, 0, 0]], [[0, 6, 0], [0, 0, 3], [2, 0, 0]]),
        (SINGULAR, [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]]),
        ([[1, 2, 3], [2, 4, 6], [3, 6, 9]], np.zeros((3, 3))),
    ],
)
def test_the_slopes_of_a_determinant_are_the_cofactors(engine: str, x: Any, cofactors: Any) -> None:
    np.testing.assert_allclose(arriving(engine, "Det", {"x": [x]}, [1]), [cofactors], atol=1e-5)


@ENGINES
def test_determinants_of_matrices_of_any_number_and_size(engine: str) -> None:
    """Batch, stack and size are open: one explainer for all of them."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "stack", "n", "n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "stack"])
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"])], "one", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    explainer = Explainer(model, "gradient", engine=engine)
    two = np.array([[[[1, 2], [3, 4]], [[1, 2], [2, 4]]]] * 3, np.float32)
    expected = [[np.zeros((2, 2)), [[4, -2], [-2, 1]]]] * 3
    np.testing.assert_allclose(explainer({"x": two}, target=1).relevance["x"], expected, atol=1e-6)
    three = explainer({"x": np.array([[SINGULAR]], np.float32)}, target=0).relevance["x"]
    np.testing.assert_allclose(three, [[[[-3, 6, -3], [6, -12, 6], [-3, 6, -3]]]], atol=1e-5)


@ENGINES
@pytest.mark.parametrize(
    ("x", "r", "shares", "more"),
    [
        ([5, 2, 5, 5, 1], [1, 2, 9], [3, 2, 3, 3, 1], {}),
        ([5, 2, 5, 5, 1], [9, 2, 1], [3, 2, 3, 3, 1], {"sorted": 0}),
        ([[5, 2], [2, 7]], [8, 1, 3], [[1, 4], [4, 3]], {}),
        ([[1, 2, 1], [3, 4, 3]], [[8, 2], [6, 4]], [[4, 2, 4], [3, 4, 3]], {"axis": 1, "sorted": 0}),
        ([[3, 4], [1, 2], [3, 4]], [[5, 6], [2, 8]], [[1, 4], [5, 6], [1, 4]], {"axis": -2}),
    ],
)
def test_equals_share_what_is_distinct(
    engine: str, x: Any, r: Any, shares: Any, more: dict[str, Any]
) -> None:
    np.testing.assert_allclose(arriving(engine, "Unique", {"x": x}, r, **more), shares, rtol=1e-6)


IMAGES = np.array([[[[1, 2, 3], [4, 9, 6], [7, 8, 9]]], [[[0, 1, 0], [5, 0, 0], [0, 0, 0]]]], np.float32)


@ENGINES
def test_the_largest_of_a_region_takes_all(engine: str) -> None:
    """The whole first image, whose two nines share; of the second its upper left corner, and nothing."""
    regions = np.array([[0, 0, 0, 2, 2], [1, 0, 0, 1, 1], [1, 5, 5, 6, 6]], np.float32)
    feeds = {"x": IMAGES, "c": regions}
    back = arriving(engine, "MaxRoiPool", feeds, np.reshape([4, 3, 7], (3, 1, 1, 1)), pooled_shape=[1, 1])
    np.testing.assert_allclose(back[0, 0], [[0, 0, 0], [0, 2, 0], [0, 0, 2]])
    np.testing.assert_allclose(back[1, 0], [[0, 0, 0], [3, 0, 0], [0, 0, 0]])


@ENGINES
@pytest.mark.parametrize(
    ("mode", "first", "second"),
    [
        ("avg", np.full((2, 2), 1.0), [[0, 0, 0], [0, 1, 1], [0, 1, 1]]),
        ("max", [[0, 0], [0, 1]], [[0, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]),
    ],
)
def test_a_cell_reads_four_pixels(engine: str, mode: str, first: Any, second: Any) -> None:
    """Each region's one sample lies in the middle of four pixels, each of which has a weight of one quarter."""
    regions = np.array([[0, 0, 1, 1], [1, 1, 2, 2]], np.float32)
    feeds = {"x": IMAGES[:1], "ca": regions, "cb": np.array([0, 0])}
    attributes = {"mode": mode, "sampling_ratio": 1, "coordinate_transformation_mode": "output_half_pixel"}
    back = arriving(engine, "RoiAlign", feeds, np.reshape([4, 8], (2, 1, 1, 1)), **attributes)
    expected = np.zeros((3, 3))
    expected[:2, :2] += np.asarray(first) * 1
    expected += np.asarray(second) * 2
    np.testing.assert_allclose(back[0, 0], expected, rtol=1e-6)
