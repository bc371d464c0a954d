"""Networks that mix convolutions, squeeze and excite, attention and norms do not blow relevance up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from tests.support.model_text import model

DEPTH, WIDTH, TOKENS = 4, 8, 16


def block(k: int, x: str) -> str:
    """A convolution with SiLU, squeeze and excite, and self-attention behind a norm, each beside a skip."""
    return f"""
        c{k} = Conv<pads = [1, 1, 1, 1]>({x}, conv{k}, bias) s{k} = Sigmoid(c{k}) a{k} = Mul(c{k}, s{k})
        p{k} = GlobalAveragePool(a{k}) d{k} = Conv(p{k}, down{k}) e{k} = Relu(d{k}) u{k} = Conv(e{k}, up{k})
        g{k} = Sigmoid(u{k}) m{k} = Mul(a{k}, g{k}) r{k} = Add({x}, m{k})
        f{k} = Reshape(r{k}, flat) t{k} = Transpose<perm = [0, 2, 1]>(f{k})
        n{k} = LayerNormalization(t{k}, scale, bias)
        q{k} = MatMul(n{k}, query{k}) v{k} = MatMul(n{k}, value{k}) k{k} = MatMul(n{k}, key{k})
        kt{k} = Transpose<perm = [0, 2, 1]>(k{k}) l{k} = MatMul(q{k}, kt{k}) w{k} = Softmax(l{k})
        o{k} = MatMul(w{k}, v{k}) z{k} = Add(t{k}, o{k}) zt{k} = Transpose<perm = [0, 2, 1]>(z{k})
        x{k} = Reshape(zt{k}, image)"""


def mixed(seed: int) -> onnxdtd.Explainer:
    """Random weights, as large as keeps the size of values."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> Any:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
        return (rng.normal(size=shape) * np.sqrt(2 / fan_in)).astype(np.float32)

    weights: dict[str, Any] = {
        "stem": drawn(WIDTH, 3, 3, 3), "head": drawn(WIDTH, 5), "flat": np.int64([0, WIDTH, TOKENS]),
        "image": np.int64([0, WIDTH, 4, 4]), "scale": np.ones(WIDTH, np.float32),
        "bias": (0.1 * rng.normal(size=WIDTH)).astype(np.float32),
    }  # fmt: skip
    for k in range(DEPTH):
        weights |= {f"conv{k}": drawn(WIDTH, WIDTH, 3, 3), f"down{k}": drawn(2, WIDTH, 1, 1)}
        weights |= {f"up{k}": drawn(WIDTH, 2, 1, 1)}
        weights |= {f"{part}{k}": drawn(WIDTH, WIDTH) for part in ("query", "key", "value")}
    blocks = "".join(block(k, f"x{k - 1}" if k else "h") for k in range(DEPTH))
    text = f"""(float[N, 3, 4, 4] x) => (float[N, 5] y) {{
        h = Conv<pads = [1, 1, 1, 1]>(x, stem) {blocks}
        p = GlobalAveragePool(x{DEPTH - 1}) r = Flatten(p) y = MatMul(r, head) }}"""
    return onnxdtd.Explainer(model(text, **weights))


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_relevance_stays_near_the_logit(seed: int) -> None:
    """Logits of these seeds are 1 to 8: one near 0 is a sum that cancels, and has more |relevance| than value."""
    x = np.random.default_rng(seed).normal(size=(4, 3, 4, 4)).astype(np.float32)
    e = mixed(seed)(x)
    assert e.method == "epsilon_gamma"
    size = np.abs(e.relevance["x"]).sum(axis=(1, 2, 3))
    assert (np.abs(e.target_value) > 1).all()
    assert (size < 3 * np.abs(e.target_value)).all()
    assert (size > 0.3 * np.abs(e.target_value)).all()
