"""A small convolutional network, trained in NumPy from a seed: two convolutions of stride 2 and a dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]

CHANNELS, SIDE, KERNEL = (12, 32), 28, 5
EPOCHS, BATCH, RATE, DECAY = 40, 40, 5e-3, 1e-4
WEIGHTS = {
    "w1": (CHANNELS[0], 1, KERNEL, KERNEL), "b1": (CHANNELS[0],),
    "w2": (CHANNELS[1], CHANNELS[0], KERNEL, KERNEL), "b2": (CHANNELS[1],),
    "w3": (CHANNELS[1], 10), "b3": (10,),
}  # fmt: skip


def train(pictures: Array, labels: Array, seed: int) -> dict[str, Array]:
    """The weights after Adam on the cross-entropy. pictures: (N, 1, 28, 28) in [0, 1]."""
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(0, np.sqrt(2 / _fan(shape)), shape) if len(shape) > 1 else np.zeros(shape)
        for name, shape in WEIGHTS.items()
    }
    first, second = ({name: np.zeros(shape) for name, shape in WEIGHTS.items()} for _ in range(2))
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(pictures))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            step += 1
            for name, slope in _slopes(weights, pictures[some].astype(np.float64), labels[some]).items():
                slope = slope + DECAY * weights[name]
                first[name] = 0.9 * first[name] + 0.1 * slope
                second[name] = 0.999 * second[name] + 0.001 * slope**2
                mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                weights[name] -= RATE * mean / (np.sqrt(square) + 1e-8)
    return weights


def to_onnx(weights: dict[str, Array]) -> onnx.ModelProto:
    """The same network; `features` are the 16 channels of 7 x 7."""
    pads = {"strides": [2, 2], "pads": [KERNEL // 2] * 4}
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], name="conv1", **pads),
        helper.make_node("Relu", ["conv1"], ["edges"], name="relu1"),
        helper.make_node("Conv", ["edges", "w2", "b2"], ["conv2"], name="conv2", **pads),
        helper.make_node("Relu", ["conv2"], ["features"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["means"], name="flatten"),
        helper.make_node("Gemm", ["means", "w3", "b3"], ["scores"], name="dense"),
    ]
    graph = helper.make_graph(
        nodes, "artefact",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, {"onnxdtd.input_range": "[0, 1]"})
    onnx.checker.check_model(model, full_check=True)
    return model


def scores(weights: dict[str, Array], pictures: Array) -> Array:
    """(N, 10)."""
    return _forward(weights, pictures.astype(np.float64))[-1]


def _forward(weights: dict[str, Array], x: Array) -> tuple[Array, ...]:
    """Patches and what comes of them, layer by layer, and the scores."""
    patches1 = _patches(x)
    one = np.maximum(patches1 @ weights["w1"].reshape(CHANNELS[0], -1).T + weights["b1"], 0)
    patches2 = _patches(one.transpose(0, 3, 1, 2))
    two = np.maximum(patches2 @ weights["w2"].reshape(CHANNELS[1], -1).T + weights["b2"], 0)
    mean = two.mean(axis=(1, 2))
    return patches1, one, patches2, two, mean, mean @ weights["w3"] + weights["b3"]


def _slopes(weights: dict[str, Array], x: Array, labels: Array) -> dict[str, Array]:
    """The gradient of the mean cross-entropy, by weight."""
    patches1, one, patches2, two, mean, logits = _forward(weights, x)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), labels] -= 1
    p /= len(x)
    slopes = {"w3": mean.T @ p, "b3": p.sum(axis=0)}
    positions = two.shape[1] * two.shape[2]
    at_two = (p @ weights["w3"].T)[:, None, None] / positions * (two > 0)
    slopes |= _of_convolution("2", at_two, patches2, weights["w2"].shape)
    at_one = _back(at_two @ weights["w2"].reshape(CHANNELS[1], -1), one.shape) * (one > 0)
    return slopes | _of_convolution("1", at_one, patches1, weights["w1"].shape)


def _of_convolution(number: str, r: Array, patches: Array, shape: tuple[int, ...]) -> dict[str, Array]:
    rows = r.reshape(-1, r.shape[-1])
    weight = (rows.T @ patches.reshape(len(rows), -1)).reshape(shape)
    return {f"w{number}": weight, f"b{number}": rows.sum(axis=0)}


def _patches(x: Array) -> Array:
    """(N, C, H, W) as (N, H / 2, W / 2, C K K), padded with zeros."""
    edge = KERNEL // 2
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KERNEL, KERNEL), (2, 3))[:, :, ::2, ::2]
    return np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(len(x), *windows.shape[2:4], -1)


def _back(patches: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of `_patches`: (N, h, w, C K K) summed into (N, H, W, C)."""
    n, height, width, channels = shape
    edge = KERNEL // 2
    padded = np.zeros((n, height + 2 * edge, width + 2 * edge, channels))
    grid = patches.reshape(*patches.shape[:3], channels, KERNEL, KERNEL)
    for i in range(KERNEL):
        for j in range(KERNEL):
            padded[:, i : i + height : 2, j : j + width : 2] += grid[..., i, j]
    return padded[:, edge:-edge, edge:-edge]


def _fan(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
