"""Relevance by LXT, in its efficient form; runs in the environment `lxt`, one method a process: LXT patches classes.

    python -m tools.transformers.lxt_form FOLDER ARCHITECTURE METHOD

FOLDER/ARCHITECTURE then has lxt-METHOD.npz: of the checkpoint that tools/transformers/export.py wrote, x G summed
over each word's vector. `vit_torch` is torchvision's ViT, which is written here too: script.onnx, inputs.npz,
reference.npz.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tools.transformers.stubs  # noqa: F401 (before lxt imports torchvision)

# isort: split
from lxt.efficient import monkey_patch
from lxt.efficient.patches import patch_cp_attention

CLASS = 2


def patch(name: str, method: str) -> None:
    """Give the architecture's classes the method's derivatives: for CP-LRP those of AttnLRP, with attention weights
    as constants. LXT's own CP-LRP also holds what the signal of a gated MLP is multiplied by."""
    module = import_module(f"transformers.models.{name}.modeling_{name}")
    patches = dict(import_module(f"lxt.efficient.models.{name}").attnLRP)
    if method == "cp_lrp":
        patches[module] = patch_cp_attention
    monkey_patch(module, patches)


def of_text(folder: Path, name: str, method: str) -> dict[str, Any]:
    """Of the words, in float64."""
    from tools.transformers.architectures import architectures

    patch(name, method)
    import transformers

    architecture = architectures()[name]
    network = getattr(transformers, architecture.network)
    made = network.from_pretrained(folder / "checkpoint", attn_implementation="eager").double().eval()
    feeds = {key: torch.from_numpy(x) for key, x in np.load(folder / "inputs.npz").items()}
    words = made.get_input_embeddings()(feeds.pop("input_ids")).detach().requires_grad_()
    y = made(inputs_embeds=words, **feeds).logits
    y[(slice(None), *architecture.target)].sum().backward()
    assert words.grad is not None
    return {"input_ids": (words.grad * words).sum(-1).detach().numpy()}


def of_pictures(folder: Path) -> dict[str, Any]:
    """Of the pixels of torchvision's ViT, by CP-LRP, the one form that LXT has for it."""
    from lxt.efficient.models import vit_torch
    from torchvision.models import vision_transformer

    torch.manual_seed(0)
    sizes = {
        "image_size": 32,
        "patch_size": 8,
        "num_layers": 2,
        "num_heads": 4,
        "hidden_dim": 64,
        "mlp_dim": 96,
    }
    network = vision_transformer.VisionTransformer(**sizes, num_classes=5).eval()
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:
            weight.data += 0.2 * torch.randn_like(weight)
    x = torch.randn(2, 3, 32, 32)
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        network, (x,), folder / "script.onnx", dynamo=False, opset_version=17, input_names=["pixels"],
        output_names=["logits"], dynamic_axes={"pixels": {0: "batch"}},
    )  # fmt: skip
    np.savez(folder / "inputs.npz", pixels=x.numpy())
    np.savez(folder / "reference.npz", target=np.array([CLASS]))
    monkey_patch(vision_transformer, vit_torch.cp_LRP)
    values = x.double().requires_grad_()
    network.double()(values)[:, CLASS].sum().backward()
    assert values.grad is not None
    return {"pixels": (values.grad * values).detach().numpy()}


def main(folder: Path, name: str, method: str) -> None:
    relevance = of_pictures(folder) if name == "vit_torch" else of_text(folder, name, method)
    np.savez(folder / f"lxt-{method}.npz", **relevance)


if __name__ == "__main__":
    main(Path(sys.argv[1]) / sys.argv[2], *sys.argv[2:4])
