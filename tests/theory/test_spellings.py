"""One function, spelled with other ops, has the same linear regions: by segments, by roots and by the audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
import onnxdtd.audit
from tests.support.model_text import model
from tests.support.plain_nets import scene_of, verdicts

NET = "(float[N, 3] x) => (float[N, 2] y) {{ h = Gemm(x, W, b) {} y = Gemm(r, V, c) }}"
NUMBERS: dict[str, Any] = {
    "zero": np.zeros(1), "none": np.zeros(()), "one": np.ones(()), "half": np.float64(0.5), "slope": np.full(5, 0.25),
    "infinite": np.float64(np.inf), "far": np.float64(-30), "low": np.float64(-0.5),
}  # fmt: skip
INDICES = {"last": np.array([2]), "first": np.array([1]), "shape": np.array([-1, 5, 1])}
BESIDE = "u = Reshape(h, shape) z = Mul(u, none) k = Concat<axis = 2>(u, z)"
RELU = {
    "relu": "r = Relu(h)",
    "clip": "r = Clip(h, none)",
    "clip-both": "r = Clip(h, none, infinite)",
    "max": "r = Max(h, zero)",
    "max-first": "r = Max(zero, h)",
    "max-of-three": "r = Max(h, zero, far)",
    "prelu": "r = PRelu(h, zero)",
    "leaky": "r = LeakyRelu<alpha = 0.0>(h)",
    "thresholded": "r = ThresholdedRelu<alpha = 0.0>(h)",
    "where": "g = Greater(h, zero) r = Where(g, h, zero)",
    "where-less": "g = Less(zero, h) r = Where(g, h, zero)",
    "where-not": "l = LessOrEqual(h, zero) g = Not(l) r = Where(g, h, zero)",
    "where-and": "g = Greater(h, zero) l = GreaterOrEqual(h, zero) a = And(g, l) r = Where(a, h, zero)",
    "where-of-double": "d = Add(h, h) g = Greater(d, zero) r = Where(g, h, zero)",
    "where-of-relu": "d = Relu(h) g = Greater(d, zero) r = Where(g, h, zero)",
    "mask": "g = Greater(h, zero) m = Cast<to = 1>(g) r = Mul(h, m)",
    "min": "n = Neg(h) m = Min(n, zero) r = Neg(m)",
    "min-fixed": "m = Min(h, zero) r = Sub(h, m)",
    "modulus": "a = Abs(h) s = Add(h, a) r = Mul(s, half)",
    "reduce": f"{BESIDE} r = ReduceMax<axes = [2], keepdims = 0>(k)",
    "pool": f"{BESIDE} t = GlobalMaxPool(k) r = Squeeze(t, last)",
    "top": f"{BESIDE} t, i = TopK(k, first) r = Squeeze(t, last)",
}
LEAKY = {
    "leaky": "r = LeakyRelu<alpha = 0.25>(h)",
    "prelu": "r = PRelu(h, slope)",
    "max": "s = Mul(h, slope) r = Max(h, s)",
    "where": "s = Mul(h, slope) l = Less(h, zero) r = Where(l, s, h)",
}
BOUNDED = {
    "clip": "r = Clip(h, none, one)",
    "hard-sigmoid": "r = HardSigmoid<alpha = 1.0, beta = 0.0>(h)",
    "min-of-max": "m = Max(h, none) r = Min(m, one)",
    "where": "m = Relu(h) g = Greater(h, one) r = Where(g, one, m)",
}
SHRUNK = {
    "shrink": "r = Shrink<lambd = 0.5, bias = 0.5>(h)",
    "less-clip": "m = Clip(h, low, half) r = Sub(h, m)",
    "two-relus": "a = Sub(h, half) p = Relu(a) n = Neg(h) s = Sub(n, half) q = Relu(s) r = Sub(p, q)",
    "where": "g = Greater(h, half) a = Sub(h, half) l = Less(h, low) s = Add(h, half) i = Where(l, s, none)"
    "r = Where(g, a, i)",
}
NAMED = (("relu", RELU), ("leaky", LEAKY), ("bounded", BOUNDED), ("shrunk", SHRUNK))
FAMILIES = [
    pytest.param(family, spelling, id=f"{name}-{spelling}") for name, family in NAMED for spelling in family
]


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    layers = {
        "W": rng.normal(size=(3, 5)), "b": rng.normal(size=5) / 3, "V": rng.normal(size=(5, 2)) + 0.5,
        "c": np.full(2, 2),
    }  # fmt: skip
    floats = {name: np.float32(array) for name, array in (layers | NUMBERS).items()}
    return floats | INDICES


X = np.array([[0.4, -0.3, 0.8]], np.float32)


def seen(body: str) -> list[tuple[str, float]]:
    """Whether, and when, 40 segments leave the region of their start."""
    scene = scene_of(NET.format(body), X, **weights())
    directions = np.random.default_rng(4).normal(size=(40, 3)) * 0.5
    sides = [v.split(" by ")[0] for v in verdicts(scene, "x", "Gemm_0", *directions)]
    return [(v.split("=")[0], float(v.split("=")[1]) if "=" in v else 0.0) for v in sides]


@pytest.mark.parametrize(("family", "spelling"), FAMILIES)
def test_segments(family: dict[str, str], spelling: str) -> None:
    actual, expected = seen(family[spelling]), seen(next(iter(family.values())))
    assert [where for where, _ in actual] == [where for where, _ in expected]
    np.testing.assert_allclose([t for _, t in actual], [t for _, t in expected], atol=1e-3)
    assert 3 < sum(where == "inside" for where, _ in actual) < 35


def audited(body: str) -> float | None:
    explainer = onnxdtd.Explainer(model(NET.format(body), **weights()), "dtd", input_range=(-3, 3))
    report = onnxdtd.audit.run_audit(explainer, explainer(X, target=0), only=["roots"])
    return next(finding.value for finding in report.findings if finding.name == "roots_region")


@pytest.mark.parametrize(("family", "spelling"), FAMILIES)
def test_the_audit(family: dict[str, str], spelling: str) -> None:
    expected = audited(next(iter(family.values())))
    assert expected is not None
    assert audited(family[spelling]) == pytest.approx(expected)


def test_a_choice_that_no_line_can_follow_is_no_praise() -> None:
    """The Relu as an index that ArgMax makes: of the layer before it nothing is known, and the finding says so."""
    body = f"{BESIDE} i = ArgMax<axis = 2, keepdims = 1>(k) s = GatherElements<axis = 2>(k, i) r = Squeeze(s, last)"
    explainer = onnxdtd.Explainer(model(NET.format(body), **weights()), "dtd", input_range=(-3, 3))
    report = onnxdtd.audit.run_audit(explainer, explainer(X, target=0), only=["roots"])
    for finding in report.findings:
        assert (
            "Nothing is known of 2 of 3 layers, such as 'Gemm_0/scaled': no line is followed"
            in finding.sentence
        )
        assert "as the theory asks" not in finding.sentence
