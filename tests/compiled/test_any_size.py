"""A network whose height and width are known at run time only: both engines agree at every size."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxdtd.explainer import Explainer

TEXT = """
<ir_version: 9, opset_import: ["" : 17]>
net (float[N, 3, H, W] x, float[8, 3, 5, 5] w1, float[8] b1, float[16, 8, 3, 3] w2, float[16] b2,
     float[16, 16, 3, 3] w3, float[16, 1, 3, 3] w4, float[16, 16, 1, 1] w5, float[16, 8, 2, 2] w6, float[8, 5] w7)
  => (float[N, 5] y)
{
  c1 = Conv <strides = [2, 2], pads = [2, 2, 2, 2]> (x, w1, b1)
  r1 = Relu (c1)
  p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (r1)
  c2 = Conv <auto_pad = "SAME_UPPER"> (p1, w2, b2)
  r2 = Relu (c2)
  c3 = Conv <pads = [1, 1, 1, 1]> (r2, w3)
  a3 = Add (c3, r2)
  r3 = Relu (a3)
  q3 = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (r3)
  c4 = Conv <pads = [1, 1, 1, 1], group = 16> (q3, w4)
  r4 = Relu (c4)
  p4 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r4)
  c5 = Conv <strides = [2, 2]> (p4, w5)
  r5 = Relu (c5)
  c6 = ConvTranspose <strides = [2, 2]> (r5, w6)
  g = GlobalAveragePool (c6)
  f = Flatten (g)
  y = MatMul (f, w7)
}
"""
METHODS = ["gradient", "epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1_flat", "dtd", "composite"]


def network() -> onnx.ModelProto:
    model = onnx.parser.parse_model(TEXT)
    rng = np.random.default_rng(5)
    for value in list(model.graph.input)[1:]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        weights = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, value.name))
        model.graph.input.remove(value)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_engines_agree_at_every_size(method: str, rng: np.random.Generator) -> None:
    bounds = {} if method == "gradient" else {"input_range": (-6.0, 6.0)}
    numpy, onnx_ = (Explainer(network(), method, engine=engine, **bounds) for engine in ("numpy", "onnx"))
    for shape in [(2, 3, 64, 64), (1, 3, 61, 75), (3, 3, 97, 66)]:
        x = rng.standard_normal(shape).astype(np.float32)
        expected, relevance = numpy(x).relevance["x"], onnx_(x).relevance["x"]
        np.testing.assert_allclose(relevance, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
        fresh = Explainer(network(), method, engine="numpy", **bounds)(x).relevance["x"]
        np.testing.assert_array_equal(expected, fresh)  # nothing of another size is kept
