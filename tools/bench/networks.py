"""VGG16 and ResNet50 in torch, with random weights, and their export to ONNX: what the benchmark explains."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

SIDE, CLASSES = 224, 1000
VGG16 = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]  # per stage: convolutions, channels
RESNET50 = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)]  # per stage: blocks, width, first stride


class Classifier(nn.Module):
    """Features, then a dense head; flattened by the function, as captum has no rule for the module."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


def vgg16() -> nn.Module:
    """Simonyan and Zisserman 2015, configuration D, without the dropout that inference drops."""
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

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
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
    """He et al. 2016, the stride in the 3x3 convolution."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    ]  # fmt: skip
    inputs = 64
    for blocks, width, stride in RESNET50:
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = width * Bottleneck.expansion
    return Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), nn.Linear(inputs, CLASSES))


@torch.no_grad()
def build(name: str) -> nn.Module:
    """The network `name` in eval mode: He-normal weights, small biases, random batch-norm statistics."""
    network = {"vgg16": vgg16, "resnet50": resnet50}[name]()
    rng = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.normal_(0, math.sqrt(2 / module.weight[0].numel()), generator=rng)
            if module.bias is not None:
                module.bias.normal_(0, 0.05, generator=rng)
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.3, 0.9, generator=rng)
            module.bias.normal_(0, 0.2, generator=rng)
            module.running_mean.normal_(0, 0.2, generator=rng)
            module.running_var.uniform_(0.5, 2.0, generator=rng)
    return network.eval().requires_grad_(False)


def export(network: nn.Module, path: Path) -> None:
    """Opset 17, symbolic batch; `PRESERVE` keeps the eval mode and BatchNormalization unfolded."""
    torch.onnx.export(
        network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )  # fmt: skip
