"""The books: every op by every rule that serves it, a wrong adjoint under every method, samples one by one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer, TargetError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.methods import METHODS
from onnxdtd.model.point import Point
from onnxdtd.plan.step import Step
from onnxdtd.registry import RULES
from tests.support.examples import EXAMPLES, entry_of, once
from tests.support.model_text import model
from tests.support.paths import MODELS
from tests.support.single_op import Example, draw, model_of, run_ort, site_of

# Parameters that every example can be given; rules that carry a derivative keep no books.
RULE_CASES: list[tuple[str, dict[str, Any]]] = [
    ("pass", {}),
    ("epsilon", {}),
    ("epsilon", {"epsilon": 0.25}),
    ("epsilon", {"epsilon": 0.25, "relative": True}),
    ("epsilon", {"epsilon": 0.0}),
    ("epsilon", {"bias": "redistribute"}),
    ("zplus", {"epsilon": 0.1}),
    ("zplus", {"epsilon": 0.0, "bias": "redistribute"}),
    ("signed_zplus", {}),
    ("signed_zplus", {"epsilon": 0.1, "bias": "absorb"}),
    ("alpha_beta", {"epsilon": 0.1}),
    ("gamma", {"epsilon": 0.1}),
    ("gamma_plain", {"gamma": 0.5, "epsilon": 0.1}),
    ("wsquare", {"epsilon": 0.1}),
    ("flat", {"epsilon": 0.1}),
    ("zbox", {"low": -9.0, "high": 9.0, "epsilon": 0.1}),
    ("zplus_shifted", {"low": -9.0}),
    ("zminus_shifted", {"high": 9.0}),
]
KEEPS_NONE = {"gradient", "switches", "guided_backprop", "deconvnet"}
# In float32 each sum of n numbers is off by about 1e-7 sqrt(n) of their sizes: by what is gross, not net.
ROUNDING = 1e-4


def test_every_rule_is_here() -> None:
    assert {name for name, _ in RULE_CASES} | KEEPS_NONE == set(RULES)
    assert {name for name, entry in RULES.items() if not entry.make().accounts} == KEEPS_NONE


def gaps(site: Site, name: str, parameters: dict[str, Any], r: np.ndarray) -> tuple[float, float]:
    """(what is missing, the sizes it is judged by) of one node."""
    claims: list[tuple[float, float]] = []

    def claim(cause: str, flow: Any, share: Any, factor: float) -> None:
        part = flow * share() * factor
        claims.append((part.sum(), np.abs(part).sum()))

    shares = RULES[name].make(**parameters)(dataclasses.replace(site, lost=claim), r)
    gross = np.abs(r).sum() + sum(np.abs(s).sum() for s in shares) + sum(size for _, size in claims)
    return float(r.sum() - sum(s.sum() for s in shares) - sum(amount for amount, _ in claims)), float(gross)


@pytest.mark.parametrize("example", once(EXAMPLES))
def test_the_books_of_every_op_close_by_every_rule(example: Example, rng: np.random.Generator) -> None:
    feeds = draw(example, rng)
    y = run_ort(model_of(example), feeds)
    site = site_of(example, feeds, y)
    if entry_of(example).kind == "linear":
        # Where a sum is exactly zero, onnxruntime's float32 leaves noise, whose sign would count.
        z = sum(m.apply(m.weights, x) for m, x in zip(site.maps, site.inputs, strict=True))
        site = dataclasses.replace(site, output=z if site.bias is None else z + site.bias)
    r = rng.standard_normal(y.shape)
    open_books = {}
    for name, parameters in RULE_CASES:
        if RULES[name].make(**parameters).serves(entry_of(example)):
            gap, gross = gaps(site, name, parameters, r)
            if not abs(gap) <= ROUNDING * gross:
                open_books[name, str(parameters)] = gap / gross
    assert open_books == {}


NET = """(float[N, 1, 6] x) => (float[N, 2] y) {
    c = Conv <pads = [1, 1]> (x, K, b)
    r = Relu(c)
    p = MaxPool <kernel_shape = [2], strides = [2]> (r)
    f = Flatten(p)
    y = MatMul(f, V)
}"""


def net() -> Any:
    rng = np.random.default_rng(1)
    k, v = (np.abs(rng.normal(size=shape)).astype(np.float32) for shape in ((2, 1, 3), (6, 2)))
    return model(NET, K=k, V=v, b=np.array([0.25, -0.5], np.float32))


def signal(samples: int = 1) -> np.ndarray:
    return np.abs(np.random.default_rng(3).normal(size=(samples, 1, 6))).astype(np.float32)


def spoil(monkeypatch: pytest.MonkeyPatch, op: str, factor: float) -> None:
    """The adjoint of an op, times a factor."""
    build = Step.build

    def spoiled(self: Step, point: Point) -> Site:
        site = build(self, point)
        if self.node.op != op:
            return site

        def off(linear: LinearMap) -> LinearMap:
            return dataclasses.replace(linear, adjoint=lambda w, r: factor * linear.adjoint(w, r))

        return dataclasses.replace(site, maps=tuple(map(off, site.maps)))

    monkeypatch.setattr(Step, "build", spoiled)


CONSERVING = sorted(name for name, entry in METHODS.items() if entry.seed != "one")


@pytest.mark.parametrize("factor", [0.7, 1.3])
@pytest.mark.parametrize("op", ["MatMul", "Conv", "MaxPool", "Relu"])
@pytest.mark.parametrize("method", CONSERVING)
def test_a_wrong_adjoint_is_an_error_where_it_is(
    method: str, op: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Explainer(net(), method, input_range=(0, 9))(signal(), 0)
    spoil(monkeypatch, op, factor)
    wrong = Explainer(net(), method, input_range=(0, 9))(signal(), 0)
    for node in wrong.nodes:
        if (node.op == "Gemm" and op == "MatMul") or node.op == op:
            assert node.error == pytest.approx((1 - factor) * node.left / factor, rel=1e-4)
            assert abs(node.error) > 0.1 * abs(node.arrived)
            assert any(f"'{node.name}'" in warning for warning in wrong.warnings)
        else:
            assert abs(node.error) < 1e-5 * abs(node.arrived)
    assert right.warnings == wrong.warnings[: len(right.warnings)]
    assert len(wrong.warnings) == len(right.warnings) + 1


def test_the_gradient_alarms_nobody() -> None:
    for name in sorted(set(METHODS) - set(CONSERVING)):
        assert Explainer(net(), name)(signal(), 0).warnings == ()


def test_every_sample_has_its_books() -> None:
    explainer = Explainer(net(), "epsilon_alpha2_beta1")
    whole = explainer(signal(3), [0, 1, 0])
    for i in range(3):
        alone = explainer(signal(3)[i : i + 1], [0, 1, 0][i]).conservation
        books = whole.conservation.sample(i)
        assert books.target == pytest.approx(alone.target)
        assert books.relevance == pytest.approx(alone.relevance)
        assert books.causes == pytest.approx(alone.causes, abs=1e-5)
        assert abs(books.error) < 1e-5
        for node, single in zip(books.nodes, alone.nodes, strict=True):
            assert (node.arrived, node.left) == pytest.approx((single.arrived, single.left))
    for node in whole.nodes:
        assert node.samples is not None
        assert sum(node.samples.arrived) == pytest.approx(node.arrived)
    with pytest.raises(TargetError, match="batch of 3"):
        whole.conservation.sample(3)


def test_samples_are_told_apart_on_any_axis() -> None:
    """Transposed, the batch is the second axis, and as long as the first; a value that all share has NaN."""
    text = """(float[N, 2, 3] x, float[3] scale) => (float[N, 2] y) {
        t = Transpose <perm = [1, 0, 2]> (x)
        s = Add(t, scale)
        m = ReduceSum <keepdims = 0> (s, axes)
        y = Transpose <perm = [1, 0]> (m)
    }"""
    proto = model(text, axes=np.array([2]))
    x = np.array([[[1, 2, 3], [0, 0, 1]], [[4, 5, 6], [1, 1, 1]]], np.float32)
    e = Explainer(proto, "epsilon_plus")({"x": x, "scale": np.zeros(3, np.float32)}, 0)
    add = next(node for node in e.nodes if node.op == "Add")
    assert add.samples is not None
    assert add.samples.arrived == pytest.approx((6, 15))
    assert np.isnan(add.samples.left).all()
    assert add.left == pytest.approx(21)


def test_depth_counts_nodes_from_the_output() -> None:
    text = """(float[N, 2] x) => (float[N, 2] y) {
        a = Relu(x)
        b = Tanh(a)
        c = Relu(b)
        y = Add(a, c)
    }"""
    depths = {node.name: node.depth for node in Explainer(model(text), "epsilon_plus")([[1.0, 2.0]]).nodes}
    assert list(depths.values()) == [3, 2, 1, 0]


@pytest.mark.parametrize("name", ["wine_mlp", "mnist_cnn", "mnist_resnet", "mnist_keras"])
@pytest.mark.parametrize("method", CONSERVING)
def test_no_false_alarm(name: str, method: str) -> None:
    sample = {"wine_mlp": "wine_sample", "mnist_keras": "mnist_digit_nhwc"}.get(name, "mnist_digit")
    x = np.load(MODELS / f"{sample}.npy")
    e = Explainer(MODELS / f"{name}.onnx", method, input_range=(x.min(), x.max()))(x)
    for node in e.nodes:
        whole = abs(node.arrived) + abs(node.left) + sum(map(abs, node.lost.values()))
        assert abs(node.error) <= ROUNDING * whole, node
    assert e.conservation.relative < 1e-5
    assert not any("neither" in warning for warning in e.warnings)


@pytest.mark.parametrize(
    ("text", "constants", "x", "expected"),
    [
        ("y = Concat <axis = 1> (x, c)", {"c": [[5.0]]}, [[1, 2]], 5),
        ("y = Where(m, x, c)", {"m": [[True, False]], "c": [[0.0, 5.0]]}, [[1, 2]], 5),
        ("y = Max(x, c)", {"c": [[0.0, 5.0]]}, [[1, 2]], 5),
        ("y = Pad(x, p, v)", {"p": [0, 1, 0, 1], "v": 2.0}, [[1, 2]], 4),
    ],
    ids=lambda v: v.split()[2].split("(")[0] if isinstance(v, str) else "",
)
def test_what_falls_on_a_constant_is_lost_at_the_border(
    text: str, constants: dict[str, Any], x: Any, expected: float
) -> None:
    """All elements of y are summed, so each starts with its own value."""
    body = f"(float[1, 2] x) => (float[1] z) {{ {text} z = ReduceSum <keepdims = 0> (y, axes) }}"
    arrays = {k: np.array(v, np.float32 if k in "cv" else None) for k, v in constants.items()}
    e = Explainer(model(body, axes=np.array([1]), **arrays), "epsilon_plus")(np.array(x, np.float32))
    assert e.conservation.causes == pytest.approx({"border": expected})
    assert e.conservation.relative < 1e-6
