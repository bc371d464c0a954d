"""LSTM, GRU and RNN: relevance by hand and by the definition, every output, open lengths, other layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxdtd import Explainer, UnsupportedError
from onnxdtd.shortcuts import explain
from tests.support.cell_oracle import CELLS
from tests.support.model_text import normal

Array = np.ndarray
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
INPUTS, HIDDEN = 3, 4


def model(
    op: str,
    outputs: dict[str, str],
    weights: dict[str, Any],
    *,
    free: dict[str, tuple[Any, ...]],
    rest: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """One cell; outputs: what of `y`, `h`, `c` it makes, with the value's name. rest: nodes behind it, as text."""
    slots = ["x", "w", "r", "b", "lengths", "h0", "c0"][: 7 if op == "LSTM" else 6]
    names = [name if name in {**weights, **free} else "" for name in slots]
    places = ["y", "h", "c"][: 3 if op == "LSTM" else 2]
    made = [outputs.get(place, "") for place in places]
    while not made[-1]:
        made.pop()
    nodes = [helper.make_node(op, names, made, "cell", hidden_size=weights["r"].shape[2], **attributes)]
    ends = list(filter(None, made))
    if rest:
        behind = onnx.parser.parse_graph(f"rest (float[A] _) => (float[B, C] out) {{ {rest} }}")
        nodes += behind.node
        ends = ["out"]
    inputs = [
        helper.make_tensor_value_info(k, TensorProto.INT32 if k == "lengths" else TensorProto.FLOAT, shape)
        for k, shape in free.items()
    ]
    infos = [onnx.ValueInfoProto(name=end) for end in ends]
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "one", inputs, infos, constants)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(whole, data_prop=True)


