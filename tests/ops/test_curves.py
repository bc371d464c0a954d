"""What the examples of smooth ops, reductions and selections leave out: kinks, ends, ties, zeros, bounds of data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer, UnsupportedError
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.model.point import Point
from onnxdtd.walk.forward import run_session, start_session
from tests.support.one_node import model_of, passed, relevance

INF = np.inf
GATES = {"epsilon": 1e-12, "bias": "redistribute"}


@pytest.mark.parametrize(
    ("op", "x", "slope", "opset"),
    [
        ("Abs", 0, 0, 18),
        ("Sqrt", 0, 0, 18),
        ("Sqrt", -1, 0, 18),
        ("Reciprocal", 0, 0, 18),
        ("Reciprocal", 1e-30, 0, 18),
        ("Log", 0, 0, 18),
        ("Log", -1, 0, 18),
        ("Asin", 1, 0, 18),
        ("Acos", -1, 0, 18),
        ("Acos", 2, 0, 18),
        ("Acosh", 1, 0, 18),
        ("Acosh", -2, 0, 18),
        ("Atanh", 1, 0, 18),
        ("Exp", -INF, 0, 18),
        ("Mish", 0, 0.6, 18),
        ("Mish", -60, 0, 18),
        ("Mish", 60, 1, 18),
        ("HardSwish", 0, 0.5, 18),
        ("HardSwish", -4, 0, 18),
        ("HardSwish", 4, 1, 18),
        ("Gelu", 0, 0.5, 20),
        ("Gelu", -30, 0, 20),
        ("Gelu", 30, 1, 20),
        ("Swish", 0, 0.5, 24),
        ("Swish", -100, 0, 24),
        ("Shrink", 0.5, 0, 18),
        ("ThresholdedRelu", 1, 0, 18),
        ("HardSigmoid", 2.5, 0, 18),
        ("Softplus", -100, 0, 18),
        ("Softplus", 100, 1, 18),
    ],
)
def test_slopes_at_kinks_ends_and_far_out(op: str, x: float, slope: float, opset: int) -> None:
    (shares,) = relevance(op, {"x": [x]}, opset=opset).values()
    np.testing.assert_allclose(shares, [slope], atol=1e-6)


@pytest.mark.parametrize(
    ("x", "p", "by_base", "by_exponent"),
    [
        (0, 0.5, 0, 0),
        (-2, 0.5, 0, 0),
        (0, -1, 0, 0),
        (0, 0, 0, 0),
        (0, 1, 1, 0),
        (0, 2, 0, 0),
        (2, 3, 12, 8 * np.log(2)),
        (-2, 2, -4, 0),
    ],
)
def test_powers_where_a_base_is_not_positive(x: float, p: float, by_base: float, by_exponent: float) -> None:
    shares = relevance("Pow", {"x": [x], "p": [p]})
    np.testing.assert_allclose([shares["x"][0], shares["p"][0]], [by_base, by_exponent], rtol=1e-6)
    np.testing.assert_allclose(relevance("Pow", {"x": [x], "c": [p]})["x"], [by_base], rtol=1e-6)
    np.testing.assert_allclose(relevance("Pow", {"c": [x], "p": [p]})["p"], [by_exponent], rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "feeds"),
    [
        ("Pow", {"x": [0, 0, 0, 2], "p": [0, 1, 2, -1]}),
        ("Max", {"x": [-INF, 1], "c": [0, -INF]}),
        ("ReduceLogSumExp", {"x": [2, -INF, 1]}),
        ("ReduceProd", {"x": [2, 0, 3]}),
        ("PRelu", {"x": [-1, 0, 3], "s": [2, 2, 2]}),
        ("Mod", {"x": [5, -7.5], "d": [3, 2]}),
    ],
)
def test_maps_and_bias_make_the_output_at_hard_points(op: str, feeds: dict[str, Any]) -> None:
    plan, values = passed(op, feeds, **({"fmod": 1} if op == "Mod" else {}))
    (step,) = plan.steps
    site = step.build(Point(step.node, plan.graph, step.slots, values))
    made = sum(m.apply(m.weights, x) for m, x in zip(site.maps, site.inputs, strict=True))
    np.testing.assert_allclose(made if site.bias is None else made + site.bias, values["y"], rtol=1e-6)


def test_rules_leave_relevance_with_the_base() -> None:
    shares = relevance("Pow", {"x": [2, 3], "p": [3, -1]}, [8, 5], rule={"epsilon": 1e-12})
    np.testing.assert_allclose(shares["x"], [8, 5], rtol=1e-6)
    np.testing.assert_allclose(shares["p"], [0, 0])


@pytest.mark.parametrize(("op", "x"), [("Max", 2.0), ("Min", -2.0)])
def test_those_that_tie_share_equally(op: str, x: float) -> None:
    shares = relevance(op, {"a": [x, 0], "b": [x, x], "c": [x, 0]}, [6, 1])
    np.testing.assert_allclose([shares["a"], shares["b"]], [[2, 0], [2, 1]])
    shares = relevance(f"Reduce{op}", {"x": [[x, 0, x], [0, 0, x]]}, [[4], [5]], axes=[1])
    np.testing.assert_allclose(shares["x"], [[2, 0, 2], [0, 0, 5]])


def test_a_masked_value_loses() -> None:
    shares = relevance("Max", {"x": [-INF, 1, -INF], "c": [0, 0, -INF]})
    np.testing.assert_allclose(shares["x"], [0, 1, 0.5])
    shares = relevance("ReduceLogSumExp", {"x": [[0, -INF, 0], [-INF] * 3]}, axes=[1])
    np.testing.assert_allclose(shares["x"], [[0.5, 0, 0.5], [0, 0, 0]], rtol=1e-6)
    for op in ("ReduceLogSumExp", "ReduceMax"):
        rule = "pass" if op == "ReduceMax" else {"epsilon": 1e-6}
        assert np.isfinite(relevance(op, {"x": [[2, -INF, 1], [-INF] * 3]}, axes=[1], rule=rule)["x"]).all()


def test_the_bound_that_binds_takes_all() -> None:
    feeds = {"x": [-3, 0, 1, 2, 5], "low": np.float32(0), "high": np.float32(2)}
    r = [1, 10, 100, 1000, 10000]
    for rule in ("gradient", "pass"):
        shares = relevance("Clip", feeds, r, rule=rule)
        np.testing.assert_allclose(shares["x"], [0, 10, 100, 1000, 0])
        assert (shares["low"], shares["high"]) == (1, 10000)
    crossed = {"x": [1, 5], "low": np.float32(3), "high": np.float32(2)}
    shares = relevance("Clip", crossed, [1, 10])
    assert (shares["x"].tolist(), shares["low"], shares["high"]) == ([0, 0], 0, 11)
    only = relevance("Clip", {"c": [-3, 1], "low": np.float32(0)}, [1, 10])
    assert only["low"] == 1


def test_the_first_of_equals_is_the_top() -> None:
    shares = relevance("TopK", {"x": [[1, 3, 3, 3]], "ck": np.array([2])}, [[1, 10]], outputs=2)
    np.testing.assert_allclose(shares["x"], [[0, 1, 10, 0]])
    shares = relevance("TopK", {"x": [[4, 1, 3, 1]], "ck": np.array([3])}, [[1, 2, 3]], outputs=2, largest=0)
    np.testing.assert_allclose(shares["x"], [[0, 1, 3, 2]])


@pytest.mark.parametrize(
    ("x", "slopes"),
    [
        ([2, 3, 4], [12, 8, 6]),
        ([2, 0, 4], [0, 8, 0]),
        ([0, 3, 0], [0, 0, 0]),
        ([-1e-20, 1, 2], [2, -2e-20, -1e-20]),
    ],
)
def test_a_product_with_zeros(x: list[float], slopes: list[float]) -> None:
    np.testing.assert_allclose(relevance("ReduceProd", {"x": [x]}, axes=[1])["x"], [slopes], rtol=1e-6)


def test_a_running_product_with_zeros() -> None:
    """y = (2, 0, 0, 0) for x = (2, 0, 5, 0)."""
    shares = relevance("CumProd", {"x": [2, 0, 5, 0], "c": np.array(0)}, [1, 10, 100, 1000], opset=26)
    np.testing.assert_allclose(shares["x"], [1, 10 * 2 + 100 * 2 * 5, 0, 0])


@pytest.mark.parametrize(
    ("op", "more"),
    [
        ("ReduceL1", {}),
        ("ReduceL2", {}),
        ("ReduceSumSquare", {}),
        ("ReduceProd", {}),
        ("GlobalLpPool", {"p": 3}),
        ("LpPool", {"p": 3, "kernel_shape": [2, 2]}),
        ("Det", {}),
        ("CumProd", {"opset": 26}),
    ],
)
def test_norms_and_products_hand_all_on(op: str, more: dict[str, Any]) -> None:
    """Each is the sum of its slopes times its inputs, or of equal parts of that."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.8, 1.2, (2, 3, 4, 4)) * rng.choice([-1, 1], (2, 3, 4, 4))
    feeds: dict[str, Any] = {"x": x.astype(np.float32)}
    if op == "CumProd":
        feeds["c"] = np.array(2)
    shares = relevance(op, feeds, rule=GATES, **more)["x"]
    shape = {
        "LpPool": (2, 3, 3, 3),
        "GlobalLpPool": (2, 3, 1, 1),
        "Det": (2, 3),
        "CumProd": (2, 3, 4, 4),
    }.get(op, ())
    np.testing.assert_allclose(shares.sum(), np.prod(shape, initial=1.0), rtol=1e-4)


def test_hardmax_carries_nothing() -> None:
    with pytest.raises(UnsupportedError, match="Hardmax: piecewise constant"):
        relevance("Hardmax", {"x": [[1, 2]]})


def test_compiled_ties_and_bounds() -> None:
    """The traced walk takes the same choices as the eager one."""
    feeds = {name: np.array(x, np.float32) for name, x in (("x", [[-3, 0, 2, 5]]), ("low", 0), ("high", 2))}
    explainer = Explainer(model_of("Clip", feeds, 18), "gradient")
    compiled = compile_plan(explainer.plan())
    session = start_session(compiled.model, compiled.constants, ["CPUExecutionProvider"])
    for i in range(4):
        values = run_session(
            session, list(compiled.relevance.values()), {**feeds, compiled.target_input: np.array([i])}
        )
        for name, r in explainer(feeds, target=i).relevance.items():
            np.testing.assert_allclose(values[f"relevance/{name}"], r)
