"""Every rule against its dense oracle, and every claim that a rule makes."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.errors import UsageError
from onnxdtd.linear import Claim
from onnxdtd.registry import OPS, RULES
from onnxdtd.rules import Facts
from tests.support import checks, dense_oracle
from tests.support.single_op import Example, X, draw, model_of, run_ort, run_reference, site_of

_rng = np.random.default_rng(11)


def w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


SITES = [
    Example("Conv", (X((1, 3, 5, 4)), w(4, 3, 3, 2), w(4)), {"pads": [1, 0, 1, 1]}, note="2d"),
    Example("Conv", (X((1, 4, 6)), w(6, 2, 3), w(6)), {"group": 2, "strides": [2]}, note="1d-grouped"),
    Example("ConvTranspose", (X((1, 2, 3, 3)), w(2, 3, 3, 3), w(3)), {"strides": [2, 2]}, note="2d"),
    Example("Gemm", (X((1, 7)), w(7, 5), w(5)), note="bias"),
    Example("MatMul", (X((1, 7)), w(7, 5)), note="no-bias"),
    Example("AveragePool", (X((1, 2, 5, 5)),), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, note="pads"),
    Example("GlobalAveragePool", (X((1, 2, 3, 3)),)),
]

VARIANTS = {
    "epsilon": [{}, {"bias": "redistribute"}, {"epsilon": 0.25, "relative": True}],
    "zplus": [{}, {"bias": "redistribute"}, {"epsilon": 0.0}],
    "signed_zplus": [{}, {"bias": "absorb"}],
    "alpha_beta": [{}, {"alpha": 1.0, "beta": 0.0}, {"bias": "redistribute"}],
    "gamma_plain": [{}, {"gamma": 0.5, "bias": "redistribute"}],
    "gamma": [{}, {"gamma": 0.5, "bias": "redistribute"}],
    "wsquare": [{"epsilon": 0.0}, {"epsilon": 0.0, "bias": "redistribute"}],
    "flat": [{}],
    "zbox": [{"low": -4.0, "high": 4.5}],
    "zplus_shifted": [{"low": -4.0}],
    "zminus_shifted": [{"high": 4.0}],
    "gradient": [{}],
}
# Rules that share nothing at a linear op: what they do is tested by its own tests below.
ELSEWHERE = {"pass", "switches", "guided_backprop", "deconvnet"}
CASES = [(name, p) for name, variants in VARIANTS.items() for p in variants]

# One dense site is enough to say that every rule is as its formula says.
QUICK = "Gemm-bias"

every_site = pytest.mark.parametrize(
    "example",
    [pytest.param(s, id=str(s), marks=[pytest.mark.quick] if str(s) == QUICK else []) for s in SITES],
)
every_case = pytest.mark.parametrize(("name", "parameters"), CASES, ids=lambda v: str(v))


def test_every_rule_has_an_oracle() -> None:
    assert set(RULES) == set(VARIANTS) | ELSEWHERE


def dense(example: Example, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The op as (W, b, structural connections), column by column from onnx's own reference implementation."""
    x = feeds["x0"]
    zero = run_reference(example, {"x0": np.zeros_like(x)})
    rows = []
    for i in range(x.size):
        unit = np.zeros(x.size, np.float64)
        unit[i] = 1.0
        rows.append((run_reference(example, {"x0": unit.reshape(x.shape)}) - zero).ravel())
    W = np.stack(rows)
    if example.op.endswith("AveragePool"):
        # Its entries are 1 / count, which the reference implementation rounds to float32.
        W = np.where(np.abs(W) > 1e-12, 1 / np.rint(1 / np.where(np.abs(W) > 1e-12, W, 1)), 0)
    return W, zero.ravel(), (np.abs(W) > 1e-12).astype(np.float64)


