"""Sums that a rule makes of known ones, and quotients without their usual steps, against the plain way."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from onnxdtd.compiled.trace import compile_plan
from onnxdtd.explainer import Explainer
from onnxdtd.linear import LinearMap, Site
from onnxdtd.primitives import Tracer, beyond, negative_part, quotient, stabilised
from onnxdtd.registry import RULES
from onnxdtd.rules import Facts
from onnxdtd.rules.algebra import PLAIN, Kinds, kinds, slopes
from onnxdtd.rules.maps import Boosted, identity, negative, ones, positive, square, zero
from onnxdtd.rules.terms import Group, Term, TermRule
from tests.rules.test_rules import VARIANTS, prepare, w
from tests.support.single_op import Example, X, model_of, site_of
from tests.support.written import written

CONV = Example("Conv", (X((1, 3, 5, 4)), w(4, 3, 3, 2), w(4)), {"pads": [1, 0, 1, 1]}, note="2d")


class Counted:
    """A linear map that counts how often it is applied, forth and back."""

    def __init__(self, linear: LinearMap) -> None:
        self.forth = self.back = 0
        self.linear = linear

    def apply(self, w: Any, x: Any) -> Any:
        self.forth += 1
        return self.linear.apply(w, x)

    def adjoint(self, w: Any, r: Any) -> Any:
        self.back += 1
        return self.linear.adjoint(w, r)


def counted(site: Site) -> tuple[Site, Counted]:
    counter = Counted(site.maps[0])
    linear = LinearMap(site.maps[0].structure, counter.apply, counter.adjoint, site.maps[0].constant)
    return Site(site.name, (linear,), site.inputs, site.bias, site.output, kept=site.kept), counter


@pytest.mark.parametrize(
    ("rule", "parameters", "facts", "forth", "back"),
    [
        ("epsilon", {}, Facts(), 0, 1),
        ("zplus", {}, Facts(inputs_nonnegative=True), 1, 1),
        ("zplus", {}, Facts(), 2, 2),
        ("gamma", {}, Facts(inputs_nonnegative=True, vanishes_below_zero=True), 1, 1),
        ("gamma", {}, Facts(inputs_nonnegative=True), 1, 2),
        ("gamma", {}, Facts(), 2, 4),
        ("signed_zplus", {"bias": "absorb"}, Facts(inputs_nonnegative=True), 1, 2),
        ("signed_zplus", {}, Facts(inputs_nonnegative=True), 2, 2),
        ("zbox", {"low": 0.0, "high": 1.0}, Facts(), 1, 2),
        ("zbox", {"low": -1.0, "high": 1.0}, Facts(), 2, 2),
        ("zplus_shifted", {"low": -1.0}, Facts(), 2, 1),
        ("wsquare", {}, Facts(), 1, 1),
    ],
)
def test_how_many_convolutions_a_rule_takes(
    rule: str, parameters: dict, facts: Facts, forth: int, back: int, rng: np.random.Generator
) -> None:
    _, site, r = prepare(CONV, rng, nonnegative=True)
    site, counter = counted(site)
    made = RULES[rule].make(**parameters).prune(facts)
    made(site, r)
    assert (counter.forth, counter.back) == (forth, back)


def test_what_does_not_depend_on_the_input_is_made_once(rng: np.random.Generator) -> None:
    _, site, r = prepare(CONV, rng)
    site, counter = counted(site)
    assert site.maps[0].constant
    for _ in range(3):
        RULES["zbox"].make(-1.0, 1.0)(site, r)
    assert counter.forth == 2


SORTS = (identity, positive, negative, Boosted(0.5), Boosted(0.5, -1))
TABLE = list(product(SORTS[:3], SORTS, (*SORTS[:3], zero)))


@pytest.mark.parametrize("nonnegative", [False, True])
def test_kinds_say_what_a_group_computes_and_its_sign(nonnegative: bool, rng: np.random.Generator) -> None:
    seen = set()
    for first, second in product(TABLE, TABLE[::7]):
        terms = [Term(*first), Term(*second, sign=int(rng.choice([-1, 1])))]
        sums = kinds(terms, nonnegative=nonnegative, absorbs=True)
        if sums is None:
            continue
        x, weights, b = rng.standard_normal((200, 4)), rng.standard_normal((4, 1)), rng.standard_normal(1)
        x = np.abs(x) if nonnegative else x
        p = positive(x) @ positive(weights) + negative(x) @ negative(weights)
        n = positive(x) @ negative(weights) + negative(x) @ positive(weights)
        expected = sum(t.sign * (t.x(x) @ t.w(weights) + t.b(b)) for t in terms)
        made = sums.e * p + sums.i * n + sums.k * positive(b) + sums.l * negative(b)
        np.testing.assert_allclose(made, expected, atol=1e-12)
        z = p + n + b
        for served, where in ((0, z == z), (1, z > 0), (-1, z < 0)):
            sign = sums.sign(served)
            seen.add((served, sign))
            assert np.all(sign * expected[where] >= -1e-12)
    assert seen >= {(0, 1), (0, -1), (0, 0), (1, 1), (-1, -1)}


def test_maps_of_another_sort_have_no_slopes() -> None:
    assert slopes(square) is None
    assert slopes(ones) is None
    assert slopes(Boosted(0.25)) == (1.25, 1.0)
    assert slopes(Boosted(0.25, -1)) == (1.0, 1.25)
    assert Kinds(1.0, 2.0, 0.0, 0.0).out_of([PLAIN]) is None
    assert Kinds(2.0, 2.0, 0.0, 0.0).out_of([PLAIN]) == (2.0,)


@pytest.mark.parametrize("where", ["any", "positive", "negative"])
def test_a_table_of_ones_own_is_shared_as_its_terms_say(where: Any, rng: np.random.Generator) -> None:
    """Against the plain double sum; three weight maps, so that adjoints are merged, and factors that are not 1."""
    _, site, r = prepare(Example("Gemm", (X((1, 7)), w(7, 5), w(5)), note="bias"), rng)
    terms = (Term(), Term(positive, Boosted(0.5), positive), Term(identity, negative, sign=-1))
    rule = TermRule("own", (Group(terms, 1.5, where), Group(terms[1:], -0.5, where)), epsilon=1e-3)
    x, weights, z = site.inputs[0][0], site.maps[0].weights, site.output[0]
    served = {"any": z == z, "positive": z > 0, "negative": z < 0}[where]
    expected = np.zeros(7)
    for group in rule.groups:
        total = sum(t.sign * (t.x(x) @ t.w(weights) + t.b(site.bias)) for t in group.terms).ravel()
        q = r[0] * served / (total + np.where(total >= 0, 1e-3, -1e-3))
        expected += group.coefficient * sum(t.sign * t.x(x) * (t.w(weights) @ q) for t in group.terms)
    np.testing.assert_allclose(rule(site, r)[0][0], expected, rtol=1e-9, atol=1e-12)


def test_quotients() -> None:
    z = np.array([2.0, -2.0, 0.0, 1e-320, -0.5])
    r = np.array([1.0, 1.0, 1.0, 1.0, np.inf])
    np.testing.assert_array_equal(quotient(r, z), [0.5, -0.5, 0, 0, -np.inf])
    np.testing.assert_array_equal(
        quotient(r, z, np.array([True, False, True, False, False])), [0.5, 0, 0, 0, 0]
    )
    np.testing.assert_array_equal(stabilised(z[:3], epsilon=0.5), [2.5, -2.5, 0.5])
    np.testing.assert_array_equal(stabilised(z[:3], np.full(3, 1.0), epsilon=0.5), [3.5, -1.5, 1.5])
    np.testing.assert_array_equal(stabilised(z[:3] ** 2, np.ones(3), epsilon=0.5, sign=1), [5.5, 5.5, 1.5])
    kept = z.copy()
    stabilised(z, epsilon=0.5)
    stabilised(z, np.ones(5), epsilon=0.5)
    np.testing.assert_array_equal(z, kept)


def test_z_plus_after_a_relu_is_four_nodes(rng: np.random.Generator) -> None:
    """Convolution (with bias and stabiliser in one constant), quotient, adjoint, product."""
    example = Example("Conv", (X((2, 3, 8, 8)), w(4, 3, 3, 3), w(4)), {"pads": [1, 1, 1, 1]}, note="2d")
    plan = Explainer(
        model_of(example), "epsilon_plus", input_range=(0, 1), rules=[{"name": "*", "use": "zplus"}]
    ).plan()
    # (One Less and one Where choose the target.)
    ours = [n.op_type for n in compile_plan(plan).model.graph.node if n.output[0].startswith("onnxdtd/")]
    assert [ours.count(op) for op in ("Conv", "ConvTranspose", "Div", "Where", "Less", "Abs")] == [
        1,
        1,
        1,
        1,
        1,
        0,
    ]


def test_every_variant_leaves_its_site_alone(rng: np.random.Generator) -> None:
    """Buffers are reused; never those of the forward pass."""
    for name, variants in VARIANTS.items():
        for parameters in variants:
            feeds, site, r = prepare(CONV, rng)
            before = site.inputs[0].copy(), site.output.copy(), r.copy()
            RULES[name].make(**parameters)(site, r)
            for array, kept in zip((site.inputs[0], site.output, r), before, strict=True):
                np.testing.assert_array_equal(array, kept, err_msg=name)
            assert site_of(CONV, feeds, site.output) is not site


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_are_told_without_comparing(dtype: Any) -> None:
    most, tiny = np.finfo(dtype).max, np.finfo(dtype).tiny
    x = np.array([[-np.inf, -most, -1, -tiny, 0.0, tiny, 1e-30, 1, most, np.inf]], dtype)
    tracer = Tracer(17)
    z = tracer.value("z", dtype, x.shape)
    made = {
        "above": beyond(z), "below": beyond(z, sign=-1), "stabilised": stabilised(z, epsilon=0.25),
        "large": stabilised(z, epsilon=8.0), "negative": negative_part(z),
    }  # fmt: skip
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = onnx.helper.make_graph(
        written(tracer), "signs", [onnx.helper.make_tensor_value_info("z", kind, x.shape)],
        [onnx.helper.make_tensor_value_info(t.name, kind, x.shape) for t in made.values()],
        [numpy_helper.from_array(a, n) for n, a in tracer.constants.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    above, below, small, large, negative = session.run(None, {"z": x})
    assert (above == (x > 0)).all()
    assert (below == (x < 0)).all()
    np.testing.assert_array_equal(small, stabilised(x, epsilon=0.25))
    np.testing.assert_array_equal(negative, np.minimum(x, 0))
    settled = (x >= 0) | (x < -8 * tiny)
    np.testing.assert_array_equal(large[settled], stabilised(x, epsilon=8.0)[settled])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bound", [0.0, 6.0, -1.0, 4.0, 1e-20, 3e38])
def test_the_side_of_a_bound_is_told_without_comparing(dtype: Any, bound: float) -> None:
    """Of the bound itself, its neighbours and what lies far away."""
    b, most = dtype(bound), np.finfo(dtype).max
    nearest = (
        [b, np.nextafter(b, most), np.nextafter(b, -most)] if bound else [b, dtype(1e-37), dtype(-1e-37)]
    )
    x = np.array([[*nearest, 0.0, -bound, 2.0, -7.0, -most, most, np.inf, -np.inf]], dtype)
    tracer = Tracer(17)
    z = tracer.value("z", dtype, x.shape)
    made = [beyond(z, bound, sign=sign) for sign in (1, -1)]
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = onnx.helper.make_graph(
        written(tracer), "sides", [onnx.helper.make_tensor_value_info("z", kind, x.shape)],
        [onnx.helper.make_tensor_value_info(t.name, kind, x.shape) for t in made],
        [numpy_helper.from_array(a, n) for n, a in tracer.constants.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    above, below = session.run(None, {"z": x})
    np.testing.assert_array_equal(above, beyond(x, b))
    np.testing.assert_array_equal(below, beyond(x, b, sign=-1))
