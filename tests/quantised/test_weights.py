"""Weights of a few bits: packed by hand, blocked, and in compiled files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnxdtd import Explainer, compile
from tests.support.integer_models import DOMAIN, f32
from tests.support.single_op import run_ort

K, N, BLOCK = 40, 3, 16


def packed(q: np.ndarray, bits: int) -> np.ndarray:
    """The first number of a byte is in its lowest bits."""
    per = 8 // bits
    q = np.pad(q, ((0, 0), (0, -q.shape[1] % per))).reshape(len(q), -1, per)
    return (q.astype(np.uint32) << (bits * np.arange(per, dtype=np.uint32))).sum(-1).astype(np.uint8)


def product(arrays: dict[str, np.ndarray], names: list[str], **attributes: int) -> onnx.ModelProto:
    """y = MatMulNBits(names), of which x is (N, 40), the others are arrays."""
    sizes = {"K": K, "N": N, "block_size": BLOCK}
    node = helper.make_node("MatMulNBits", names, ["y"], "n", domain=DOMAIN, **sizes, **attributes)
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["N", K]), ("y", ["N", N]))
    ]
    tensors = [numpy_helper.from_array(a, n) for n, a in arrays.items() if n in names]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["left out", "packed", "floats"])
def test_a_product_with_packed_weights(bits: int, zeros: str) -> None:
    """W = (q - z) s in blocks of 16 of 40 rows; the relevance by epsilon is x W."""
    rng = np.random.default_rng(bits)
    blocks = -(-K // BLOCK)
    q = rng.integers(0, 2**bits, (N, blocks * BLOCK))
    scales = rng.uniform(0.01, 0.1, (N, blocks)).astype(np.float32)
    z = (
        np.full((N, blocks), 2 ** (bits - 1))
        if zeros == "left out"
        else rng.integers(0, 2**bits, (N, blocks))
    )
    w = ((q.reshape(N, blocks, BLOCK) - z[..., None]) * scales[..., None]).reshape(N, -1)[:, :K].T
    arrays = {
        "q": packed(q, bits).reshape(N, blocks, -1), "s": scales.reshape(-1), "b": f32(1.0, -2.0, 0.5),
        "z": packed(z, bits).reshape(-1) if zeros == "packed" else z.astype(np.float32),
    }  # fmt: skip
    names = ["x", "q", "s", "" if zeros == "left out" else "z", "", "b"]
    model = product(arrays, names, bits=bits)
    x = rng.standard_normal((2, K)).astype(np.float32)
    for engine in ("numpy", "onnx"):
        e = Explainer(model, "attnlrp", engine=engine)(x, target=1)
        np.testing.assert_allclose(e.outputs["y"], x @ w + arrays["b"], atol=1e-5)
        np.testing.assert_allclose(e.relevance["x"], x * w[:, 1], atol=1e-4)
    if bits != 2 and (bits, zeros) != (8, "floats"):  # of which onnxruntime has no kernel
        np.testing.assert_allclose(run_ort(model, {"x": x}), x @ w + arrays["b"], atol=1e-3)


@pytest.mark.parametrize("kind", ["in memory", "in one file", "weights beside it"])
def test_what_onnxruntime_rounds_before_a_product_is_told(kind: str, tmp_path: Path) -> None:
    """accuracy_level 4 lets it multiply bytes: x is 100 and 39 times .3, which 127 steps of .79 make .79 or 0."""
    arrays = {"q": np.full((N, 3, BLOCK // 2), 0x99, np.uint8), "s": np.ones(9, np.float32)}
    source: onnx.ModelProto | Path = product(arrays, ["x", "q", "s"], bits=4, accuracy_level=4)
    if kind != "in memory":
        beside = {"save_as_external_data": True, "location": "weights", "size_threshold": 0}
        onnx.save(source, tmp_path / "m.onnx", **(beside if kind == "weights beside it" else {}))
        source = tmp_path / "m.onnx"
    x = np.full((1, K), 0.3, np.float32)
    x[0, ::BLOCK] = 100
    e = Explainer(source, "attnlrp")(x, target=0)
    np.testing.assert_allclose(e.relevance["x"], x, rtol=1e-5)
    rounded = [note for note in e.notes if "explained with products in floats" in note]
    assert len(rounded) == 1, e.notes


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
def test_blocks_of_four_bits(kind: int) -> None:
    """W = ((1 - 1) .5, (3 - 1) .5, (7 - 0) .25, (2 - 0) .25) in blocks of two rows."""
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[1,4] x) => (float[1,1] y) {
        w = DequantizeLinear<axis = 0, block_size = 2>(q, s, z)
        y = MatMul(x, w)
    }"""
    model = parser.parse_model(text)
    model.graph.initializer.extend([
        helper.make_tensor("q", kind, [4, 1], [1, 3, 7, 2]), helper.make_tensor("z", kind, [2, 1], [1, 0]),
        numpy_helper.from_array(f32([[0.5], [0.25]]), "s"),
    ])  # fmt: skip
    x = f32([[4, 3, 2, -1]])
    for engine in ("numpy", "onnx"):
        e = Explainer(model, "attnlrp", engine=engine)(x, target=0)
        np.testing.assert_allclose(e.relevance["x"], [[0, 3, 3.5, -0.5]], atol=1e-5)


def test_a_compiled_file_computes_in_any_session_what_the_file_says(tmp_path: Path) -> None:
    """Per channel, the smallest weights a thousandth of the largest: with one scale for all they would be 0."""
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,4,4] x) => (float[1,2,2,2] y) {
        q = QuantizeLinear(x, s, z)
        d = DequantizeLinear(q, s, z)
        w = DequantizeLinear<axis = 0>(wq, ws, wz)
        c = Conv(d, w)
        r = QuantizeLinear(c, t, z)
        y = DequantizeLinear(r, t, z)
    }"""
    model = parser.parse_model(text)
    rng = np.random.default_rng(3)
    arrays = {
        "s": f32(0.02), "z": np.int8(0), "t": f32(0.001), "wz": np.zeros(2, np.int8), "ws": f32(0.01, 0.00001),
        "wq": rng.integers(-127, 127, (2, 1, 3, 3)).astype(np.int8),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items())
    x = rng.standard_normal((1, 1, 4, 4)).astype(np.float32)
    onnx.save(model, tmp_path / "q.onnx")
    compile(tmp_path / "q.onnx", tmp_path / "e.onnx", method="epsilon_plus", target=(1, 0, 0))
    session = ort.InferenceSession(tmp_path / "e.onnx", providers=["CPUExecutionProvider"])
    e = Explainer(tmp_path / "q.onnx", "epsilon_plus")(x, target=(1, 0, 0))
    y, r = session.run(["y", "relevance/x"], {"x": x})
    np.testing.assert_allclose(y, run_ort(model, {"x": x}), atol=1e-6)
    np.testing.assert_allclose(y, e.outputs["y"], atol=1e-6)
    np.testing.assert_allclose(r, e.relevance["x"], atol=1e-6)
