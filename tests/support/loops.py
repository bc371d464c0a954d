"""Models with a Scan or a Loop, as text; {f} is the type of their floats."""

from __future__ import annotations

import numpy as np
import onnx

from tests.support.model_text import model

Array = np.ndarray

RECURRENT = """({f}[T, N, 3] x) => ({f}[N, 2] y) {{
  shape = Shape(x) n = Slice(shape, one, two) sizes = Concat<axis = 0>(n, four) h0 = Expand(zero, sizes)
  last, rows = Scan <num_scan_inputs = 1, body = b ({f}[N, 4] h, {f}[N, 3] u) => ({f}[N, 4] g, {f}[N, 4] row) {{
    a = MatMul(u, w) c = MatMul(h, r) p = Add(a, c) q = Add(p, b) g = Tanh(q) row = Identity(g)
  }}> (h0, x)
  y = MatMul(last, v)
}}"""
"""h = tanh(x W + h R + b), of which the last h counts."""

TURNED = """({f}[2, 4, 5] x) => ({f}[2, 4] y) {{
  h0 = ReduceMean <axes = [2], keepdims = 0> (x)
  last, rows = Scan <num_scan_inputs = 1, scan_input_axes = [2], scan_input_directions = [1],
    scan_output_axes = [1], scan_output_directions = [1], body = b ({f}[2, 4] h, {f}[2, 4] u) =>
    ({f}[2, 4] g, {f}[2, 4] row) {{ c = MatMul(h, r) p = Add(u, c) g = Tanh(p) row = Mul(g, u) }}> (h0, x)
  part = Slice(rows, one, two, one) s = Squeeze(part, one) y = Sub(s, last)
}}"""
"""Read along the last axis, backwards; rows lie along axis 1, and both kinds of output are used."""

POWERS = """({f}[N, 3] x, int64 trips, {f} most) => ({f}[N, 3] y) {{
  y, rows = Loop <body = b (int64 i, bool go, {f}[N, 3] h) => (bool on, {f}[N, 3] g, {f}[N, 3] row) {{
    a = MatMul(h, w3) g = Add(a, x) row = Relu(g) s = Mul(g, g) size = ReduceSum <keepdims = 0> (s)
    on = Less(size, most)
  }}> (trips, true, x)
}}"""
"""h <- h W + x, as long as |h|^2 < most: x is captured, and the state begins with it."""

NESTED = """({f}[N, 3] x, int64 trips, int64 inner) => ({f}[N, 3] y) {{
  y = Loop <body = b (int64 i, bool go, {f}[N, 3] h) => (bool on, {f}[N, 3] g) {{
    on = Identity(go)
    g = Loop <body = c (int64 j, bool go2, {f}[N, 3] k) => (bool on2, {f}[N, 3] l) {{
      on2 = Identity(go2) a = MatMul(k, w3) u = Add(a, h) l = Tanh(u)
    }}> (COUNT, true, x)
  }}> (trips, true, x)
}}"""

GROWING = """({f}[N, 3] x, int64 trips) => ({f}[N, 3] y) {{
  h0 = Unsqueeze(x, one)
  last = Loop <body = b (int64 i, bool go, {f}[N, K, 3] h) => (bool on, {f}[N, L, 3] g) {{
    on = Identity(go) m = ReduceMean <axes = [1]> (h) a = MatMul(m, w3) t = Tanh(a) g = Concat <axis = 1> (h, t)
  }}> (trips, true, h0)
  y = ReduceSum <keepdims = 0> (last, one)
}}"""
"""Each step appends a row made of all before it, as a decoder does."""


def loop_model(text: str, double: bool = False, opset: int = 17) -> onnx.ModelProto:
    """One of the models with its weights, in float32 or float64."""
    rng = np.random.default_rng(0)
    kind = np.float64 if double else np.float32
    shapes = {
        "w": (3, 4),
        "r": (4, 4),
        "b": (4,),
        "v": (4, 2),
        "w3": (3, 3),
        "wk": (1, 4, 3),
        "rk": (1, 4, 4),
    }
    floats = {
        name: (rng.standard_normal(shape) * 0.5).astype(np.float32).astype(kind)
        for name, shape in shapes.items()
    }
    numbers = {
        "place": [0],
        "fixed3": [3],
        "col": np.ones((3, 1), kind),
        "most": np.asarray(1e3, kind),
        "nil": np.asarray(0, kind),
        "one": [1],
        "two": [2],
        "four": [4],
        "true": True,
        "zero": np.zeros(1, kind),
    }
    constants = {**floats, **{name: np.asarray(value) for name, value in numbers.items()}}
    read = {
        name: array
        for name, array in constants.items()
        if name in _words(text) and f"}} {name})" not in text and f" {name} = Constant" not in text
    }
    return model(text.format(f="double" if double else "float"), opset, **read)


