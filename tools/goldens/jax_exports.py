"""Tiny networks in JAX, exported by jax2onnx, with JAX's own gradients as goldens.

    pip install jax2onnx flax
    python -m tools.goldens.jax_exports          # writes tests/exports/jax_*.onnx and .npz

A transformer block (attention, LayerNorm, GELU) over 6 tokens and a convolutional net with SiLU, both with random
weights: what matters here is what the exporter writes.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from flax import nnx
from jax2onnx import to_onnx

from tools.paths import EXPORTS


class Block(nnx.Module):
    """One transformer block and a head on the mean of the tokens."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm, self.last = nnx.LayerNorm(8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.q, self.k, self.v = (nnx.Linear(8, 8, rngs=rngs) for _ in range(3))
        self.up, self.down = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        h = self.norm(x)
        scores = jnp.einsum("btd,bsd->bts", self.q(h), self.k(h)) / jnp.sqrt(8.0)
        x = x + jnp.einsum("bts,bsd->btd", jax.nn.softmax(scores, axis=-1), self.v(h))
        x = x + self.down(jax.nn.gelu(self.up(self.last(x))))
        return self.head(x.mean(axis=1))


class Net(nnx.Module):
    """Convolutions, channels last, with SiLU and an average pool."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(2, 4, kernel_size=(3, 3), rngs=rngs)
        self.second = nnx.Conv(4, 6, kernel_size=(3, 3), strides=(2, 2), rngs=rngs)
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.silu(self.first(x))
        x = nnx.avg_pool(nnx.relu(self.second(x)), window_shape=(2, 2), strides=(2, 2))
        return self.head(x.mean(axis=(1, 2)))


def write(name: str, network: nnx.Module, shape: tuple[int, ...]) -> None:
    model = to_onnx(network, [("B", *shape[1:])], opset=21)
    model.ir_version = min(model.ir_version, 10)
    onnx.save(model, EXPORTS / f"jax_{name}.onnx")
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = np.asarray(network(jnp.asarray(x)))
    top = y.argmax(axis=1)
    gradient = jax.grad(lambda v: network(v)[jnp.arange(len(top)), top].sum())(jnp.asarray(x))
    np.savez(EXPORTS / f"jax_{name}.npz", x=x, y=y, gradient=np.asarray(gradient))


if __name__ == "__main__":
    EXPORTS.mkdir(exist_ok=True)
    write("transformer", Block(nnx.Rngs(0)), (2, 6, 8))
    write("conv", Net(nnx.Rngs(1)), (2, 8, 8, 2))
