"""Numbers worked out from first principles, apart from this code: rules, pooling, two-layer networks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from onnxdtd.registry import RULES
from tests.support.paths import GOLDENS
from tests.support.single_op import Example, X, site_of

ROWS: list[dict[str, Any]] = json.loads((GOLDENS / "first_principles.json").read_text())
EXACT = {"epsilon": 0.0, "bias": "redistribute"}


def of_kind(kind: str) -> list[Any]:
    rows = [row for row in ROWS if row["kind"] == kind]
    return [pytest.param(row, id=f"{row.get('rule', kind)}-{i}") for i, row in enumerate(rows)]


@pytest.mark.parametrize("row", of_kind("layer"))
def test_layer(row: dict[str, Any]) -> None:
    W, b, x = (np.array(row[key]) for key in ("W", "b", "x"))
    example = Example("Gemm", (X((1, len(x))), W, b))
    site = site_of(example, {"x0": x[None]}, np.maximum(x @ W + b, 0)[None], precise={"x1": W, "x2": b})
    parameters = dict(EXACT)
    if row["rule"] in ("zbox", "zplus_shifted"):
        parameters = {"epsilon": 0.0, "low": row["low"]}
    if row["rule"] == "zbox":
        parameters["high"] = row["high"]
    (relevance,) = RULES[row["rule"]].make(**parameters)(site, np.array(row["R_out"])[None])
    np.testing.assert_allclose(relevance[0], row["R_in"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("row", of_kind("mlp"))
def test_two_layer_network(row: dict[str, Any]) -> None:
    """Deep Taylor by hand from the two sites: z+ at the hidden layer, z-box at the input."""
    W1, b1, W2, b2, x = (np.array(row[key]) for key in ("W1", "b1", "W2", "b2", "x"))
    h = np.maximum(x @ W1 + b1, 0)
    y = np.maximum(h @ W2 + b2, 0)
    np.testing.assert_allclose(y, row["y"], rtol=1e-6, atol=1e-9)
    seed = np.where(np.arange(len(y)) == row["target"], y, 0)[None]
    upper = site_of(Example("Gemm", (X((1, len(h))), W2, b2)), {"x0": h[None]}, (h @ W2 + b2)[None],
                    precise={"x1": W2, "x2": b2})  # fmt: skip
    lower = site_of(Example("Gemm", (X((1, len(x))), W1, b1)), {"x0": x[None]}, (x @ W1 + b1)[None],
                    precise={"x1": W1, "x2": b1})  # fmt: skip
    (hidden,) = RULES["signed_zplus"].make()(upper, seed)
    np.testing.assert_allclose(hidden[0], row["R_hidden"], rtol=1e-6, atol=1e-9)
    low, high = row["input_range"]
    (relevance,) = RULES["zbox"].make(low=low, high=high, epsilon=0.0)(lower, hidden)
    np.testing.assert_allclose(relevance[0], row["R_input"], rtol=1e-6, atol=1e-9)
    slope = RULES["gradient"].make()(upper, (np.arange(len(y)) == row["target"])[None] * 1.0)[0]
    (gradient,) = RULES["gradient"].make()(lower, slope * (h > 0))
    np.testing.assert_allclose(gradient[0], row["gradient"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(gradient[0] * x, row["gradient_x_input"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("row", of_kind("conv1d"))
def test_convolution(row: dict[str, Any]) -> None:
    w, x, r = np.array(row["w"])[:, None], np.array(row["x"])[None, None], np.array(row["R_out"])[None]
    site = site_of(Example("Conv", (X(x.shape), w)), {"x0": x}, r, precise={"x1": w})
    (relevance,) = RULES["zplus"].make(**EXACT)(site, r)
    np.testing.assert_allclose(relevance.ravel(), row["R_in"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("row", of_kind("sum_pool"))
def test_sum_pooling(row: dict[str, Any]) -> None:
    x = np.array(row["x"])[None]
    example = Example("ReduceSum", (X(x.shape), np.array([1])))
    site = site_of(example, {"x0": x}, x.sum(1, keepdims=True))
    (relevance,) = RULES["signed_zplus"].make()(site, np.array([[row["R_out"]]]))
    np.testing.assert_allclose(relevance.ravel(), row["R_in"], rtol=1e-6)


@pytest.mark.parametrize("row", of_kind("max_pool"))
def test_max_pooling(row: dict[str, Any]) -> None:
    x = np.array(row["x"])[None, None]
    attributes = {"kernel_shape": [row["kernel"]], "strides": [row["stride"]]}
    y = x.reshape(1, 1, -1, row["kernel"]).max(-1)
    site = site_of(Example("MaxPool", (X(x.shape),), attributes), {"x0": x}, y)
    (relevance,) = RULES["pass"].make()(site, np.array(row["R_out"])[None, None])
    np.testing.assert_allclose(relevance.ravel(), row["R_in"], rtol=1e-6)
