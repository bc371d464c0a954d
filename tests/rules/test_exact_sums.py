"""Sums of exact rules where one sort of contribution is missing, tiny, or hidden behind a large bias: float32 on both
engines against the dense oracle in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.compiled.sessions import Ready
from onnxdtd.compiled.start import SEED
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.explainer import Explainer
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.primitives import quotient, stabilised
from tests.rules.test_rules import dense
from tests.support import dense_oracle
from tests.support.single_op import Example, X, model_of, run_ort

EXACT: list[tuple[str, dict[str, Any]]] = [
    (name, {"epsilon": 0.0, "bias": bias})
    for name in ("zplus", "signed_zplus", "gamma", "alpha_beta")
    for bias in ("absorb", "redistribute")
]
SORTS = 5


def columns(rng: np.random.Generator, inputs: int) -> np.ndarray:
    """Weights by output: all exciting; all inhibiting; both; hardly inhibiting; hardly exciting."""
    w = np.abs(rng.uniform(0.5, 1.0, (inputs, SORTS))).astype(np.float32)
    w[:, 1] *= -1
    w[::2, 2] *= -0.5
    w[0, 3] = -1e-3
    w[:, 4] *= -1
    w[0, 4] = 1e-3
    return w


def example(op: str, bias: float, rng: np.random.Generator) -> Example:
    b = np.full(SORTS, bias, np.float32)
    if op == "Gemm":
        return Example("Gemm", (X((1, 6)), columns(rng, 6), b))
    kernels = columns(rng, 12).T.reshape(SORTS, 3, 2, 2)
    return Example("Conv", (X((1, 3, 3, 3)), np.ascontiguousarray(kernels), b))


@pytest.mark.parametrize("signs", ["nonnegative", "any", "none"])
@pytest.mark.parametrize("bias", [0.0, 0.5, 300.0, -300.0])
@pytest.mark.parametrize(("name", "parameters"), EXACT, ids=str)
@pytest.mark.parametrize("op", ["Gemm", "Conv"])
def test_what_is_missing_is_not_made_of_rounding(
    op: str, name: str, parameters: dict[str, Any], bias: float, signs: str, rng: np.random.Generator
) -> None:
    layer = example(op, bias, rng)
    model, shape = model_of(layer), layer.inputs[0].shape
    x = rng.uniform(0.5, 1.0, shape).astype(np.float32)
    if signs == "any":
        x[..., ::2] *= -0.1
    elif signs == "none":
        x[..., :2] = 0
    plan = Explainer(model, "epsilon_plus", rules=[{"name": "*", "use": name, **parameters}]).plan()
    (step,) = plan.steps
    y = run_ort(model, {"x0": x})
    r = rng.standard_normal(y.shape).astype(np.float32)
    (eager,) = step.pruned(step.build(Point(step.node, plan.graph, step.slots, {"x0": x, "y": y})), r)
    ready = Ready(compile_plan(plan, SEED), ["CPUExecutionProvider"])
    (traced,) = ready.session.run(["relevance/x0"], {"x0": x, ready.compiled.target_input: r})
    w, b, c = dense(layer, {"x0": x})
    flat = (array.astype(np.float64).ravel() for array in (x, r))
    expected = getattr(dense_oracle, name)(w, b, *flat, c, **parameters)
    for actual in (eager, traced):
        np.testing.assert_allclose(actual.ravel(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_sums_in_another_order_of_memory_are_stabilised_in_place_or_not() -> None:
    z = np.zeros((3, 4), np.float32).T
    r = np.ones((3, 4), np.float32).T
    for spare in (False, True):
        d = stabilised(z.copy(order="K"), epsilon=0.5, spare=spare)
        np.testing.assert_array_equal(d, 0.5)
    served = np.zeros((4, 3), bool)
    np.testing.assert_array_equal(quotient(r, 2 * r, served), 0)


def test_rules_that_change_weights_see_the_sign_of_a_mask(rng: np.random.Generator) -> None:
    """A window that reads with a negative mask inhibits through weights that excite."""
    assert OPS["", "DeformConv"].kind == "linear"
    w = rng.uniform(0.5, 1.0, (2, 1, 1, 1)).astype(np.float32)
    mask = np.array([[[[1.0, -1.0]]]], np.float32)
    layer = Example(
        "DeformConv", (X((1, 1, 1, 2)), w, np.zeros((1, 2, 1, 2), np.float32), None, mask), opset=22
    )
    x = {"x0": np.array([[[[2.0, 3.0]]]], np.float32)}
    explainer = Explainer(model_of(layer, batch=1), "epsilon_plus", rules=[{"name": "*", "use": "zplus"}])
    relevance = explainer(x, (0, 0, 0)).relevance["x0"].ravel()
    assert relevance[0] == pytest.approx(2 * w[0, 0, 0, 0], rel=1e-4)
    refused = explainer(x, (0, 0, 1)).relevance["x0"].ravel()
    np.testing.assert_allclose(refused, 0, atol=1e-3)
