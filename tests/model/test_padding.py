"""A Pad that a window takes into its border, and those that it must not take."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.model.canonise.concat import concat
from onnxdtd.model.canonise.padding import padding
from tests.support.model_text import changed, graph, normal, ops, unchanged

HEAD = "(float[N, 2, 5, 5] x) => (float[N, C, A, B] y)"
CONSTANTS = {
    "w": normal(3, 2, 3, 3), "around": np.int64([0, 0, 1, 1, 0, 0, 0, 2]), "by_axis": np.int64([1, 1, 0, 2]),
    "spatial": np.int64([2, -1]), "none": np.float32(0), "one": np.float32(1), "lowest": np.float32(-np.inf),
    "cut": np.int64([0, 0, -1, 0, 0, 0, 0, 1]), "channels": np.int64([0, 0, 0, 0, 0, 1, 0, 0]),
    "wide": normal(3, 3, 3, 3), "third": np.int64([2]), "far": np.int64([0, 0, 3, 0, 0, 0, 0, 0]),
}  # fmt: skip


def network(body: str, opset: int = 18):
    return graph(f"{HEAD} {{ {body} }}", opset, **CONSTANTS)


@pytest.mark.parametrize(
    ("body", "pads"),
    [
        ("p = Pad(x, around, none) y = Conv(p, w)", [1, 1, 0, 2]),
        ("p = Pad(x, by_axis, none, spatial) y = Conv<auto_pad = \"VALID\">(p, w)", [1, 1, 0, 2]),
        ("p = Pad(x, by_axis, , spatial) y = Conv<auto_pad = \"SAME_UPPER\">(p, w)", [2, 2, 1, 3]),
        ("p = Pad(x, around) y = Conv<strides = [2, 1], dilations = [1, 2]>(p, w)", [1, 1, 0, 2]),
        ("p = Pad(x, around) y = AveragePool<kernel_shape = [3, 3]>(p)", [1, 1, 0, 2]),
        ("p = Pad(x, around, lowest) y = MaxPool<kernel_shape = [3, 3], pads = [1, 0, 0, 0]>(p)", [2, 1, 0, 2]),
    ],
)  # fmt: skip
def test_it_becomes_the_border(body: str, pads: list[int]) -> None:
    after = changed(network(body), padding)
    [window] = after.nodes
    assert window.attributes["pads"] == pads


def test_amounts_that_are_attributes_and_a_line_that_becomes_an_image() -> None:
    """As Keras writes a convolution along one axis."""
    text = """(float[N, 2, L] x) => (float[N, 3, A] y) {
        p = Pad<pads = [0, 0, 2, 0, 0, 0]>(x) u = Unsqueeze<axes = [2]>(p)
        c = Conv(u, w) y = Squeeze<axes = [2]>(c)
    }"""
    after = changed(graph(text, 9, w=normal(3, 2, 1, 2)), padding)
    assert ops(after) == ["Unsqueeze", "Conv", "Squeeze"]
    assert after.nodes[1].attributes["pads"] == [0, 2, 0, 0]


@pytest.mark.parametrize(
    "body",
    [
        "p = Pad(x, around, one) y = Conv(p, w)",
        'p = Pad<mode = "edge">(x, around) y = Conv(p, w)',
        "p = Pad(x, cut) y = Conv(p, w)",
        "p = Pad(x, channels) y = Conv(p, wide)",
        'p = Pad(x, around) y = Conv<auto_pad = "SAME_LOWER", strides = [2, 2]>(p, w)',
        "p = Pad(x, around) y = MaxPool<kernel_shape = [3, 3]>(p)",
        "p = Pad(x, far, lowest) y = MaxPool<kernel_shape = [3, 3]>(p)",
        "p = Pad(x, around, lowest) y = MaxPool<kernel_shape = [3, 3], dilations = [2, 2]>(p)",
        "p = Pad(x, around) y = AveragePool<kernel_shape = [3, 3], ceil_mode = 1>(p)",
        "p = Pad(x, around) y = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(p)",
    ],
)
def test_what_is_another_map_stays(body: str) -> None:
    unchanged(network(body), padding)


def test_a_step_behind_parts_that_cannot_take_it_stays() -> None:
    text = "(float[N, 3] x) => (float[N, 6] y) { a = Tanh(x) b = Sin(x) h = Concat<axis = 1>(a, b) y = Mul(h, s) }"
    unchanged(graph(text, s=normal(6)), concat)


def test_a_constant_part_and_a_graph_input_take_theirs() -> None:
    text = """(float[N, 3] x) => (float[2, 8] y) {
        a = Tanh(x) h = Concat<axis = 1>(x, a, part) m = Mul(s, h) y = Sub(m, c)
    }"""
    after = changed(graph(text, s=normal(8), c=normal(8), part=normal(2, 2)), concat)
    assert sorted(ops(after)) == ["Add", "Add", "Concat", "Mul", "Mul", "Tanh"]
