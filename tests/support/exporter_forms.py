"""What exporters write, one tiny model for each form: text of the graph, opset, constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from tests.support.model_text import model

_RNG = np.random.default_rng(11)
NEWEST = 26
"""The newest opset that the installed onnxruntime loads."""


def w(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@dataclass(frozen=True)
class Form:
    """One model as text."""

    name: str
    text: str
    opset: int = 17
    constants: dict[str, Any] = field(default_factory=dict)

    def build(self) -> onnx.ModelProto:
        return model(self.text, self.opset, **self.constants)


def form(name: str, text: str, opset: int = 17, **constants: Any) -> Form:
    return Form(name, text, opset, constants)


def image(name: str, body: str, size: int, opset: int = 17, **constants: Any) -> Form:
    """A Conv, the form on its feature maps h -> z, and a dense layer on all `size` values of z."""
    text = (
        "(float[N, 2, 5, 6] x) => (float[N, 3] y) { a = Conv<pads = [1, 1, 1, 1]>(x, k) h = Relu(a) "
        f"{body} f = Flatten(z) y = MatMul(f, m) }}"
    )
    return form(name, text, opset, k=w(3, 2, 3, 3), m=w(size, 3), **constants)


def dense(name: str, body: str, opset: int = 17, inner: int = 4, **constants: Any) -> Form:
    """A dense layer, the form on h (N, 4) -> z (N, inner), and a dense layer."""
    text = f"(float[N, 3] x) => (float[N, 2] y) {{ h = MatMul(x, first) {body} y = MatMul(z, last) }}"
    return form(name, text, opset, first=w(3, 4), last=w(inner, 2), **constants)


CONSTANTS = [
    dense("Constant nodes", "c = Constant<value = float[4] {1.0, -2.0, 0.5, 3.0}>() z = Mul(h, c)"),
    dense("Constant of floats", "c = Constant<value_floats = [1.0, -2.0, 0.5, 3.0]>() z = Add(h, c)"),
    dense("ConstantOfShape", "c = ConstantOfShape<value = float[1] {2.0}>(s) z = Mul(h, c)", s=ints(4)),
    dense("Identity chain", "a = Identity(h) b = Identity(a) c = Dropout(b) z = Identity(c)"),
    dense("a value used by many", "a = Relu(h) b = Add(a, h) c = Mul(a, b) d = Sub(c, a) z = Add(d, h)"),
    dense("optional input left out", "z = Clip(h, , high)", high=np.float32(0.7)),
    form("trailing optional input", "(float[N, 3, 8] x) => (float[N, 4] y) { a = Conv(x, k, ) f = Flatten(a) "
         "y = MatMul(f, m) }", k=w(2, 3, 3), m=w(12, 4)),
]  # fmt: skip

SHAPES = [
    form("Shape-Gather-Concat-Reshape", "(float[N, 3, 4] x) => (float[N, 2] y) { s = Shape(x) n = Gather(s, first) "
         "u = Unsqueeze(n, zero) t = Concat<axis = 0>(u, rest) f = Reshape(x, t) y = MatMul(f, m) }",
         first=np.int64(0), zero=ints(0), rest=ints(-1), m=w(12, 2)),
    form("Shape-Slice-Concat-Expand", "(float[N, 3] x) => (float[N, 2] y) { s = Shape(x) n = Slice(s, zero, one) "
         "t = Concat<axis = 0>(n, rest) c = Expand(token, t) u = Unsqueeze(x, one) a = Concat<axis = 1>(c, u) "
         "f = Flatten(a) y = MatMul(f, m) }", zero=ints(0), one=ints(1), rest=ints(1, 3), token=w(1, 1, 3),
         m=w(6, 2)),
    form("Shape start and end", "(float[N, 3, 4] x) => (float[N, 2] y) { n = Shape<start = 0, end = 1>(x) "
         "t = Concat<axis = 0>(n, rest) f = Reshape(x, t) y = MatMul(f, m) }", rest=ints(12), m=w(12, 2)),
    *(
        form(f"axes as {how}", f"(float[N, 3, 4] x) => (float[N, 2] y) {{ u = Unsqueeze{attribute}(x{given}) "
             f"v = Squeeze{attribute}(u{given}) r = ReduceSum{over}(v{summed}) y = MatMul(r, m) }}",
             opset=opset, m=w(4, 2), **constants)
        for how, opset, attribute, given, over, summed, constants in (
            ("attribute", 11, "<axes = [1]>", "", "<axes = [1], keepdims = 0>", "", {}),
            ("input", 13, "", ", one", "<keepdims = 0>", ", one", {"one": ints(1)}),
        )
    ),
    *(
        form(f"{op} at opset {opset}", f"(float[N, 3, 4] x) => (float[N, 2] y) {{ "
             f"r = {op}{'' if opset >= 18 else '<axes = [-1], keepdims = 0>'}"
             f"{'<keepdims = 0>(x, last)' if opset >= 18 else '(x)'} y = MatMul(r, m) }}",
             opset=opset, m=w(3, 2), **({"last": ints(-1)} if opset >= 18 else {}))
        for op in ("ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp")
        for opset in (11, 13, 18)
    ),
]  # fmt: skip

LAYERS = [
    image("NHWC around Conv", "n = Transpose<perm = [0, 2, 3, 1]>(h) r = Relu(n) "
          "c = Transpose<perm = [0, 3, 1, 2]>(r) b = Conv(c, k2) z = Transpose<perm = [0, 2, 3, 1]>(b)",
          24, k2=w(2, 3, 3, 3)),
    dense("Clip as ReLU6, attributes", "z = Clip<min = 0.0, max = 6.0>(h)", 9),
    dense("Clip as ReLU6, inputs", "z = Clip(h, low, high)", low=np.float32(0), high=np.float32(6)),
    form("Softmax before opset 13", "(float[N, 3, 4] x) => (float[N, 2] y) { s = Softmax<axis = 1>(x) "
         "f = Flatten(s) y = MatMul(f, m) }", 11, m=w(12, 2)),
    form("Softmax since opset 13", "(float[N, 3, 4] x) => (float[N, 2] y) { s = Softmax<axis = 1>(x) "
         "f = Flatten(s) y = MatMul(f, m) }", 13, m=w(12, 2)),
    *(
        dense(f"Gemm {note}", f"z = Gemm<{flags}>(h, b, c)", inner=5, b=b, c=c)
        for note, flags, b, c in (
            ("plain", "alpha = 1.0", w(4, 5), w(5)),
            ("transB alpha beta", "transB = 1, alpha = 0.5, beta = 2.0", w(5, 4), w(1, 5)),
            ("scalar bias", "beta = 0.5", w(4, 5), np.float32(0.3)),
        )
    ),
    form("Gemm transA", "(float[3, 3] x) => (float[3, 2] y) { y = Gemm<transA = 1>(x, b) }", b=w(3, 2)),
    *(
        form(f"MatMul {note}", f"(float[{x}] x) => (float[N, 2] y) {{ p = MatMul({a}, {b}) f = Flatten(p) "
             "y = MatMul(f, m) }", c=c, m=w(size, 2))
        for note, x, a, b, c, size in (
            ("3-D by 2-D", "N, 3, 4", "x", "c", w(4, 2), 6),
            ("2-D by 3-D", "N, 4, 3", "c", "x", w(2, 4), 6),
            ("4-D by 3-D", "N, 1, 2, 3", "x", "c", w(2, 3, 2), 8),
            ("3-D by vector", "N, 3, 4", "x", "c", w(4), 3),
            ("vector by 3-D", "N, 4, 3", "c", "x", w(4), 3),
        )
    ),
    form("MatMul of two values", "(float[N, 3, 4] x) => (float[N, 2] y) { t = Transpose<perm = [0, 2, 1]>(x) "
         "p = MatMul(x, t) f = Flatten(p) y = MatMul(f, m) }", m=w(9, 2)),
    form("Einsum", '(float[N, 3, 4] x) => (float[N, 2] y) { a = Einsum<equation = "bij,jk->bik">(x, c) '
         'b = Einsum<equation = "bik,bjk->bij">(a, a) y = Einsum<equation = "bij,ijo->bo">(b, m) }',
         c=w(4, 5), m=w(3, 3, 2)),
]  # fmt: skip

PADS = [
    image(f"Pad {mode}", f'z = Pad<mode = "{mode}">(h, p)', 168, opset=19, p=ints(0, 0, 1, 2, 0, 0, 1, 0))
    for mode in ("constant", "reflect", "edge", "wrap")
]
PADS += [
    image("Pad by attributes", 'z = Pad<mode = "edge", pads = [0, 0, 1, 2, 0, 0, 1, 0]>(h)', 168, opset=9),
    image("Pad with a value", "z = Pad(h, p, v)", 168, p=ints(0, 0, 1, 2, 0, 0, 1, 0), v=np.float32(0.5)),
    image("Pad with axes", "z = Pad(h, p, , axes)", 168, opset=18, p=ints(1, 2, 1, 0), axes=ints(2, 3)),
    form("Pad with a computed value", "(float[N, 2, 3] x) => (float[N, 3] y) { v = ReduceMax<keepdims = 0>(x) "
         "z = Pad(x, p, v) f = Flatten(z) y = MatMul(f, m) }", 17, p=ints(0, 1, 0, 0, 0, 1), m=w(12, 3)),
]  # fmt: skip

RESIZES = [
    image(f"Resize {mode} {way}", f'z = Resize<mode = "{mode}", coordinate_transformation_mode = "{way}">(h, , s)',
          360, s=floats(1, 1, 2, 2))
    for mode in ("nearest", "linear", "cubic")
    for way in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
]  # fmt: skip
RESIZES += [
    image("Resize to sizes", 'z = Resize<mode = "linear", axes = [2, 3]>(h, , , s)', 168, opset=18, s=ints(7, 8)),
    image("Resize opset 10", 'z = Resize<mode = "linear">(h, s)', 360, opset=10,
          s=floats(1, 1, 2, 2)),
    image("Resize opset 11", 'z = Resize<mode = "linear">(h, e, s)', 360, opset=11, e=floats(), s=floats(1, 1, 2, 2)),
    image("Resize antialias", 'z = Resize<mode = "cubic", antialias = 1>(h, , s)', 18, opset=18,
          s=floats(1, 1, 0.5, 0.6)),
    image("Resize to the size of another value", 'b = Conv(x, k2) s = Shape(x) t = Slice(s, two, four) '
          'c = Shape(b) d = Slice(c, zero, two) e = Concat<axis = 0>(d, t) '
          'z = Resize<mode = "linear">(b, , , e)', 60, opset=17, k2=w(2, 2, 3, 3), zero=ints(0), two=ints(2),
          four=ints(4)),
    *(
        image(f"Upsample {mode} opset 9", f'z = Upsample<mode = "{mode}">(h, s)', 360, opset=9,
              s=floats(1, 1, 2, 2))
        for mode in ("nearest", "linear")
    ),
    image("Upsample opset 7", 'z = Upsample<mode = "nearest", scales = [1.0, 1.0, 2.0, 2.0]>(h)', 360, opset=7),
]  # fmt: skip

WEIGHTS = {"k": w(3, 2, 3, 3), "b": w(3), "m": w(12, 3), "c": w(3)}
OPSETS = [
    form(f"opset {opset}", "(float[N, 2, 5, 5] x) => (float[N, 3] y) { a = Conv(x, k, b) r = Relu(a) "
         "p = MaxPool<kernel_shape = [2, 2]>(r) f = Flatten(p) y = Gemm(f, m, c) }", opset, **WEIGHTS)
    for opset in range(7, NEWEST + 1)
]  # fmt: skip

FORMS = [*CONSTANTS, *SHAPES, *LAYERS, *PADS, *RESIZES, *OPSETS]


def branches(condition: np.ndarray | None) -> onnx.ModelProto:
    """If whose branches read values of the graph around them; condition: a constant, or from the input."""
    proto = model(
        "(float[N, 3] x) => (float[N, 2] y) { s = ReduceSum<keepdims = 0>(x) h = MatMul(x, first) "
        "y = MatMul(h, last) }",
        first=w(3, 4), last=w(4, 2), zero=np.float32(0), factor=w(4),
        **({} if condition is None else {"chosen": condition}),
    )  # fmt: skip
    bodies = {}
    for side, op in (("then", "Mul"), ("else", "Add")):
        out = helper.make_tensor_value_info(f"{side}_out", onnx.TensorProto.FLOAT, None)
        node = helper.make_node(op, ["h", "factor"], [f"{side}_out"])
        bodies[f"{side}_branch"] = helper.make_graph([node], side, [], [out])
    flag = "chosen" if condition is not None else "positive"
    choice = helper.make_node("If", [flag], ["z"], name="branch", **bodies)
    greater = helper.make_node("Greater", ["s", "zero"], ["positive"])
    nodes = list(proto.graph.node)
    nodes[-1].input[0] = "z"
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes[:-1], *([greater] if condition is None else []), choice, nodes[-1]])
    return proto
