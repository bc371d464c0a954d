"""No shape is believed before a forward pass has shown it, and onnxruntime judges a model before it is traced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxdtd.compiled.confirm import confirmed
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.errors import ModelError, UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.model.graph import Graph
from onnxdtd.plan.plan import make_plan
from onnxdtd.walk.forward import Forward
from tests.support.model_text import graph, model

W = np.array([[1, -2], [3, 0.5], [-1, 1]], np.float32)
SUMMED = "{ h = MatMul(x, w) y = ReduceSum<keepdims = 0>(h, one) }"
CONSTANTS = {"w": W, "one": np.array([1])}


def relevance(source: Any, x: Any, target: Any) -> list[Any]:
    """Of either engine."""
    engines = [Explainer(source, "gradient_x_input", e) for e in ("numpy", "onnx")]  # type: ignore[arg-type]
    return [explainer(x, target).relevance["x"] for explainer in engines]


@pytest.mark.parametrize("stated", ["N, 5", "N, 2, 1", "7, 2", "N, 1, 2, 2"])
def test_an_output_is_inferred_anew(stated: str, rng: np.random.Generator) -> None:
    source = model(f"(float[N, 4, 3] x) => (float[{stated}] y) {SUMMED}", **CONSTANTS)
    x = rng.standard_normal((2, 4, 3)).astype(np.float32)
    for r in relevance(source, x, 1):
        np.testing.assert_allclose(r, x * W[:, 1], rtol=1e-6)
    assert Explainer(source).graph.value("y").shape == ("N", 2)


def test_an_output_keeps_the_names_that_nothing_contradicts() -> None:
    text = "(float[N, 3] x) => (float[kept, 3] y) { c = NonZero(x) r = Gather(c, zero) y = Gather(x, r) }"
    assert graph(text, zero=np.array(0)).value("y").shape == ("kept", 3)


@pytest.mark.parametrize("batch", ["1", "N"])
@pytest.mark.parametrize("pads", [[1, 1], [1, 0]])
def test_a_size_that_onnx_infers_wrongly_is_taken_from_a_run(pads: list[int], batch: str) -> None:
    """Windows of 3 on 5 places and a pad in front: (0, 1, 2), (3, 4, 5), and none that begins in the pad behind.

    onnxruntime itself infers the third of them where the batch is open, and contradicts its own run.
    """
    pool = (
        f"AveragePool<kernel_shape = [3], strides = [3], pads = {pads}, ceil_mode = 1, count_include_pad = 1>"
    )
    source = model(f"(float[{batch}, 1, 5] x) => (float[{batch}, 1, L] y) {{ y = {pool}(x) }}", 19)
    x = np.array([[[1, 2, 3, 4, 5]]], np.float32)
    if batch == "N" and pads == [1, 1]:
        with pytest.raises(UnsupportedError, match="the compiled walk: onnxruntime cannot load"):
            relevance(source, x, (0, 1))
        return
    for r in relevance(source, x, (0, 1)):
        np.testing.assert_allclose(r, [[[0, 0, 1, 4 / 3, 5 / 3]]], rtol=1e-6)


def stated(plan_of: Graph, **shapes: Any) -> Graph:
    """The graph, which says other shapes of its values."""
    values = {name: replace(plan_of.value(name), shape=shape) for name, shape in shapes.items()}
    return replace(plan_of, values={**plan_of.values, **values})


def test_what_was_wrong_is_corrected_or_left_open_and_told() -> None:
    honest = graph(f"(float[N, 4, 3] x) => (float[N, 2] y) {SUMMED}", **CONSTANTS)
    assert confirmed(make_plan(honest, "gradient")).graph.notes == honest.notes
    lying = stated(honest, h=("N", 4, 7), y=("N", 2, 1))
    after = confirmed(make_plan(lying, "gradient")).graph
    assert after.value("h").shape == ("N", 4, 2)
    assert after.value("y").shape == ("N", None)  # all passes show it as long as x
    assert set(after.notes[-2:]) == {
        "the shape of 'h' is ('N', 4, 2) in a run, not ('N', 4, 7)",
        "the shape of 'y' is (None, None) in a run, not ('N', 2, 1)",
    }
    swapped = stated(honest, h=(4, "N", 2), y=None)
    after = confirmed(make_plan(swapped, "gradient")).graph
    assert after.value("h").shape == ("N", 4, 2)
    assert after.value("y").shape == ("N", None)


def test_sizes_of_one_name_that_differ_are_told_apart() -> None:
    """onnx counts the names of unknown sizes anew with each inference."""
    source = graph("(float[N, M] x) => (float[N, M] y) { h = Tanh(x) y = Relu(h) }")
    colliding = stated(source, h=("N", "unk__0"), y=("unk__0", "M"))
    after = confirmed(make_plan(colliding, "gradient")).graph
    assert {after.value(name).shape for name in "hy"} == {("N", "M")}


def test_sizes_of_one_name_that_only_longer_inputs_tell_apart_get_two() -> None:
    """Windows of 2 and of 3 places: one for either op. Of 32: 8 and 16."""
    source = graph("""(float[N, 1, L] x) => (float[N, 1, M] y, float[N, 1, K] z) {
        h = MaxPool<kernel_shape = [1], strides = [4]>(x) y = Tanh(h)
        k = AveragePool<kernel_shape = [2], strides = [2]>(x) z = Tanh(k)
    }""")
    one = ("N", 1, "unk__0")
    after = confirmed(make_plan(stated(source, h=one, y=one, k=one, z=one), "gradient")).graph
    (h, *_), *others = ((after.value(name).shape or ())[::-1] for name in "hyz")
    assert [other[0] == h for other in others] == [True, False]
    assert not any(isinstance(size, int) for size in (h, *(other[0] for other in others)))


@pytest.mark.parametrize(
    ("op", "length"),
    [
        ("MaxPool<kernel_shape = [1], strides = [4]>(x)", 2),
        ("AveragePool<kernel_shape = [2], strides = [2]>(x)", 4),
    ],
)
def test_short_lengths_that_a_stride_makes_alike_are_no_fixed_size(
    op: str, length: int, rng: np.random.Generator
) -> None:
    """Of 2 and of 3 places one window each, of 8 two or four: a wrong size is left open then, and is not 1."""
    text = f"(float[N, 1, L] x) => (float[N, 1, M] y) {{ h = {op} y = Tanh(h) }}"
    for wrong in ("L", 7):
        source = stated(graph(text), x=("N", 1, "L"), h=("N", 1, wrong))
        assert confirmed(make_plan(source, "gradient")).graph.value("h").shape == ("N", 1, "h/2")
    x = rng.standard_normal((2, 1, 8)).astype(np.float32)
    first, second = relevance(model(text), x, (0, length - 1))
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_a_model_that_refuses_what_is_tried_is_traced_as_it_says() -> None:
    text = "(float[N, M] x) => (float[N, M] y) { h = Reshape(x, shape) y = Reshape(h, back) }"
    source = graph(text, shape=np.array([7, 13, 11]), back=np.array([-1, 1001]))
    plan = make_plan(source, "gradient")
    assert confirmed(plan) is plan


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_onnxruntime_judges_first(engine: Any, opset: int) -> None:
    """It refuses negative pads of a transposed convolution; the walk would stumble over them otherwise."""
    text = """(float[1, 1, 3, 4] x) => (float[1, 1, 3, L] y) {
        y = ConvTranspose<kernel_shape = [1, 3], pads = [0, 0, 0, -1], strides = [1, 2]>(x, w)
    }"""
    source = model(text, opset, w=np.ones((1, 1, 1, 3), np.float32))
    with pytest.raises(ModelError, match="onnxruntime cannot load the model"):
        Explainer(source, "gradient", engine)(np.ones((1, 1, 3, 4), np.float32))


@pytest.mark.parametrize("error", [ValueError, RuntimeError, IndexError])
def test_what_fails_in_tracing_is_refused_by_its_node(error: type[Exception]) -> None:
    plan = make_plan(graph("(float[N, 3] x) => (float[N, 3] y) { h = Tanh(x) y = Relu(h) }"), "gradient")

    def site(point: Any) -> Any:
        raise error("no window fits\nand more")

    broken = replace(plan.steps[0], op=replace(plan.steps[0].op, site=site))
    with pytest.raises(
        UnsupportedError, match=r"Tanh.*cannot be compiled: no window fits; use engine='numpy'"
    ):
        compile_plan(replace(plan, steps=(broken, plan.steps[1])))


def test_sizes_that_nobody_named_get_the_name_of_what_they_are() -> None:
    """The rows of a table that are as many as the batch: no sum over a batch of 1 is written into the walk."""
    text = """(float[N, 3] x, float[1, 3] row) => (float[N, 3] y) {
        s = Shape(x) n = Gather(s, zero) one = Gather(s, zero) m = Max(n, one) t = Concat<axis = 0>(m, three)
        h = Expand(row, t) z = Mul(h, x) y = Relu(z)
    }"""
    constants = {"zero": np.array([0]), "three": np.array([3])}
    after = confirmed(make_plan(graph(text, **constants), "gradient")).graph
    assert after.value("h").shape == ("N", 3)
    # As many rows as columns, in some passes only.
    two = graph(
        "(float[N, L] x, float[M, L] z) => (float[N, M] y) { t = Transpose(z) h = MatMul(x, t) y = Relu(h) }"
    )
    assert confirmed(make_plan(two, "gradient")).graph.value("h").shape == ("N", "M")


def test_names_of_unknown_sizes_do_not_collide() -> None:
    """Those that a later inference counts anew go on behind the earlier ones, and none stands in a compiled file."""
    text = """(float[N, 3, H, W] x) => (float[N, 4, A, B] y) {
        c = Conv<strides = [2, 2]>(x, w) s = Shape(c) t = Cast<to = 7>(s) f = Reshape(c, t)
        k = Conv<strides = [3, 3]>(f, v) e = Conv<strides = [2, 2]>(x, w) u = Shape(k) b = Slice(e, start, u)
        y = Add(k, b)
    }"""
    weights = {"w": np.ones((4, 3, 2, 2), np.float32), "v": np.ones((4, 4, 1, 1), np.float32)}
    source = graph(text, **weights, start=np.zeros(4, np.int64))
    lengths: dict[Any, set[int]] = {}
    names = [name for node in source.nodes for name in node.outputs]
    run = Forward(source, names, ["CPUExecutionProvider"])({"x": np.ones((2, 3, 40, 52), np.float32)})
    for name, value in run.items():
        for size, length in zip(source.value(name).shape or (), value.shape, strict=True):
            lengths.setdefault(size, set()).add(length)
    assert [size for size, all_of_it in lengths.items() if size is not None and len(all_of_it) > 1] == []
    compiled = compile_plan(confirmed(make_plan(source, "gradient")))
    assert "unk__" not in str(compiled.model.graph.output)


def test_a_size_of_one_that_is_repeated_does_not_fix_another() -> None:
    """A batch of 1 along a mask of 3 is as long as the mask, which says nothing of batches of 2."""
    text = """(int64[N, T] ids, int64[M, S] attention_mask) => (float[N, T, 3] y) {
        e = Gather(table, ids) m = Cast<to = 1>(attention_mask) s = ReduceSum<keepdims = 1>(m, one)
        k = Unsqueeze(s, one) h = Mul(e, k) y = MatMul(h, w)
    }"""
    constants = {
        "table": np.eye(3, 2, dtype=np.float32), "w": np.ones((2, 3), np.float32), "one": np.array([1]),
    }  # fmt: skip
    shown = confirmed(make_plan(graph(text, **constants), "gradient")).graph.value("y").shape
    assert shown == ("N", "T", 3)
    x = {"ids": np.array([[1, 0, 2], [2, 2, 1]]), "attention_mask": np.ones((2, 3), int)}
    first, other = (
        Explainer(model(text, **constants), "gradient_x_input", engine)(x, "y[last],1").relevance["ids"]
        for engine in ("numpy", "onnx")
    )
    np.testing.assert_allclose(other, first, rtol=1e-6)
