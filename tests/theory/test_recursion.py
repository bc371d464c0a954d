"""The recursive Taylor method: what constant roots give (C2), what moving roots do (C3, C4), and the definition."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.errors import TargetError, UnsupportedError, UsageError
from onnxdtd.theory.chain import Layer, dense
from onnxdtd.theory.recursion import recursion, recursive_taylor
from onnxdtd.theory.root_functions import origin
from onnxdtd.theory.tape import Variable
from tests.support.paths import MODELS

Array = np.ndarray
Parameters = list[tuple[Array, Array]]


def random_mlp(rng: np.random.Generator, widths: tuple[int, ...], bias: float) -> Parameters:
    """(W, b) of each layer."""
    pairs = pairwise(widths)
    return [(rng.standard_normal((n, m)) / np.sqrt(m), bias * rng.standard_normal(n)) for m, n in pairs]


def layers_of(parameters: Parameters) -> list[Layer]:
    last = len(parameters) - 1
    return [dense(w, b, relu=i < last) for i, (w, b) in enumerate(parameters)]


def forward(parameters: Parameters, x: Array) -> list[Array]:
    """Every layer's input, and last the logit."""
    a = [x]
    for i, (w, b) in enumerate(parameters):
        z = w @ a[-1] + b
        a.append(z if i == len(parameters) - 1 else np.maximum(z, 0))
    return a


def slope(parameters: Parameters, x: Array, level: int = 0) -> Array:
    """The gradient of the logit with respect to layer `level`'s input."""
    a = forward(parameters, x)
    g = np.ones(1)
    for (w, _), above in zip(parameters[:level:-1], a[-2:level:-1], strict=False):
        g = (w.T @ g) * (above > 0)
    return parameters[level][0].T @ g


def inside(parameters: Parameters, x: Array, rng: np.random.Generator) -> list[Array]:
    """For each layer a random point in the linear region of its input: regions are convex, so ends suffice."""
    inner = []
    for level, a in enumerate(forward(parameters, x)[:-1]):
        rest, step = parameters[level:], rng.standard_normal(a.shape)
        signs = [above > 0 for above in forward(rest, a)[1:-1]]
        while any(np.any((u > 0) != s) for u, s in zip(forward(rest, a + step)[1:-1], signs, strict=True)):
            step = step / 2
        inner.append(a + step)
    return inner


