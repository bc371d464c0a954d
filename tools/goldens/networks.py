"""The two small random networks of the parity goldens, in torch, and their export to ONNX.

`VggLike` is nine linear layers in a row, `ResnetLike` has batch normalization and residual sums. Both are
random but made to be *well-conditioned*, so that float32 and float64 relevance agree far below the parity
tolerance, and neither has a place where the libraries differ by convention:
- max pooling stands before the ReLU (the same function), so no window of zeros is a tie;
- `settle` moves each shift that feeds a residual sum or an average pool until zero falls into a gap of the
  values: no sum is close to zero (relevance is divided by it), and no pooled window is dead.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn


class VggLike(nn.Sequential):
    """Six 3x3 convolutions, two max pools, an overlapping average pool, three dense layers."""

    def __init__(self, seed: int) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(),
            nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4, stride=2),
            nn.Flatten(), nn.Linear(216, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip
        randomise(self, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def settle(self, x: Tensor) -> None:
        features = nn.Sequential(*list(self)[:13])
        settle_shift(features[-1].bias, features(x))


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)), named as zennit's ResNetCanonizer expects."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)
            )

    def sum(self, x: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return (x if self.downsample is None else self.downsample(x)) + branch

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.sum(x))


class ResnetLike(nn.Module):
    """Strided stem, three residual blocks (the second strided, with 1x1 shortcut), global average, dense."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        convolution, norm = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16, eps=1e-3)
        self.stem = nn.Sequential(convolution, norm, nn.ReLU())
        self.blocks = nn.Sequential(BasicBlock(16, 16), BasicBlock(16, 32, stride=2), BasicBlock(32, 32))
        self.pool, self.flatten, self.dense = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
        randomise(self, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def settle(self, x: Tensor) -> None:
        x = self.stem(x)
        for block in self.blocks:
            settle_shift(block.bn2.bias, block.sum(x))
            x = block(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.flatten(self.pool(self.blocks(self.stem(x)))))


@torch.no_grad()
def randomise(network: nn.Module, rng: torch.Generator) -> None:
    """He-normal weights; random biases and batch-norm parameters and statistics, shifts of both signs."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.normal_(0, math.sqrt(2 / module.weight[0].numel()), generator=rng)
            if module.bias is not None:
                module.bias.normal_(0, 0.2, generator=rng)
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.0, generator=rng)
            module.bias.normal_(0, 0.3, generator=rng)
            module.running_mean.normal_(0, 0.3, generator=rng)
            module.running_var.uniform_(0.5, 2.0, generator=rng)
    network.eval()


def settle_shift(shift: Tensor, values: Tensor) -> None:
    """Put zero amid the widest gap between the 15 % and 50 % quantiles of each channel's values."""
    for channel, v in enumerate(values.transpose(0, 1).flatten(1)):
        v = v.sort().values
        v = v[int(0.15 * len(v)) : int(0.5 * len(v))]
        widest = v.diff().argmax()
        shift[channel] -= (v[widest] + v[widest + 1]) / 2


def export(network: nn.Module, x: Tensor, path: Path) -> None:
    """Opset 17, symbolic batch; `PRESERVE` keeps the eval mode and BatchNormalization unfolded."""
    torch.onnx.export(
        network, (x,), str(path), dynamo=False, opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )  # fmt: skip
