"""Write networks of timm with random weights as TorchScript exports them; runs in the environment `timm`.

    python -m tools.transformers.pictures FOLDER NETWORK

FOLDER/timm/NETWORK then has script.onnx (opset 17, any number of pictures), inputs.npz, and reference.npz: the index
of the target and the gradient of its logit by the input, by PyTorch in float64; or, where that gradient itself misses
central differences of the network, these differences and their directions.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import torch

import tools.transformers.stubs  # noqa: F401 (before timm imports torchvision)

# isort: split
import timm

TARGET, DIRECTIONS, STEP = 2, 4, 1e-6
"""The step is short, so that few of the largest in a pool change places."""


def main(folder: Path, name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=5, exportable=True).eval()
    for weight in network.parameters():  # scales of zero would hide a branch
        if weight.ndim < 2:
            weight.data += 0.2 * torch.randn_like(weight)
    x = torch.randn(1, *network.default_cfg["input_size"])
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        network, (x,), folder / "script.onnx", dynamo=False, opset_version=17, input_names=["x"],
        output_names=["logits"], dynamic_axes={"x": {0: "batch"}},
    )  # fmt: skip
    np.savez(folder / "inputs.npz", x=x.numpy())
    reference = gradient(copy.deepcopy(network).double(), x.double())
    np.savez(folder / "reference.npz", target=np.array([TARGET]), **reference)


def gradient(network: torch.nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """{"x": gradient}, or {"directions": (n, *x.shape), "differences": (n,)}."""
    values = x.clone().requires_grad_()
    network(values)[:, TARGET].sum().backward()
    assert values.grad is not None
    directions = torch.randn(DIRECTIONS, *x.shape, dtype=torch.float64)
    with torch.no_grad():
        both = [[network(x + sign * d)[0, TARGET] for sign in (STEP, -STEP)] for d in directions]
    differences = torch.stack([(up - down) / (2 * STEP) for up, down in both])
    slopes = (directions * values.grad).flatten(1).sum(1)
    if (slopes - differences).abs().max() < 1e-4 * differences.abs().max():
        return {"x": values.grad.numpy()}
    return {"directions": directions.numpy(), "differences": differences.numpy()}


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "timm" / sys.argv[2], sys.argv[2])
