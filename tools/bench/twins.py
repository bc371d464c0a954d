"""The networks of the benchmark in torch, with the weights of their ONNX files: for zennit, captum and autograd."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from tools.bench.networks import (  # fmt: skip
    CLASSES,
    EXPANSION,
    HEADS,
    INNER,
    LAYERS,
    PATCH,
    RESNET50,
    SIDE,
    TOKENS,
    VGG16,
    VOCABULARY,
    WIDTH,
)


class Classifier(nn.Module):
    """Features, then a dense head; flattened by the function, as captum has no rule for the module."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


def vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 3
    for convolutions, channels in VGG16:
        for _ in range(convolutions):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    features = inputs * (SIDE // 2 ** len(VGG16)) ** 2
    head = [nn.Linear(features, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, CLASSES)]
    return Classifier(nn.Sequential(*layers), nn.Sequential(*head))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution plus shortcut, with the attribute names of zennit's ResNetCanonizer."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + identity)


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    ]  # fmt: skip
    inputs = 64
    for blocks, width, stride in RESNET50:
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = width * EXPANSION
    return Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), nn.Linear(inputs, CLASSES))


class Layer(nn.Module):
    """One layer of a transformer; before: whether the norms stand before what they serve."""

    def __init__(self, before: bool) -> None:
        super().__init__()
        self.before = before
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, 1e-12) for _ in range(2))

    def attention(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.outer(nn.functional.gelu(self.inner(x)))

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            x = x + self.attention(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.feed_forward(x))


class Bert(nn.Module):
    """Takes tokens, or the floats that they were embedded as, of which there is a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.zeros(1, TOKENS, WIDTH))
        self.norm, self.layers = (
            nn.LayerNorm(WIDTH, 1e-12),
            nn.Sequential(*(Layer(False) for _ in range(LAYERS))),
        )
        self.pooler, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x if x.is_floating_point() else self.words(x)
        x = self.layers(self.norm(x + self.positions))
        return self.head(torch.tanh(self.pooler(x[:, 0])))


class Vit(nn.Module):
    """Norms before the layers, a class token in front."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.zeros(1, (SIDE // PATCH) ** 2 + 1, WIDTH))
        self.norm, self.layers = (
            nn.LayerNorm(WIDTH, 1e-12),
            nn.Sequential(*(Layer(True) for _ in range(LAYERS))),
        )
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.layers(x))[:, 0])


TWINS = {"vgg16": vgg16, "resnet50": resnet50, "bert_base": Bert, "vit_b16": Vit}


@torch.no_grad()
def load(name: str, path: Path) -> nn.Module | None:
    """The network in eval mode with the weights of the file, None where there is none in torch."""
    if name not in TWINS:
        return None
    network = TWINS[name]()
    stored = {
        w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in onnx.load(path).graph.initializer
    }
    for label, weights in network.state_dict().items():
        if label.endswith("num_batches_tracked"):
            continue
        own = stored[label]  # a dense layer of the last axis stands the other way round in the file
        weights.copy_(own if own.shape == weights.shape and ".layers." not in f".{label}" else _turned(own))
    return network.eval().requires_grad_(False)


def _turned(weights: Tensor) -> Tensor:
    return weights.T if weights.ndim == 2 else weights