def prepare(example: Example, rng: np.random.Generator, nonnegative: bool = False):
    feeds = draw(example, rng)
    feeds = {k: np.abs(v) for k, v in feeds.items()} if nonnegative else feeds
    W, b, _ = dense(example, feeds)
    y = (feeds["x0"].astype(np.float64).ravel() @ W + b).reshape(run_reference(example, feeds).shape)
    return feeds, site_of(example, feeds, y), rng.standard_normal(y.shape)


@every_site
@every_case
def test_rule_equals_dense_oracle(
    name: str, parameters: dict, example: Example, rng: np.random.Generator
) -> None:
    if name in ("wsquare", "flat") and example.op.endswith("AveragePool"):
        # The structural weights of a pool are the ones of its window; the count divides numerator and
        # denominator alike, so it shows in the stabiliser only.
        parameters = {**parameters, "epsilon": 0.0}
    feeds, site, r = prepare(example, rng, nonnegative=name == "gamma_plain")
    W, b, c = dense(example, feeds)
    expected = getattr(dense_oracle, name)(
        W, b, feeds["x0"].astype(np.float64).ravel(), r.ravel(), c, **parameters
    )
    checks.oracle(RULES[name].make(**parameters), site, r, expected)


@every_site
@every_case
def test_pruned_rule_is_the_same_where_the_facts_hold(
    name: str, parameters: dict, example: Example, rng: np.random.Generator
) -> None:
    _, site, r = prepare(example, rng, nonnegative=True)
    r = r * (site.output > 0)
    rule = RULES[name].make(**parameters)
    pruned = rule.prune(Facts(inputs_nonnegative=True, vanishes_below_zero=True))
    for full, lean in zip(rule(site, r), pruned(site, r), strict=True):
        np.testing.assert_allclose(lean, full, rtol=1e-9, atol=1e-12)


def listen(lost: list[float]) -> Claim:
    """Adds up what is claimed as lost, each claim for itself."""
    return lambda cause, flow, share, factor: lost.append(float((flow * share()).sum() * factor))


@every_site
@every_case
def test_claims_hold(name: str, parameters: dict, example: Example, rng: np.random.Generator) -> None:
    _, site, r = prepare(example, rng)
    checks.claims(RULES[name].make(**parameters), site, r)


@pytest.mark.parametrize("name", ["epsilon", "zplus", "gamma", "alpha_beta", "wsquare"])
def test_bias_losses_are_reported_exactly(name: str, rng: np.random.Generator) -> None:
    lost: list[float] = []
    feeds, site, r = prepare(SITES[3], rng)
    site = site_of(SITES[3], feeds, site.output, lost=listen(lost))
    (relevance,) = RULES[name].make(epsilon=1e-12)(site, r)
    np.testing.assert_allclose(relevance.sum() + sum(lost), r.sum(), rtol=1e-6)


def test_average_pooling_spreads_a_dead_window_by_its_weights() -> None:
    example = Example("AveragePool", (X((1, 1, 1, 4)),), {"kernel_shape": [1, 2], "strides": [1, 2]})
    feeds = {"x0": np.array([[[[0.0, 0.0, 1.0, 3.0]]]], np.float32)}
    site = site_of(example, feeds, run_ort(model_of(example), feeds))
    for name in ("epsilon", "signed_zplus"):
        (relevance,) = RULES[name].make()(site, np.array([[[[4.0, 8.0]]]]))
        np.testing.assert_allclose(relevance.ravel(), [2.0, 2.0, 2.0, 6.0], rtol=1e-5)