def weights_of(op: str, directions: int = 1, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    size = GATES[op] * HIDDEN
    shapes = {"w": (directions, size, INPUTS), "r": (directions, size, HIDDEN), "b": (directions, 2 * size)}
    return {name: (rng.standard_normal(shape) * 0.6).astype(np.float32) for name, shape in shapes.items()}


def drawn(
    length: int, samples: int = 2, directions: int = 1, states: tuple[str, ...] = ()
) -> dict[str, Array]:
    rng = np.random.default_rng(length)
    shapes = {"x": (length, samples, INPUTS), **dict.fromkeys(states, (directions, samples, HIDDEN))}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


X = ("T", "N", INPUTS)
LSTM_W = [[.1, -.1], [.6, .1], [-.5, .4], [1.3, .9], [-.7, -1.3], [-.6, 0], [-2.3, -.2], [-1.2, -.7]]  # fmt: skip
LSTM_R = [[-.3, -.2], [.2, .5], [-.1, .7], [-.3, .2], [.5, 0], [-.4, -.5], [-.2, .1], [-.5, -.1]]  # fmt: skip
GRU_W = [[.3, .8], [.3, -1.3], [.9, .4], [-.5, .6], [.4, .3], [0, .5]]  # fmt: skip
GRU_R = [[-.4, -.1], [-.2, .3], [0, -.1], [-.4, -.1], [0, -.1], [.6, .5]]  # fmt: skip


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize(
    ("op", "w", "r", "x", "v", "y", "relevance", "attributes"),
    [
        ("LSTM", LSTM_W, LSTM_R, [[1.8, 1.3], [.4, -1.2], [0, .7]], [[1], [.3]], -.199910,
         [[-.072857, -.016039], [-.080116, .052025], [0, -.082922]], {}),
        ("GRU", GRU_W, GRU_R, [[-2.7, -1.9], [-.2, -.4]], [[1], [-.4]], -.417034,
         [[-.248881, -.094141], [-.040085, -.033927]], {"linear_before_reset": 1}),
        ("GRU", GRU_W, GRU_R, [[-2.7, -1.9], [-.2, -.4]], [[1], [-.4]], -.424006,
         [[-.254344, -.096147], [-.040093, -.033422]], {}),
    ],
    ids=["LSTM", "GRU-late-reset", "GRU"],
)  # fmt: skip
def test_relevance_by_hand(
    op: str, w: Any, r: Any, x: Any, v: Any, y: float, relevance: Any, attributes: Any, engine: Any
) -> None:
    arrays = {"w": np.array([w], np.float32), "r": np.array([r], np.float32), "v": np.array(v, np.float32)}
    rest = "last = Squeeze(h, zero) out = MatMul(last, v)"
    net = model(
        op, {"h": "h"}, {**arrays, "zero": np.array([0])}, free={"x": ("T", "N", 2)}, rest=rest, **attributes
    )
    e = explain(net, np.array(x, np.float32)[:, None], target=0, method="attnlrp", engine=engine)
    assert e.conservation.target == pytest.approx(y, abs=1e-6)
    np.testing.assert_allclose(e.relevance["x"][:, 0], relevance, atol=3e-6)
    assert e.relevance["x"].sum() == pytest.approx(y, abs=1e-5)


def stepwise(op: str, x: Array, w: Array, r: Array, b: Array, q: Array) -> Array:
    """Arras et al. 2017, step by step with dense matrices and without a stabiliser, of one sample in float64; q: the
    relevance of the last h."""
    gates, n = GATES[op], w.shape[0] // GATES[op]
    f = lambda p: 1 / (1 + np.exp(-p))  # noqa: E731
    h, c, kept = np.zeros(n), np.zeros(n), []
    wg, rg = w[-n:], r[-n:]
    for xt in x:
        a = (w @ xt + b[: gates * n]).reshape(gates, n)
        u = (r @ h + b[gates * n :]).reshape(gates, n)
        if op == "LSTM":
            i, o, forget = f(a[:3] + u[:3])
            p = a[3] + u[3]
            new = forget * c + i * np.tanh(p)
            kept.append((xt, h, p, forget * c, i * np.tanh(p), new))
            h, c = o * np.tanh(new), new
        elif op == "GRU":
            z, reset = f(a[:2] + u[:2])
            before = reset * h
            p = a[2] + rg @ before + b[-n:]
            kept.append((xt, before, p, z * h, (1 - z) * np.tanh(p), z * h + (1 - z) * np.tanh(p)))
            h = kept[-1][-1]
        else:
            p = (a + u)[0]
            kept.append((xt, h, p, 0 * p, np.tanh(p), np.tanh(p)))
            h = np.tanh(p)
    out, to_h, to_c = np.zeros_like(x, np.float64), q.astype(np.float64), np.zeros(n)
    for t in reversed(range(len(x))):
        xt, before, p, stays, enters, total = kept[t]
        whole = (to_h + to_c) / total
        share = whole * enters / p
        out[t] = xt * (wg.T @ share)
        back = before * (rg.T @ share)
        to_h, to_c = (back, whole * stays) if op == "LSTM" else (back + whole * stays, to_c)
    return out


@pytest.mark.parametrize("op", GATES)
def test_it_is_the_step_by_step_rule(op: str) -> None:
    weights, feeds = weights_of(op), drawn(13)
    net = model(op, {"h": "h"}, weights, free={"x": X}, rest="out = Squeeze(h, z)")
    net.graph.initializer.append(numpy_helper.from_array(np.array([0]), "z"))
    e = explain(net, feeds, target=2, method="attnlrp", engine="numpy")
    for k in range(2):
        q = np.where(np.arange(HIDDEN) == 2, e.outputs["out"][k], 0)
        arrays = (weights["w"][0], weights["r"][0], weights["b"][0])
        expected = stepwise(op, feeds["x"][:, k].astype(float), *(a.astype(float) for a in arrays), q)
        np.testing.assert_allclose(
            e.relevance["x"][:, k], expected, rtol=1e-4, atol=2e-5 * abs(expected).max()
        )


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_outputs_alone_and_together(op: str, direction: str) -> None:
    """The gradient of a sum over several outputs, some of which the model leaves out, against differences."""
    count = 1 + (direction == "bidirectional")
    states = ("h0", "c0") if op == "LSTM" else ("h0",)
    weights = weights_of(op, count)
    free = {"x": X, **dict.fromkeys(states, (count, "N", HIDDEN))}
    places = ("y", "h", "c") if op == "LSTM" else ("y", "h")
    feeds = drawn(4, 2, count, states)
    chosen = [places[i : i + 1] for i in range(len(places))] + [places[1:], places]
    for parts in chosen:
        sums = [f"{p}s = ReduceSum<keepdims = 0>({p}, {p}axes)" for p in parts]
        total = f"total = Sum({', '.join(f'{p}s' for p in parts)})"
        axes = {f"{p}axes": np.array([0, 1] if p == "y" else [0]) for p in parts}
        net = model(op, {p: p for p in parts}, {**weights, **axes}, free=free,
                    rest=" ".join(sums) + f" {total} out = Mul(total, total)", direction=direction)  # fmt: skip

        def value(point: dict[str, Array], parts: Any = parts) -> Array:
            arrays = [point["x"], weights["w"], weights["r"], weights["b"], None, *(point[s] for s in states)]
            ends = dict(zip(places, CELLS[op](*arrays, hidden_size=HIDDEN, direction=direction), strict=True))
            return sum(ends[p].sum((0, 1) if p == "y" else 0) for p in parts)[:, 1] ** 2

        by_engine = [
            explain(net, feeds, target=1, method="gradient", engine=engine) for engine in ("numpy", "onnx")
        ]
        np.testing.assert_allclose(by_engine[0].outputs["out"][:, 1], value(feeds), rtol=1e-4, atol=1e-6)
        for name in feeds:
            v = np.random.default_rng(3).standard_normal(feeds[name].shape)
            moved = [value({**feeds, name: feeds[name] + s * 1e-5 * v}) for s in (1, -1)]
            slope = (moved[0] - moved[1]).sum() / 2e-5
            for e in by_engine:
                assert np.vdot(e.relevance[name], v) == pytest.approx(slope, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("method", ["gradient", "attnlrp", "epsilon_plus"])
def test_one_file_for_every_length_and_batch(op: str, method: str) -> None:
    rest = "s = ReduceMean<axes = [0, 1], keepdims = 0>(y) out = Relu(s)"
    weights = weights_of(op, 2)
    free = {"x": X, "lengths": ("N",), "h0": (2, "N", HIDDEN)}
    net = model(op, {"y": "y"}, weights, free=free, rest=rest, direction="bidirectional")
    eager, compiled = (Explainer(net, method, engine=engine) for engine in ("numpy", "onnx"))
    for length, samples in [(1, 1), (13, 2), (100, 3)]:
        feeds = drawn(length, samples, 2, ("h0",))
        feeds["lengths"] = np.maximum(1, length - np.arange(samples, dtype=np.int32))
        expected, actual = eager(feeds), compiled(feeds)
        for name, r in expected.relevance.items():
            np.testing.assert_allclose(actual.relevance[name], r, rtol=1e-3, atol=1e-4 * np.abs(r).max())
        for k, end in enumerate(feeds["lengths"]):
            assert not expected.relevance["x"][end:, k].any()
            alone = eager({"x": feeds["x"][:end, k : k + 1], "h0": feeds["h0"][:, k : k + 1],
                           "lengths": feeds["lengths"][k : k + 1]})  # fmt: skip
            scale = end / length if method == "gradient" else 1.0
            if end == length:
                r = expected.relevance["x"][:, k : k + 1] * scale
                np.testing.assert_allclose(alone.relevance["x"], r, rtol=1e-3, atol=1e-5 * np.abs(r).max())


@pytest.mark.parametrize("op", GATES)
def test_batch_first_is_rewritten(op: str) -> None:
    """layout = 1, which onnxruntime does not run."""
    weights, feeds = weights_of(op, 2), drawn(5, 3, 2, ("h0",))
    turned = {"x": feeds["x"].transpose(1, 0, 2), "h0": feeds["h0"].transpose(1, 0, 2)}
    rest = {
        0: "m = ReduceMean<axes = [0, 1], keepdims = 0>(y) k = ReduceSum<keepdims = 0>(h, z) out = Add(m, k)",
        1: "m = ReduceMean<axes = [1, 2], keepdims = 0>(y) k = ReduceSum<keepdims = 0>(h, o) out = Add(m, k)",
    }
    axes = {"z": np.array([0]), "o": np.array([1])}
    results = []
    for layout, point, shapes in (
        (0, feeds, {"x": X, "h0": (2, "N", HIDDEN)}),
        (1, turned, {"x": ("N", "T", INPUTS), "h0": ("N", 2, HIDDEN)}),
    ):
        net = model(op, {"y": "y", "h": "h"}, {**weights, **axes}, free=shapes, rest=rest[layout],
                    direction="bidirectional", layout=layout)  # fmt: skip
        results.append(explain(net, point, target=1, method="attnlrp", engine="numpy"))
    for name in feeds:
        expected = results[0].relevance[name].transpose(1, 0, 2)
        np.testing.assert_allclose(results[1].relevance[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("op", GATES)
def test_fixed_states_and_biases_are_what_is_lost(op: str) -> None:
    """A state that the model fixes is a constant: with the biases it takes its share, and the ledger says so."""
    arrays = {**weights_of(op), "h0": normal(1, 1, HIDDEN), "z": np.array([0])}
    net = model(op, {"h": "h"}, arrays, free={"x": ("T", 1, INPUTS)}, rest="out = Squeeze(h, z)")
    c = explain(net, drawn(6, 1), target=1, method="attnlrp", engine="numpy").conservation
    assert abs(c.error) < 1e-5 * abs(c.target)
    assert abs(c.causes["bias"]) > 1e-3


def test_rules_that_change_weights_do_not_serve_a_cell() -> None:
    net = model("LSTM", {"y": "y"}, weights_of("LSTM"), free={"x": X})
    with pytest.raises(UnsupportedError, match=r"zplus.*LSTM|LSTM.*zplus"):
        Explainer(net, "gradient", rules=[{"op": "LSTM", "use": "zplus"}]).plan()
