"""What the examples of single ops cannot show: signs of weights, ties, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import UnsupportedError
from onnxdtd.ops.resize import separable
from onnxdtd.rules.maps import negative, positive
from tests.support.model_text import model
from tests.support.single_op import X, draw, ex, ints, model_of, run_ort, site_of, w


@pytest.mark.parametrize("change", [positive, negative], ids=["w+", "w-"])
def test_signed_weights_of_a_separable_map(change, rng: np.random.Generator) -> None:
    """Against the dense matrix of all axes together, whose elements are clamped one by one."""
    a, b = rng.standard_normal((4, 6)), rng.standard_normal((5, 3))
    linear = separable({1: a, 2: b}, True, np.float64)
    whole = change(np.einsum("ip,jq->ijpq", a, b))
    x, r = rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 6, 3))
    weights = change(linear.weights)
    np.testing.assert_allclose(linear.apply(weights, x), np.einsum("nij,ijpq->npq", x, whole), atol=1e-12)
    np.testing.assert_allclose(linear.adjoint(weights, r), np.einsum("npq,ijpq->nij", r, whole), atol=1e-12)


@pytest.mark.parametrize("reduction", ["max", "min"])
def test_values_that_tie_share_equally(reduction: str) -> None:
    example = ex("ScatterElements", X((1, 3)), ints(1, 1, 0).reshape(1, 3), X((1, 3)), axis=1, opset=18,
                 reduction=reduction, fixed=True)  # fmt: skip
    feeds = {
        "x0": np.array([[2, 5, 1]], np.float32),
        "x1": np.zeros(0),
        "x2": np.array([[5, 5, 2]], np.float32),
    }
    feeds = {name: x for name, x in feeds.items() if x.size}
    site = site_of(example, feeds, run_ort(model_of(example), feeds))
    data, updates = (m.adjoint(None, np.array([[2.0, 3.0, 7.0]])) for m in site.maps)
    np.testing.assert_allclose(data, [[1, 1, 7]])
    np.testing.assert_allclose(updates, [[1, 1, 1]])


def test_a_product_of_values_is_counted_once(rng: np.random.Generator) -> None:
    """Both maps of a Conv of two values are the whole product: relevance halves, and its sum is kept."""
    proto = model(
        "(float[2, 3, 8] x, float[4, 3, 3] k) => (float[2, 4] y) { c = Conv(x, k) y = ReduceMean<axes = [2], "
        "keepdims = 0>(c) }"
    )  # fmt: skip
    feeds = {"x": rng.standard_normal((2, 3, 8)), "k": rng.standard_normal((4, 3, 3))}
    feeds = {name: x.astype(np.float32) for name, x in feeds.items()}
    e = onnxdtd.explain(proto, feeds, method="epsilon_plus")
    shares = [r.sum(dtype=np.float64) for r in e.relevance.values()]
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-3)
    np.testing.assert_allclose(sum(shares), np.sum(e.target_value), rtol=1e-3)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", ["attnlrp", "dtd", "epsilon_plus", "gradient_x_input"])
@pytest.mark.parametrize(
    "scatter",
    ['ScatterND<reduction = "add">(d, rows, u)', 'ScatterElements<reduction = "add">(d, places, u)'],
    ids=["ScatterND", "ScatterElements"],
)
def test_a_scatter_that_adds_is_a_sum(scatter: str, method: str, engine: str) -> None:
    """1 + (2 + 10 + 20) + 3 + (4 + 30) = 70: relevance is each value's contribution."""
    proto = model(
        "(float[1, 4] d0, float[1, 3] u0) => (float[1, 1] y) { d = Squeeze(d0, first) u = Squeeze(u0, first) "
        f"s = {scatter} r = Unsqueeze(s, first) y = ReduceSum(r, last) }}",
        opset=18,
        first=ints(0),
        last=ints(1),
        rows=ints(1, 1, -1).reshape(3, 1),
        places=ints(1, 1, -1),
    )
    feeds = {"d0": np.array([[1, 2, 3, 4]], np.float32), "u0": np.array([[10, 20, 30]], np.float32)}
    e = onnxdtd.explain(proto, feeds, 0, method=method, engine=engine, input_range=(0, 99))
    np.testing.assert_allclose(e.relevance["d0"], feeds["d0"], rtol=1e-5)
    np.testing.assert_allclose(e.relevance["u0"], feeds["u0"], rtol=1e-5)


def test_multiplying_scatter_of_values_is_refused_by_name(rng: np.random.Generator) -> None:
    example = ex(
        "ScatterND", X((3, 4)), ints(2, 0).reshape(2, 1), X((2, 4)), reduction="mul", opset=18, fixed=True
    )
    with pytest.raises(UnsupportedError, match=r"'node' ScatterND: multiplies by updates"):
        onnxdtd.explain(model_of(example), draw(example, rng), method="gradient")


def test_an_embedding_gives_each_token_what_its_vector_got() -> None:
    proto = model("(int64[N, 4] x) => (float[N, 4] y) { a = Gather(t, x) y = ReduceSum<keepdims = 0>(a, last) }",
                  17, t=w(7, 3), last=ints(-1))  # fmt: skip
    x = np.array([[3, 0, 6, 3]])
    e = onnxdtd.explain(proto, x, method="epsilon_plus", target=1)
    table = next(np.asarray(g) for g in [e.outputs["y"]])
    np.testing.assert_allclose(e.relevance["x"], table * [[0, 1, 0, 0]], rtol=1e-4)
