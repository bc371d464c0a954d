"""A model without a batch axis, and inputs of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.support.model_text import model

X = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)


def pictured(channels: int = 3) -> onnx.ModelProto:
    """(C, 8, 8) to four logits, by a convolution."""
    rng = np.random.default_rng(7)
    text = """
        h = Unsqueeze(x, zero) c = Conv<pads = [1, 1, 1, 1]>(h, k) r = Relu(c)
        p = GlobalAveragePool(r) f = Reshape(p, flat) y = MatMul(f, w)
    """
    return model(
        f"(float[{channels}, 8, 8] x) => (float[4] y) {{ {text} }}",
        zero=np.array([0]), flat=np.array([-1]),
        k=rng.normal(size=(6, channels, 3, 3)).astype(np.float32), w=rng.normal(size=(6, 4)).astype(np.float32),
    )  # fmt: skip


def close(actual: Any, desired: Any) -> None:
    """But for rounding: onnxruntime may add up in another order."""
    np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=1e-6)
