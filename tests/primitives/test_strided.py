"""The compiled adjoint of a convolution with strides, in each of its forms, against NumPy's."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from onnxdtd.primitives import Tracer, conv_transpose, convolution, strided
from tests.support.written import written

LAYERS = {
    # channels out, in; image; kernel, strides, pads, dilations, group; how often it is transposed
    "one weight": (24, 16, (8, 6), (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1, 0),
    "one weight, strides that differ": (24, 16, (8, 9), (1, 1), (2, 3), (0, 0, 0, 0), (1, 1), 1, 0),
    "one weight, last row unused": (24, 16, (9, 6), (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1, 1),
    "3x3": (40, 16, (8, 6), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1, 0),
    "3x3, padded behind": (40, 16, (8, 6), (3, 3), (2, 2), (0, 0, 1, 1), (1, 1), 1, 0),
    "2x4, strides of 2": (40, 32, (8, 6), (2, 4), (2, 2), (0, 1, 0, 1), (1, 1), 1, 0),
    "5x7, strides of 3": (40, 16, (9, 12), (5, 7), (3, 3), (1, 2, 2, 3), (1, 1), 1, 0),
    "3x3, no pads": (40, 16, (8, 6), (3, 3), (2, 2), (0, 0, 0, 0), (1, 1), 1, 0),
    "3x3, odd": (40, 16, (9, 6), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1, 1),
    "a kernel shorter than the strides": (40, 16, (9, 9), (2, 2), (3, 3), (0, 0, 0, 0), (1, 1), 1, 1),
    "dilated": (40, 16, (12, 12), (3, 3), (2, 2), (2, 2, 2, 2), (2, 2), 1, 1),
    "few channels": (40, 3, (8, 8), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1, 1),
    "two groups": (40, 32, (8, 8), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 2, 1),
    "depthwise": (16, 16, (8, 8), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 16, 0),
    "one axis": (40, 16, (8,), (3,), (2,), (1, 1), (1,), 1, 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_adjoint_is_the_same_however_it_is_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strided, "PHASED_FROM", 1)
    out, channels, image, kernel, strides, pads, dilations, group, transposed = LAYERS[name]
    window = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
    rng = np.random.default_rng(0)
    w = rng.standard_normal((out, channels // group, *kernel)).astype(np.float32)
    x = np.zeros((2, channels, *image), np.float32)
    r = rng.standard_normal(convolution.conv(x, w, **window).shape).astype(np.float32)

    tracer = Tracer(17)
    arriving = tracer.value("r", np.float32, ("N", *r.shape[1:]))
    made = conv_transpose(arriving, w, tracer.value("x", np.float32, ("N", *x.shape[1:])), **window)
    assert made.shape == ("N", *x.shape[1:])
    assert [node.op_type for node in tracer.nodes].count("ConvTranspose") == transposed
    graph = helper.make_graph(
        written(tracer), "adjoint", [helper.make_tensor_value_info("r", 1, arriving.shape)],
        [helper.make_tensor_value_info(made.name, 1, made.shape)],
        [numpy_helper.from_array(array, label) for label, array in tracer.constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (back,) = session.run(None, {"r": r})
    np.testing.assert_allclose(back, conv_transpose(r, w, x, **window), rtol=1e-4, atol=1e-4)
