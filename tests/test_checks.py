"""Tests of the tests: each check is handed something that is slightly wrong, and must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from onnxdtd.compiled.trace import compile_plan
from onnxdtd.explainer import Explainer
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.canonise.batch_normalization import batch_normalization
from onnxdtd.model.graph import Graph
from onnxdtd.ops import OPS
from onnxdtd.primitives import Traced
from onnxdtd.registry import RULES
from tests.support import checks, dense_oracle
from tests.support.model_text import BN, changed, graph, normal, statistics
from tests.support.single_op import Example, X, draw, model_of, run_ort, site_of

pytestmark = pytest.mark.quick

W = np.random.default_rng(3).standard_normal((5, 4)).astype(np.float32)
GEMM = Example("Gemm", (X((2, 5)), W, W[0]))
RELU = Example("Relu", (X((2, 5)),))


def at_a_point(rng: np.random.Generator) -> tuple[Site, np.ndarray, np.ndarray]:
    """The site of GEMM, its output, and relevance that arrives there."""
    feeds = draw(GEMM, rng)
    y = run_ort(model_of(GEMM), feeds).astype(np.float64)
    return site_of(GEMM, feeds, y), y, rng.standard_normal(y.shape)


def off(linear: LinearMap, apply: float = 1.0, adjoint: float = 1.0) -> LinearMap:
    """The map with its results times these factors."""
    return replace(
        linear,
        apply=lambda w, x: apply * linear.apply(w, x),
        adjoint=lambda w, r: adjoint * linear.adjoint(w, r),
    )


def caught(check: Callable[[], None]) -> None:
    with pytest.raises(AssertionError):
        check()


def test_an_adjoint_off_by_a_tenth_of_a_percent(rng: np.random.Generator) -> None:
    site, y, _ = at_a_point(rng)
    (linear,), (x,) = site.maps, site.inputs
    checks.adjoint(linear, x, y, rng)
    caught(lambda: checks.adjoint(off(linear, adjoint=1.001), x, y, rng))
    caught(lambda: checks.adjoint(off(linear, adjoint=1 - 1e-8), x, y, rng))
    flat = replace(linear, adjoint=lambda w, r: linear.adjoint(w, r).ravel())
    caught(lambda: checks.adjoint(flat, x, y, rng))


def test_a_forward_pass_off_by_a_hundredth_of_a_percent(rng: np.random.Generator) -> None:
    site, y, _ = at_a_point(rng)
    checks.forward(site, y)
    caught(lambda: checks.forward(replace(site, maps=(off(site.maps[0], apply=1.0001),)), y))
    caught(lambda: checks.forward(replace(site, constant=None), y))


def test_a_jacobian_off_by_a_percent(rng: np.random.Generator) -> None:
    site, y, _ = at_a_point(rng)
    (linear,), (x,) = site.maps, site.inputs
    along = lambda v: (x + v) @ W.astype(np.float64) + W[0]  # noqa: E731 - the function itself
    for seed in range(20):
        checks.jacobian(linear, along, x, y, 1.0, np.random.default_rng(seed))
    wrong = off(linear, adjoint=1.01)
    missed = 0
    for seed in range(20):
        try:
            checks.jacobian(wrong, along, x, y, 1.0, np.random.default_rng(seed))
            missed += 1
        except AssertionError:
            pass
    # One random direction may happen to be nearly orthogonal to the gradient.
    assert missed <= 2


def test_a_rule_off_its_formula_by_a_thousandth_of_a_percent(rng: np.random.Generator) -> None:
    site, _, r = at_a_point(rng)
    site = replace(site, inputs=(site.inputs[0][:1],), output=site.output[:1])
    x, W64 = site.inputs[0].ravel(), W.astype(np.float64)
    expected = dense_oracle.epsilon(W64, W[0].astype(np.float64)[:4], x, r[0], np.ones_like(W64))
    rule = RULES["epsilon"].make()
    checks.oracle(rule, site, r[:1], expected)
    caught(lambda: checks.oracle(rule, site, r[:1], 1.00001 * expected))


@dataclass(frozen=True)
class Bent:
    """A rule with its relevance times a factor, which claims what the rule does."""

    rule: Any
    factor: float

    @property
    def claims(self) -> frozenset[str]:
        return self.rule.claims

    def __call__(self, site: Site, r: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(self.factor * part for part in self.rule(site, r))


def test_a_rule_that_loses_a_percent(rng: np.random.Generator) -> None:
    site, _, r = at_a_point(rng)
    rule = RULES["signed_zplus"].make()
    assert {"conserves", "nonnegative"} <= set(rule.claims)
    checks.claims(rule, site, r)
    caught(lambda: checks.claims(Bent(rule, 0.99), site, r))
    caught(lambda: checks.claims(Bent(rule, -1.0), site, r))


def test_a_fold_without_its_epsilon() -> None:
    text = f"(float[N, 3] x) => (float[N, 2] y) {{ h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}"
    before = graph(text, w=normal(3, 2), **statistics(2, tiny=True))

    def forgetful(source: Graph) -> Graph:
        nodes = [
            replace(n, attributes={"epsilon": 0.0}) if n.op == "BatchNormalization" else n
            for n in source.nodes
        ]
        return batch_normalization(source.replace(nodes=tuple(nodes)))

    changed(before, batch_normalization)
    caught(lambda: changed(before, forgetful))


def bent(monkeypatch: pytest.MonkeyPatch, factor: Callable[[Any], float]) -> None:
    """Relu's adjoint times factor(r), from now on."""
    entry = OPS["", "Relu"]

    def site(point: Any) -> Site:
        right = entry.site(point)
        (linear,) = right.maps
        return replace(right, maps=(replace(linear, adjoint=lambda w, r: factor(r) * linear.adjoint(w, r)),))

    monkeypatch.setitem(OPS, ("", "Relu"), replace(entry, site=site))


def test_a_traced_body_that_differs_from_the_numpy_body(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = draw(RELU, rng, 7)
    explainer = Explainer(model_of(RELU), "gradient")
    checks.engines(compile_plan(explainer.plan()), explainer, feeds)
    bent(monkeypatch, lambda r: 1.0002 if isinstance(r, Traced) else 1.0)
    explainer = Explainer(model_of(RELU), "gradient")
    caught(lambda: checks.engines(compile_plan(explainer.plan()), explainer, feeds))


def test_a_walk_that_depends_on_the_other_samples(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = draw(RELU, rng, 3)
    checks.rows(Explainer(model_of(RELU), "gradient"), feeds)
    bent(monkeypatch, lambda r: 1 + 1e-4 * (len(r) - 1))
    caught(lambda: checks.rows(Explainer(model_of(RELU), "gradient"), feeds))