def test_ties_of_a_maximum_are_shared() -> None:
    example = Example("MaxPool", (X((1, 1, 1, 4)),), {"kernel_shape": [1, 2], "strides": [1, 2]})
    feeds = {"x0": np.array([[[[5.0, 5.0, 1.0, 3.0]]]], np.float32)}
    site = site_of(example, feeds, run_ort(model_of(example), feeds))
    (relevance,) = RULES["pass"].make()(site, np.array([[[[4.0, 8.0]]]]))
    np.testing.assert_array_equal(relevance.ravel(), [2.0, 2.0, 0.0, 8.0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pass", [1.0, -2.0, 3.0, -4.0]), ("gradient", [0.0, 0.0, 3.0, -4.0]),
     ("guided_backprop", [0.0, 0.0, 3.0, 0.0]), ("deconvnet", [1.0, 0.0, 3.0, 0.0])],
)  # fmt: skip
def test_what_rules_do_at_a_relu(name: str, expected: list[float]) -> None:
    example = Example("Relu", (X((1, 4)),))
    feeds = {"x0": np.array([[-1.0, -1.0, 2.0, 2.0]], np.float32)}
    site = site_of(example, feeds, run_ort(model_of(example), feeds))
    (relevance,) = RULES[name].make()(site, np.array([[1.0, -2.0, 3.0, -4.0]]))
    np.testing.assert_array_equal(relevance.ravel(), expected)


def test_a_residual_sum_is_shared_by_contribution() -> None:
    example = Example("Add", (X((1, 2)), X((1, 2))))
    feeds = {"x0": np.array([[1.0, 2.0]], np.float32), "x1": np.array([[3.0, -1.0]], np.float32)}
    site = site_of(example, feeds, run_ort(model_of(example), feeds))
    r = np.array([[8.0, 5.0]])
    a, b = RULES["epsilon"].make(epsilon=1e-12)(site, r)
    np.testing.assert_allclose([a[0], b[0]], [[2.0, 10.0], [6.0, -5.0]], rtol=1e-9)
    a, b = RULES["signed_zplus"].make()(site, r)
    np.testing.assert_allclose([a[0], b[0]], [[2.0, 5.0], [6.0, 0.0]], rtol=1e-9)


def test_alpha_minus_beta_must_be_one() -> None:
    with pytest.raises(UsageError, match="alpha - beta = 1"):
        RULES["alpha_beta"].make(alpha=2.0, beta=0.5)


def test_a_box_must_not_be_empty() -> None:
    with pytest.raises(UsageError, match="low <= high"):
        RULES["zbox"].make(low=1.0, high=0.0)


def test_pass_serves_no_op_with_something_to_share() -> None:
    rule = RULES["pass"].make()
    served = {key[1] for key, op in OPS.items() if rule.serves(op)}
    assert {"Relu", "MaxPool", "Reshape", "BatchNormalization", "Mul"} <= served
    assert not {"Conv", "Gemm", "MatMul", "Add", "AveragePool"} & served


def test_rules_print_what_differs_from_the_usual() -> None:
    assert str(RULES["epsilon"].make()) == "epsilon"
    assert str(RULES["gamma"].make(gamma=0.1)) == "gamma(gamma=0.1)"
    assert str(RULES["zbox"].make(low=[0.0, -1.0], high=1.0)) == "zbox(low=-1..0, high=1)"
    assert str(RULES["epsilon"].make(epsilon=0.25, relative=True)) == "epsilon(epsilon=0.25, relative=True)"


def test_the_worked_example_of_deep_taylor() -> None:
    """w = (2, -1), b = -1/2, x = (1, 1), z = R = 1/2; Montavon et al. 2017, section 4, worked by hand."""
    example = Example(
        "Gemm", (X((1, 2)), np.array([[2.0], [-1.0]], np.float32), np.array([-0.5], np.float32))
    )
    feeds = {"x0": np.ones((1, 2), np.float32)}
    site = site_of(example, feeds, np.array([[0.5]]))
    r = np.array([[0.5]])
    hand = {
        "zplus": ({"epsilon": 0.0, "bias": "redistribute"}, [0.5, 0.0]),
        "wsquare": ({"epsilon": 0.0, "bias": "redistribute"}, [0.4, 0.1]),
        "zbox": ({"low": 0.0, "high": 3.0, "epsilon": 0.0}, [0.25, 0.25]),
    }
    for name, (parameters, expected) in hand.items():
        np.testing.assert_allclose(RULES[name].make(**parameters)(site, r)[0][0], expected, rtol=1e-12)
