"""Gradients of the shipped networks by torch's autograd, as goldens for the method `gradient`.

    pip install torch==2.13.0 onnx onnxruntime numpy pillow
    python -m tools.goldens.torch_gradients          # writes tests/goldens/torch_gradients.npz

The networks are those of tools/models, with the weights that the ONNX files hold. Of each gradient of the top logit
every STEP-th element is kept.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from tools.models import efficientnet_lite0, mnist_torch
from tools.paths import GOLDENS, MODELS

STEPS = {
    "mnist_cnn": 1,
    "mnist_cnn_dynamo": 1,
    "mnist_cnn_nonpositive_bias": 1,
    "mnist_resnet": 1,
    "efficientnet_lite0": 7,
}


def loaded(network: nn.Module, name: str) -> nn.Module:
    """The network with the initializers of the ONNX file, which bear the names of torch's state dict."""
    graph = onnx.load(MODELS / f"{name}.onnx").graph
    stored = {
        t.name: torch.from_numpy(numpy_helper.to_array(t).astype(np.float32)) for t in graph.initializer
    }
    # The exporter stores equal tensors once.
    stored |= {
        n.output[0]: stored[n.input[0]]
        for n in graph.node
        if n.op_type == "Identity" and n.input[0] in stored
    }
    state = network.state_dict()
    network.load_state_dict({key: stored.get(key, value) for key, value in state.items()})
    missing = [key for key in state if key not in stored and "num_batches" not in key]
    if missing:
        raise SystemExit(f"{name}.onnx lacks {missing}")
    return network.eval()


def padded(self: efficientnet_lite0.SameConv, x: torch.Tensor) -> torch.Tensor:
    """The same convolution in operators that autograd knows."""
    stride, groups, before, after = self.settings
    return F.conv2d(F.pad(x, (before, after, before, after)), self.weight, stride=stride, groups=groups)


def gradient(network: nn.Module, x: np.ndarray) -> np.ndarray:
    leaf = torch.from_numpy(x).requires_grad_()
    y = network(leaf)
    y.gather(1, y.argmax(dim=1, keepdim=True)).sum().backward()
    return leaf.grad.numpy()


def main() -> None:
    efficientnet_lite0.SameConv.forward = padded
    digits = np.load(MODELS / "mnist_heldout.npz")["images"][::97][:8, None].astype(np.float32) / 255
    # Noise parts the ties of max pooling in the even background: torch gives them to the first, we share them.
    digits = 0.9 * digits + np.random.default_rng(0).random(digits.shape, np.float32) / 10
    noise = np.random.default_rng(1).random((1, 3, 224, 224), np.float32) * 2 - 1
    found = {"digits": digits}
    for name, step in STEPS.items():
        make = efficientnet_lite0.EfficientNetLite0 if name.startswith("eff") else mnist_torch.cnn
        make = mnist_torch.resnet if name == "mnist_resnet" else make
        network = loaded(make(), name)
        found[name] = gradient(network, noise if name.startswith("eff") else digits).reshape(-1)[::step]
    np.savez_compressed(GOLDENS / "torch_gradients.npz", **found)


if __name__ == "__main__":
    main()