def fixed(text: str, **values: float) -> str:
    """The model with these inputs as constants."""
    for name, value in values.items():
        kind = "{f}" if isinstance(value, float) else "int64"
        text = text.replace(f", {kind} {name}", "", 1)
        number = f"value_float = {value!r}" if isinstance(value, float) else f"value_int = {value}"
        text = text.replace("{{", f"{{{{ {name} = Constant <{number}> ()", 1)
    return text


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() else " " for c in text).split())


SWITCHED = """({f}[N, 3] x, int64 trips) => ({f}[N, 3] y) {{
  y = Loop <body = b (int64 i, bool go, {f}[N, 3] h) => (bool on, {f}[N, 3] g) {{
    on = Identity(go) size = ReduceSum <keepdims = 0> (h) up = Greater(size, nil)
    g = If (up) <
      then_branch = t () => ({f}[N, 3] p) {{ a = MatMul(h, w3) p = Sub(a, x) }},
      else_branch = e () => ({f}[N, 3] q) {{ s = Add(h, x) q = Tanh(s) }}>
  }}> (trips, true, x)
}}"""
"""Each step takes one of two branches, by what the step before has made."""

CELLS = {
    "LSTM": """pi, po, pf, pg = Split <axis = -1> (p, parts)
      i = Sigmoid(pi) o = Sigmoid(po) f = Sigmoid(pf) g = Tanh(pg)
      k = Mul(f, c) l = Mul(i, g) after = Add(k, l) t = Tanh(after) h2 = Mul(o, t)""",
    "GRU": """az, ar, ah = Split <axis = -1> (a, parts) dz, dr, dh = Split <axis = -1> (d, parts)
      sz = Add(az, dz) z = Sigmoid(sz) sr = Add(ar, dr) s = Sigmoid(sr) rd = Mul(s, dh) sh = Add(ah, rd) g = Tanh(sh)
      m = Sub(unit, z) k = Mul(m, g) l = Mul(z, h) h2 = Add(k, l) after = Identity(c)""",
    "RNN": "h2 = Tanh(p) after = Identity(c)",
}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def cell_and_scan(op: str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The operator, and the same cell with the same weights written as the body of a Scan."""
    rng = np.random.default_rng(5)
    size = GATES[op] * 4
    shapes = {"w": (size, 3), "r": (size, 4), "b": (2 * size,), "v": (4, 2)}
    w, r, b, v = ((rng.standard_normal(shape) * 0.6).astype(np.float32) for shape in shapes.values())
    late = ", linear_before_reset = 1" if op == "GRU" else ""
    cell = model(
        f"(float[T, N, 3] x) => (float[N, 2] y) {{ s, e = {op} <hidden_size = 4{late}> (x, w, r, b)"
        " h = Squeeze(e, zeroth) y = MatMul(h, v) }",
        w=w[None], r=r[None], b=b[None], v=v, zeroth=[0],
    )  # fmt: skip
    constants = {
        "w": w.T.copy(), "r": r.T.copy(), "v": v, "bw": b[:size], "br": b[size:], "one": [1], "two": [2],
        "four": [4], "zero": np.zeros(1, np.float32), "parts": [4] * GATES[op], "unit": np.float32(1),
    }  # fmt: skip
    text = f"""(float[T, N, 3] x) => (float[N, 2] y) {{
      shape = Shape(x) n = Slice(shape, one, two) sizes = Concat <axis = 0> (n, four) h0 = Expand(zero, sizes)
      last, cell = Scan <num_scan_inputs = 1, body = b (float[N, 4] h, float[N, 4] c, float[N, 3] u) =>
      (float[N, 4] h2, float[N, 4] after) {{
        a0 = MatMul(u, w) a = Add(a0, bw) d0 = MatMul(h, r) d = Add(d0, br) p = Add(a, d) {CELLS[op]}
      }}> (h0, h0, x)
      y = MatMul(last, v)
    }}"""
    return cell, model(text, **{name: a for name, a in constants.items() if name in _words(text)})
