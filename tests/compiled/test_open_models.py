"""Whole networks with open lengths, one compiled walk each: both engines agree at every size.

What exporters write for them: a class token before patches and a table of positions, halves that are turned, windows
that are shifted, caches that grow, pads and slices that follow from the shape of the input.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import onnxdtd
from onnxdtd.compiled import sessions
from onnxdtd.explainer import Explainer
from tests.support import checks
from tests.support.model_text import model

Array = np.ndarray
RNG = np.random.default_rng(11)


def w(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


ONE, TWO = np.array([1]), np.array([2])

# Patches of an image of any size, a class token before them, positions cut from a longer table.
CLASS_TOKEN = model(
    """(float[N, 3, H, W] x) => (float[N, 5] y) {
        p = Conv<strides = [4, 4]>(x, kernel)
        n = Shape<start = 0, end = 1>(p)
        c = Concat<axis = 0>(n, eight, minus)
        f = Reshape(p, c)
        t = Transpose<perm = [0, 2, 1]>(f)
        cs = Concat<axis = 0>(n, one, eight)
        token = Expand(class, cs)
        all = Concat<axis = 1>(token, t)
        s = Shape<start = 1, end = 2>(all)
        pos = Slice(table, zero, s, one)
        h = Add(all, pos)
        q = MatMul(h, wq)
        k = Transpose<perm = [0, 2, 1]>(q)
        scores = MatMul(h, k)
        a = Softmax<axis = -1>(scores)
        v = MatMul(a, h)
        r = Add(h, v)
        first = Gather<axis = 1>(r, index)
        y = MatMul(first, head)
    }""",
    kernel=w(8, 3, 4, 4) * 0.2, eight=np.array([8]), minus=np.array([-1]), one=ONE, zero=np.array([0]),
    **{"class": w(1, 1, 8)}, table=w(1, 64, 8), wq=w(8, 8) * 0.3, index=np.array(0), head=w(8, 5),
)  # fmt: skip

# x cos + (-x2, x1) sin, where the halves are cut at half of the last length, as torch writes it.
TURNED_HALVES = model(
    """(float[N, L, D] x) => (float[N, L, D] y) {
        s = Shape<start = 2, end = 3>(x)
        half = Div(s, two)
        x1 = Slice(x, zero, half, axis)
        x2 = Slice(x, half, far, axis)
        m = Neg(x2)
        turned = Concat<axis = -1>(m, x1)
        a = Mul(x, cos)
        b = Mul(turned, sin)
        y = Add(a, b)
    }""",
    two=TWO, zero=np.array([0]), far=np.array([2**63 - 1]), axis=TWO, cos=np.float32(0.8), sin=np.float32(0.6),
)  # fmt: skip

# Shifted by two rows: the last ones before the others, and windows of two rows each.
SHIFTED_WINDOWS = model(
    """(float[N, L, 4] x) => (float[N, M, 8] y) {
        tail = Slice(x, cut, far, one)
        lead = Slice(x, zero, cut, one)
        rolled = Concat<axis = 1>(tail, lead)
        s = Shape<start = 0, end = 2>(x)
        n = Gather(s, nought)
        l = Gather(s, first)
        m = Div(l, two)
        ns = Reshape(n, one)
        ms = Reshape(m, one)
        to = Concat<axis = 0>(ns, ms, eight)
        windows = Reshape(rolled, to)
        h = MatMul(windows, weights)
        y = Relu(h)
    }""",
    cut=TWO, far=np.array([2**63 - 1]), one=ONE, zero=np.array([0]), two=np.array(2), nought=np.array(0),
    first=np.array(1), eight=np.array([8]), weights=w(8, 8),
)  # fmt: skip

# Keys of earlier positions, of which there may be none.
CACHE = model(
    """(float[N, L, 4] x, float[N, P, 4] past) => (float[N, L, 4] y, float[N, T, 4] present) {
        k = MatMul(x, wk)
        present = Concat<axis = 1>(past, k)
        t = Transpose<perm = [0, 2, 1]>(present)
        scores = MatMul(x, t)
        a = Softmax<axis = -1>(scores)
        y = MatMul(a, present)
    }""",
    wk=w(4, 4),
)  # fmt: skip

# Filled up to a multiple of four, then halved by pooling; the amounts follow from the length.
PADDED_TO_FOUR = model(
    """(float[N, 3, L] x) => (float[N, 4] y) {
        s = Shape<start = 2, end = 3>(x)
        minus = Neg(s)
        less = Mod(minus, four)
        pads = Concat<axis = 0>(zeros, less)
        p = Pad(x, pads)
        c = Conv<pads = [1, 1], strides = [2]>(p, kernel)
        r = Relu(c)
        m = ReduceMax<axes = [2], keepdims = 0>(r)
        y = MatMul(m, head)
    }""",
    four=np.array([4]), zeros=np.zeros(5, np.int64), kernel=w(6, 3, 3), head=w(6, 4),
)  # fmt: skip

# A mask of the length of the input, laid out to every head: places that are broadcast are written to.
WRITTEN = model(
    """(float[N, L, 3] x, int64[N, L, 1] places) => (float[N, L, 3] y) {
        s = Shape(x)
        i = Expand(places, s)
        z = Mul(x, two)
        y = ScatterElements<axis = 1>(x, i, z)
    }""",
    two=np.float32(2),
)  # fmt: skip


def image(n: int, high: int, wide: int) -> dict[str, Array]:
    return {"x": w(n, 3, high, wide)}


CASES: dict[str, tuple[onnx.ModelProto, str, list[dict[str, Array]]]] = {
    "class token": (CLASS_TOKEN, "top", [image(1, 16, 12), image(2, 8, 20), image(3, 24, 24)]),
    "turned halves": (TURNED_HALVES, "-1,2", [{"x": w(1, 3, 6)}, {"x": w(2, 5, 8)}, {"x": w(1, 1, 4)}]),
    "shifted windows": (SHIFTED_WINDOWS, "-1,0", [{"x": w(1, 8, 4)}, {"x": w(2, 6, 4)}]),
    "cache": (
        CACHE,
        "y:-1,2",
        [{"x": w(1, 3, 4), "past": w(1, 5, 4)}, {"x": w(2, 4, 4), "past": w(2, 0, 4)}],
    ),
    "computed pads": (PADDED_TO_FOUR, "1", [{"x": w(1, 3, 9)}, {"x": w(2, 3, 14)}, {"x": w(2, 3, 16)}]),
    "written": (
        WRITTEN,
        "-1,1",
        [
            {"x": w(1, 4, 3), "places": np.array([[[2], [0], [3], [1]]])},
            {"x": w(2, 2, 3), "places": np.array([[[1], [0]], [[0], [1]]])},
        ],
    ),
}


@pytest.mark.parametrize("method", ["attnlrp", "gradient", "dtd"])
@pytest.mark.parametrize("name", CASES)
def test_engines_agree_at_every_size(name: str, method: str) -> None:
    made, target, inputs = CASES[name]
    numpy, onnx_ = (Explainer(made, method, engine, input_range=(-9, 9)) for engine in ("numpy", "onnx"))
    for feeds in inputs:
        expected, compiled = (explainer(feeds, target=target) for explainer in (numpy, onnx_))
        for value, r in expected.relevance.items():
            assert checks.close(compiled.relevance[value], r), (value, r.shape)


@pytest.mark.parametrize("name", CASES)
def test_one_file_serves_every_size(name: str, tmp_path: Path) -> None:
    """The target stands in the file, by its place from the end of a length that is open."""
    made, target, inputs = CASES[name]
    explainer = Explainer(made, "attnlrp")
    output = target.partition(":")[0] if ":" in target else None
    file = onnxdtd.compile(made, tmp_path / "e.onnx", method="attnlrp", target=target, output=output)
    session = ort.InferenceSession(file.files[0], providers=["CPUExecutionProvider"])
    for feeds in inputs:
        asked = target if target != "top" else None
        expected = explainer(feeds, target=asked)
        names = [*file.relevance.values()]
        for (value, r), written in zip(expected.relevance.items(), session.run(names, feeds), strict=True):
            assert checks.close(written, r), (value, r.shape)


def test_nothing_of_one_size_is_kept_for_another() -> None:
    sessions._in_use.clear()
    explainer = Explainer(CLASS_TOKEN, "attnlrp", "onnx")
    feeds = image(1, 16, 16)
    explainer(image(2, 8, 8))
    np.testing.assert_array_equal(
        explainer(feeds).relevance["x"], Explainer(CLASS_TOKEN, "attnlrp", "onnx")(feeds).relevance["x"]
    )