def close(actual: Array, expected: Array, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("widths", [(10, 10, 1), (10, 10, 10, 1), (6, 12, 8, 7, 1)])
def test_constant_roots_give_gradient_times_step(widths: tuple[int, ...], rng: np.random.Generator) -> None:
    for _ in range(20):
        network, x = random_mlp(rng, widths, 0.3), rng.standard_normal(widths[0])
        roots = inside(network, x, rng)
        result = recursion(layers_of(network), roots)(x)
        for level, (a, root) in enumerate(zip(forward(network, x)[:-1], roots, strict=True)):
            g = slope(network, x, level)
            close(result.relevance[level], g * (a - root))
        # R(x~), the part that the first layer leaves unresolved.
        upper = forward(network, roots[0])[1]
        close(result.unresolved[0], slope(network, x, 1) * (upper - roots[1]))
        step = forward(network, x)[-1] - forward(network, roots[0])[-1]
        np.testing.assert_allclose(result.relevance[0].sum(), step[0], rtol=1e-6, atol=1e-9)


def test_root_zero_without_bias_is_gradient_times_input(rng: np.random.Generator) -> None:
    for _ in range(20):
        network, x = random_mlp(rng, (10, 10, 10, 1), 0.0), rng.standard_normal(10)
        expected = slope(network, x) * x
        layers = layers_of(network)
        close(recursion(layers, [origin] * 3)(x).relevance[0], expected)
        close(recursion(layers, "epsilon")(x).relevance[0], expected)
        if forward(network, x)[-1] > 0:
            assert (
                abs(recursion(layers, "zplus")(x).relevance[0] - expected).max() > 1e-3 * abs(expected).max()
            )


def onnx_mlp(parameters: Parameters) -> onnx.ModelProto:
    """The network in ONNX, float64."""
    nodes, constants = [], []
    for i, (w, b) in enumerate(parameters):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        last = i == len(parameters) - 1
        out = "logits" if last else f"z{i}"
        nodes.append(helper.make_node("Gemm", [f"a{i}", f"w{i}", f"b{i}"], [out], f"dense{i}", transB=1))
        nodes += [] if last else [helper.make_node("Relu", [out], [f"a{i + 1}"], f"relu{i}")]
    ends = {"a0": parameters[0][0].shape[1], "logits": len(parameters[-1][1])}
    x, y = (helper.make_tensor_value_info(k, TensorProto.DOUBLE, ["N", v]) for k, v in ends.items())
    graph = helper.make_graph(nodes, "mlp", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_lrp0_on_a_network_without_bias_is_gradient_times_input(rng: np.random.Generator) -> None:
    for _ in range(5):
        network, x = random_mlp(rng, (10, 10, 10, 3), 0.0), rng.standard_normal((1, 10))
        model = onnx_mlp(network)
        rules = [{"op": "Gemm", "use": "epsilon", "epsilon": 1e-14}]
        lrp = onnxdtd.explain(model, x, 1, "epsilon_plus", rules=rules).relevance["a0"]
        expected = onnxdtd.explain(model, x, 1, "gradient_x_input").relevance["a0"]
        close(lrp, expected)
        close(
            recursive_taylor(onnxdtd.Explainer(model, "gradient"), x, 1, [origin] * 3).relevance[0],
            expected[0],
        )
        zplus = onnxdtd.explain(model, x, 1, "epsilon_plus", rules=[{"op": "Gemm", "use": "zplus"}])
        assert abs(zplus.relevance["a0"] - expected).max() > 1e-3 * abs(expected).max()


def brute(network: Parameters, roots: list, level: int, a: Array, h: float = 1e-4) -> Array:
    """The definition by central differences in extended precision, without a line of the recursion's own code."""
    if level == len(network):
        return a
    w, b = network[level]
    outputs = len(b)
    root = np.broadcast_to(roots[level](a), (outputs, len(a)))
    r = np.zeros(len(a), np.longdouble)

    def above(j: int, p: Array) -> np.longdouble:
        z = w @ p + b
        return brute(network, roots, level + 1, z if level == len(network) - 1 else np.maximum(z, 0), h)[j]

    for j in range(outputs):
        for p, e in enumerate(np.eye(len(a), dtype=np.longdouble)):
            change = (above(j, root[j] + h * e) - above(j, root[j] - h * e)) / (2 * h)
            r[p] += change * (a[p] - root[j, p])
    return r


@pytest.mark.parametrize("each", [False, True], ids=["one-for-all", "one-for-each"])
def test_moving_roots_follow_the_definition(each: bool, rng: np.random.Generator) -> None:
    widths = (4, 4, 3, 1)
    network = random_mlp(rng, widths, 0.4)
    x = rng.random(4)
    while min(np.abs(w @ a + b).min() for (w, b), a in zip(network, forward(network, x), strict=False)) < 0.1:
        x = rng.random(4)
    # Rational functions of a that stay close to it, so that no difference quotient crosses a kink.
    mixes = [rng.standard_normal((n if each else 1, m, m)) for m, n in pairwise(widths)]

    def plain(mix: Array) -> Callable[[Array], Array]:
        return lambda a: a * 0.97 + 0.03 * (mix @ a) / (1 + a @ a)

    def taped(mix: Array) -> Callable[[Variable], Variable]:
        def one(a: Variable) -> Variable:
            parts = (a @ mix.reshape(-1, mix.shape[2]).T).reshape(a.shape[0], *mix.shape[:2])
            norm = 1.0 + (a * a).sum(1).reshape(a.shape[0], 1, 1)
            return a.reshape(a.shape[0], 1, a.shape[1]) * 0.97 + parts / norm * 0.03

        return one if len(mix) > 1 else lambda a: one(a).reshape(*a.shape)

    actual = recursion(layers_of(network), [taped(mix) for mix in mixes])(x)
    expected = brute(network, [plain(mix) for mix in mixes], 0, x.astype(np.longdouble))
    close(actual.relevance[0], expected.astype(float))
    # Held where they are, the same roots give another explanation: the derivatives of the roots count.
    held = recursion(layers_of(network), actual.roots)(x).relevance[0]
    assert abs(held - actual.relevance[0]).max() > 1e-2 * abs(expected).max()


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_keras", "wine_mlp"])
def test_shipped_models_convolutions_and_pooling_included(name: str) -> None:
    sample = {"mnist_cnn": "mnist_digit", "mnist_keras": "mnist_digit_nhwc", "wine_mlp": "wine_sample"}[name]
    x = np.load(MODELS / f"{sample}.npy")
    explainer = onnxdtd.Explainer(MODELS / f"{name}.onnx", "gradient")
    e = explainer(x)
    g, flat = next(iter(e.relevance.values())).reshape(-1), x.reshape(-1)
    depth = 3 if name == "wine_mlp" else 5
    anywhere = recursive_taylor(explainer, x, roots=[lambda a: a * 0.5] * depth)
    result = recursive_taylor(explainer, x, roots=[0.9999 * a for a in anywhere.activations[:-1]])
    np.testing.assert_allclose(result.value, e.target_value[0], rtol=1e-5)
    close(result.relevance[0], 1e-4 * g * flat, 1e-5)  # the gradient is onnxruntime's, in float32


def test_the_factors_change_on_the_way_to_the_root(rng: np.random.Generator) -> None:
    logit = 0.0
    while logit < 0.1:
        network = [(w, -np.abs(b)) for w, b in random_mlp(rng, (6, 6, 6, 1), 0.1)]
        x = rng.random(6)
        logit = forward(network, x)[-1][0]

    def change(roots: str, network: Parameters, level: int) -> float:
        c = recursion(layers_of(network), roots).factors(x, level)
        return float(np.nanmax(np.abs(c - c[:, :1])) / np.nanmax(np.abs(c[:, 0])))

    assert change("zplus", network, 0) > 0.1
    # Without biases root zero is in the region, and c is the gradient: constant, as the rules assume.
    assert change("epsilon", [(w, 0 * b) for w, b in network], 0) < 1e-6


def test_what_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    layers = layers_of(random_mlp(rng, (4, 3, 1), 0.1))
    with pytest.raises(UsageError, match="1 root functions for 2 layers"):
        recursion(layers, ["zplus"])
    with pytest.raises(UsageError, match="has 3 outputs"):
        recursion(layers[:1], "zplus")
    with pytest.raises(UsageError, match="no rule 'flat' has a root function"):
        recursion(layers, "flat")(np.ones(4))
    with pytest.raises(UsageError, match=r"layer 0 \(dense\) has shape \(1, 2\)"):
        recursion(layers, [np.ones(2), "zplus"])(np.ones(4))
    digit = np.load(MODELS / "mnist_digit.npy")
    cnn = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "gradient")
    with pytest.raises(UsageError, match="pools behind its activation"):
        recursive_taylor(cnn, digit, roots="zplus")
    with pytest.raises(UsageError, match="one sample, not 2"):
        recursive_taylor(cnn, np.concatenate([digit, digit]), roots=[origin] * 5)
    with pytest.raises(UnsupportedError, match="joins or splits paths"):
        recursive_taylor(onnxdtd.Explainer(MODELS / "mnist_resnet.onnx", "gradient"), digit)
    keras = onnxdtd.Explainer(MODELS / "mnist_keras.onnx", "gradient")
    with pytest.raises(UsageError, match="beyond 16777216; give the layers below one root for all"):
        recursive_taylor(keras, np.load(MODELS / "mnist_digit_nhwc.npy"), roots=[origin, *["zplus"] * 4])
    with pytest.raises(TargetError, match="out of range"):
        recursive_taylor(cnn, digit, 10, [origin] * 5)
