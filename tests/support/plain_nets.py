"""Random small networks, each twice: as an ONNX model, and as plain matrices, from which brute force computes."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.theory.regions import regions
from onnxdtd.theory.scene import Scene
from tests.support.model_text import model

Stage = tuple[str, Any, Any]


@dataclasses.dataclass
class Net:
    """A network twice: as an ONNX model, and as stages of plain matrices for brute force.

    Stages: ("affine", W, b), ("bend", knots, slopes), ("max", windows, inputs); nodes: of those that switch.
    """

    text: str
    constants: dict[str, Any]
    stages: list[Stage]
    inputs: tuple[int, ...]
    nodes: list[str]

    def explainer(self) -> onnxdtd.Explainer:
        return onnxdtd.Explainer(model(self.text, **self.constants), "gradient")

    def pieces(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Of points (N, n): which piece every unit is on, by switching stage, and the output."""
        chosen = []
        for kind, one, two in self.stages:
            if kind == "affine":
                x = x @ one + two
            elif kind == "bend":
                chosen.append(np.searchsorted(one, x, side="left").astype(np.int16))
                x = bend(x, one, two)
            else:
                seen = np.where(one < 0, -np.inf, x[:, one])
                x = seen.max(-1)
                # All winners, as bits: in a window of dead units every unit wins.
                chosen.append(sum((seen[..., k] == x).astype(np.int32) << k for k in range(seen.shape[-1])))
        return chosen, x

    def gradient(self, x: np.ndarray, target: int) -> np.ndarray:
        """The gradient of one output at points (N, n)."""
        pieces, _ = self.pieces(x)
        g = np.zeros((len(x), self.stages[-1][1].shape[1]))
        g[:, target] = 1
        k = len(pieces)
        for kind, one, two in reversed(self.stages):
            if kind == "affine":
                g = g @ one.T
                continue
            k -= 1
            if kind == "bend":
                g = g * np.asarray(two)[pieces[k]]
            else:
                back = np.zeros((len(x), two))
                wins = pieces[k][..., None] >> np.arange(one.shape[-1]) & 1
                shares = g[..., None] * wins / wins.sum(-1, keepdims=True)
                np.add.at(back, (np.arange(len(x))[:, None, None], one), shares)
                g = back
        return g


def bend(u: np.ndarray, knots: Any, slopes: Any) -> np.ndarray:
    """Continuous, slope k between knots k - 1 and k, 0 at 0 or at the first knot of a clip."""
    if len(knots) == 2:
        return np.clip(u, *knots)
    return np.where(u > 0, slopes[1], slopes[0]) * u


BENDS = {
    "Relu": ("Relu ({})", (0.0,), (0.0, 1.0)),
    "LeakyRelu": ("LeakyRelu <alpha = 0.125> ({})", (0.0,), (0.125, 1.0)),
    "Clip": ("Clip ({}, low, high)", (-0.5, 1.0), (0.0, 1.0, 0.0)),
}


def mlp(rng: np.random.Generator) -> Net:
    sizes = [int(n) for n in rng.integers(4, 11, rng.integers(3, 5))] + [3]
    lines, stages, nodes = [], [], []
    constants: dict[str, Any] = {"low": np.float32(-0.5), "high": np.float32(1.0)}
    value = "x"
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        W = (rng.normal(size=(n, m)) / np.sqrt(n) * 1.5).astype(np.float32)
        b = rng.normal(size=m).astype(np.float32) * 0.3
        constants |= {f"W{i}": W, f"b{i}": b}
        last = i == len(sizes) - 2
        lines.append(f"{'y' if last else f'z{i}'} = Gemm({value}, W{i}, b{i})")
        stages.append(("affine", W.astype(float), b.astype(float)))
        if not last:
            op = list(BENDS)[rng.integers(3)]
            text, knots, slopes = BENDS[op]
            lines.append(f"h{i} = {text.format(f'z{i}')}")
            stages.append(("bend", knots, slopes))
            nodes.append(f"{op}_{2 * i + 1}")
            value = f"h{i}"
    text = f"(float[N, {sizes[0]}] x) => (float[N, 3] y) {{ {' '.join(lines)} }}"
    return Net(text, constants, stages, (sizes[0],), nodes)


