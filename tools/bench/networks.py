"""What the benchmark explains: networks with random weights, which take as long as trained ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from tools.bench.builder import Builder

SIDE, CLASSES = 224, 1000
VGG16 = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]  # per stage: convolutions, channels
RESNET50 = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)]  # per stage: blocks, width, first stride
EXPANSION = 4
LAYERS, WIDTH, HEADS, INNER, PATCH = 12, 768, 12, 3072, 16  # of BERT-base and ViT-B/16
TOKENS, VOCABULARY = 128, 30522
LLAMA = {"layers": 14, "width": 2048, "heads": 16, "inner": 5504, "vocabulary": 32000}  # 0.85 G weights


def vgg16() -> onnx.ModelProto:
    """Simonyan and Zisserman 2015, configuration D, without the dropout that inference drops."""
    b = Builder()
    h, inputs, number = b.input("input", ("batch", 3, SIDE, SIDE)), 3, 0
    for convolutions, channels in VGG16:
        for _ in range(convolutions):
            h = b("Relu", b.conv(h, f"features.{number}", inputs, channels, 3))
            inputs, number = channels, number + 2
        h, number = b("MaxPool", h, kernel_shape=[2, 2], strides=[2, 2]), number + 1
    inputs *= (SIDE // 2 ** len(VGG16)) ** 2
    h = b("Flatten", h)
    for number, outputs in ((0, 4096), (2, 4096)):
        h, inputs = b("Relu", b.gemm(h, f"head.{number}", inputs, outputs)), outputs
    return b.model(b.gemm(h, "head.4", inputs, CLASSES), "logits", ("batch", CLASSES))


def resnet50() -> onnx.ModelProto:
    """He et al. 2016, the stride in the 3x3 convolution; BatchNormalization as it stands, unfolded."""
    b = Builder()

    def normal_conv(
        x: str, conv: str, norm: str, inputs: int, outputs: int, kernel: int, stride: int = 1
    ) -> str:
        return b.batch_norm(b.conv(x, conv, inputs, outputs, kernel, stride, bias=False), norm, outputs)

    h = b(
        "Relu",
        normal_conv(b.input("input", ("batch", 3, SIDE, SIDE)), "features.0", "features.1", 3, 64, 7, 2),
    )
    h = b("MaxPool", h, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    inputs, number = 64, 4
    for blocks, width, first in RESNET50:
        for block in range(blocks):
            at, stride, outputs = f"features.{number}", first if block == 0 else 1, width * EXPANSION
            y = b("Relu", normal_conv(h, f"{at}.conv1", f"{at}.bn1", inputs, width, 1))
            y = b("Relu", normal_conv(y, f"{at}.conv2", f"{at}.bn2", width, width, 3, stride))
            y = normal_conv(y, f"{at}.conv3", f"{at}.bn3", width, outputs, 1)
            if stride != 1 or inputs != outputs:
                down = f"{at}.downsample"
                h = normal_conv(h, f"{down}.0", f"{down}.1", inputs, outputs, 1, stride)
            h = b("Relu", b("Add", y, h))
            inputs, number = outputs, number + 1
    h = b("Flatten", b("GlobalAveragePool", h))
    return b.model(b.gemm(h, "head", inputs, CLASSES), "logits", ("batch", CLASSES))


def bert_base() -> onnx.ModelProto:
    """Devlin et al. 2019: norms behind the sums; a pooler and two classes on the first token."""
    b = Builder()
    ids = b.input("input", ("batch", TOKENS), TensorProto.INT64)
    words = b("Gather", b.normal("words.weight", (VOCABULARY, WIDTH), 0.5), ids)
    h = b("Add", words, b.normal("positions", (1, TOKENS, WIDTH), 0.1))
    h = b.layer_norm(h, "norm", WIDTH)
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        h = b.layer_norm(b("Add", _attention(b, h, at, TOKENS), h), f"{at}.norm1", WIDTH)
        h = b.layer_norm(b("Add", _feed_forward(b, h, at), h), f"{at}.norm2", WIDTH)
    first = b("Gather", h, b.constant(np.int64(0)), axis=1)
    pooled = b("Tanh", b.gemm(first, "pooler", WIDTH, WIDTH))
    return b.model(b.gemm(pooled, "head", WIDTH, 2), "logits", ("batch", 2))


def vit_b16() -> onnx.ModelProto:
    """Dosovitskiy et al. 2021: norms before the layers; 1,000 classes on the class token."""
    b = Builder()
    x = b.input("input", ("batch", 3, SIDE, SIDE))
    patches = (SIDE // PATCH) ** 2
    w = b.normal("patches.weight", (WIDTH, 3, PATCH, PATCH), math.sqrt(1 / (3 * PATCH**2)))
    y = b(
        "Conv", x, w, b.normal("patches.bias", (WIDTH,), 0.05), kernel_shape=[PATCH] * 2, strides=[PATCH] * 2
    )
    y = b("Transpose", b.reshape(y, 0, WIDTH, patches), perm=[0, 2, 1])
    batch = b("Slice", b("Shape", y), *(b.constant(np.array([n])) for n in (0, 1)))
    shape = b("Concat", batch, b.constant(np.array([1, WIDTH])), axis=0)
    token = b("Expand", b.normal("token", (1, 1, WIDTH), 0.5), shape)
    h = b("Add", b("Concat", token, y, axis=1), b.normal("positions", (1, patches + 1, WIDTH), 0.1))
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        h = b("Add", _attention(b, b.layer_norm(h, f"{at}.norm1", WIDTH), at, patches + 1), h)
        h = b("Add", _feed_forward(b, b.layer_norm(h, f"{at}.norm2", WIDTH), at), h)
    first = b("Gather", b.layer_norm(h, "norm", WIDTH), b.constant(np.int64(0)), axis=1)
    return b.model(b.gemm(first, "head", WIDTH, CLASSES), "logits", ("batch", CLASSES))


def _attention(b: Builder, x: str, at: str, length: int) -> str:
    size = WIDTH // HEADS

    def heads(name: str, perm: list[int]) -> str:
        return b(
            "Transpose",
            b.reshape(b.dense(x, f"{at}.{name}", WIDTH, WIDTH), 0, length, HEADS, size),
            perm=perm,
        )

    q, k, v = (heads(n, p) for n, p in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])))
    scores = b("Div", b("MatMul", q, k), b.constant(math.sqrt(size)))
    y = b("Transpose", b("MatMul", b("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return b.dense(b.reshape(y, 0, length, WIDTH), f"{at}.out", WIDTH, WIDTH)


def _feed_forward(b: Builder, x: str, at: str) -> str:
    h = b.dense(x, f"{at}.inner", WIDTH, INNER)
    erf = b("Add", b("Erf", b("Div", h, b.constant(math.sqrt(2)))), b.constant(1.0))
    return b.dense(b("Mul", b("Mul", h, erf), b.constant(0.5)), f"{at}.outer", INNER, WIDTH)


def llama() -> onnx.ModelProto:
    """Touvron et al. 2023, with 0.85 G weights: the scores of the next token, of any number of tokens."""
    b, width, heads = Builder(), LLAMA["width"], LLAMA["heads"]
    size, longest = width // heads, 64
    ids = b.input("input", ("batch", "tokens"), TensorProto.INT64)
    h = b("Gather", b.normal("words.weight", (LLAMA["vocabulary"], width), 0.5), ids)
    numbers = {n: b.constant(np.array([n])) for n in (0, 1)}
    tokens = b("Slice", b("Shape", ids), numbers[1], b.constant(np.array([2])))
    angles = np.outer(np.arange(longest), 1e4 ** -(np.arange(0, size, 2) / size))
    turns = [
        b("Slice", b.constant(f(np.concatenate([angles, angles], 1))), numbers[0], tokens)
        for f in (np.cos, np.sin)
    ]
    future = b.constant(np.triu(np.full((longest, longest), -1e4), 1))
    for axis in (0, 1):
        future = b("Slice", future, numbers[0], tokens, numbers[axis])
    halves = [b.constant(np.array([n])) for n in (0, size // 2, size)]
    last = b.constant(np.array([-1]))

    def norm(x: str, name: str) -> str:
        squares = b("ReduceMean", b("Pow", x, b.constant(2.0)), axes=[-1])
        y = b("Div", x, b("Sqrt", b("Add", squares, b.constant(1e-6))))
        return b("Mul", y, b.uniform(name, width, 0.8, 1.2))

    def turned(x: str) -> str:
        low, high = (b("Slice", x, halves[i], halves[i + 1], last) for i in (0, 1))
        return b("Add", b("Mul", x, turns[0]), b("Mul", b("Concat", b("Neg", high), low, axis=-1), turns[1]))

    for layer in range(LLAMA["layers"]):
        at = f"layers.{layer}"
        x = norm(h, f"{at}.norm1")
        q, k, v = (
            b("Transpose", b.reshape(b.dense(x, f"{at}.{n}", width, width, bias=False), 0, 0, heads, size),
              perm=[0, 2, 1, 3])
            for n in "qkv"
        )  # fmt: skip
        scores = b("MatMul", turned(q), b("Transpose", turned(k), perm=[0, 1, 3, 2]))
        scores = b("Add", b("Div", scores, b.constant(math.sqrt(size))), future)
        y = b("Transpose", b("MatMul", b("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        h = b("Add", h, b.dense(b.reshape(y, 0, 0, width), f"{at}.out", width, width, bias=False))
        x = norm(h, f"{at}.norm2")
        gate, up = (b.dense(x, f"{at}.{n}", width, LLAMA["inner"], bias=False) for n in ("gate", "up"))
        inner = b("Mul", b("Mul", gate, b("Sigmoid", gate)), up)
        h = b("Add", h, b.dense(inner, f"{at}.down", LLAMA["inner"], width, bias=False))
    scores = b.dense(norm(h, "norm"), "head", width, LLAMA["vocabulary"], bias=False)
    return b.model(scores, "logits", ("batch", "tokens", LLAMA["vocabulary"]))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "vgg16": vgg16, "resnet50": resnet50, "bert_base": bert_base, "vit_b16": vit_b16, "llama": llama,
}  # fmt: skip


def write(name: str, path: Path) -> None:
    """Write the network; weights that one file cannot hold go beside it."""
    model = NETWORKS[name]()
    large = sum(len(w.raw_data) for w in model.graph.initializer) > 2**31 - 2**20
    onnx.save(model, path, save_as_external_data=large, location=f"{path.name}.data")