def unrolled(w: np.ndarray, b: np.ndarray, size: int, pad: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The matrix of a convolution on a square of one size, stride 1."""
    m, c, k, _ = w.shape
    out = size + 2 * pad - k + 1
    W = np.zeros((c, size, size, m, out, out))
    for i, j, p, q in np.ndindex(out, out, k, k):
        row, column = i + p - pad, j + q - pad
        if 0 <= row < size and 0 <= column < size:
            W[:, row, column, :, i, j] += w[:, :, p, q].T
    return W.reshape(c * size * size, -1), np.repeat(b, out * out), out


def windows(channels: int, size: int, kernel: int, stride: int, pad: int) -> tuple[np.ndarray, int]:
    """The flat positions that each pooling window reads, -1 for padding."""
    out = (size + 2 * pad - kernel) // stride + 1
    places = np.full((channels, out, out, kernel * kernel), -1)
    for c, i, j, p, q in np.ndindex(channels, out, out, kernel, kernel):
        row, column = i * stride + p - pad, j * stride + q - pad
        if 0 <= row < size and 0 <= column < size:
            places[c, i, j, p * kernel + q] = (c * size + row) * size + column
    return places.reshape(-1, kernel * kernel), out


def cnn(rng: np.random.Generator) -> Net:
    """Conv, Relu, MaxPool and a Gemm; or Conv, MaxPool, Relu, Conv, GlobalMaxPool, Gemm."""
    size, c = int(rng.integers(4, 6)), int(rng.integers(1, 3))
    w = rng.normal(size=(2, c, 3, 3)).astype(np.float32) / 2
    b = rng.normal(size=2).astype(np.float32) * 0.2
    W, B, out = unrolled(w, b, size, 1)
    kernel, stride, pad = [(2, 2, 0), (3, 2, 1), (2, 1, 0)][rng.integers(3)]
    pads = [pad] * 4
    pool = f"<kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}], pads = {pads}>"
    reads, small = windows(2, out, kernel, stride, pad)
    relu, stages = ("bend", (0.0,), (0.0, 1.0)), [("affine", W, B)]
    head = (
        f"(float[N, {c}, {size}, {size}] x) => (float[N, 3] y) {{ z = Conv <pads = [1, 1, 1, 1]> (x, w, b) "
    )
    if rng.integers(2):
        V, d = rng.normal(size=(2 * small * small, 3)).astype(np.float32), np.zeros(3, np.float32)
        text = head + f"r = Relu(z) p = MaxPool {pool} (r) f = Flatten(p) y = Gemm(f, V, d) }}"
        stages += [relu, ("max", reads, 2 * out * out), ("affine", V.astype(float), d)]
        return Net(text, {"w": w, "b": b, "V": V, "d": d}, stages, (c, size, size), ["Relu_1", "MaxPool_2"])
    u, e = rng.normal(size=(3, 2, 2, 2)).astype(np.float32) / 2, rng.normal(size=3).astype(np.float32) * 0.2
    V, d = rng.normal(size=(3, 3)).astype(np.float32), np.zeros(3, np.float32)
    U, E, last = unrolled(u, e, small, 0)
    everything, _ = windows(3, last, last, 1, 0)
    text = (
        head + f"p = MaxPool {pool} (z) r = Relu(p) v = Conv (r, u, e) g = GlobalMaxPool(v) f = Flatten(g) "
    )
    stages += [
        ("max", reads, 2 * out * out),
        relu,
        ("affine", U, E),
        ("max", everything, 3 * last * last),
        ("affine", V.astype(float), d),
    ]
    return Net(
        text + "y = Gemm(f, V, d) }", {"w": w, "b": b, "u": u, "e": e, "V": V, "d": d}, stages, (c, size, size),
        ["MaxPool_1", "Relu_2", "GlobalMaxPool_4"],
    )  # fmt: skip


def scene_of(text: str, x: Any, target: Any = None, method: str = "dtd", **constants: Any) -> Scene:
    return Scene.of(onnxdtd.Explainer(model(text, **constants), method), np.array(x), target)


def verdicts(scene: Scene, cut: str, layer: str, *directions: Any, **options: Any) -> list[str]:
    d = np.array(directions, float)
    return [
        str(v) for v in regions(scene, [cut], layer, len(d), lambda numbers: [d[list(numbers)]], **options)
    ]
