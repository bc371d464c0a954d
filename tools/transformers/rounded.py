"""The reference of a file whose weights are stored in few bits: PyTorch's network with the weights that these mean.

    python -m tools.transformers.rounded FOLDER ARCHITECTURE FORM

Runs in the environment `export`. FOLDER/ARCHITECTURE/FORM has a model.onnx of the model builder of onnxruntime-genai;
reference.npz is written beside it, as tools/transformers/export.py does for the whole weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
import transformers
from onnx import numpy_helper

from tools.transformers.architectures import architectures
from tools.transformers.reference import relevance

PARTS = {"qkv_proj": ("q_proj", "k_proj", "v_proj")}


def weights(path: Path) -> dict[str, torch.Tensor]:
    """(N, K) of each MatMulNBits, by the name of its place: blocks of K numbers q stand for (q - zero) scale."""
    model = onnx.load(path)
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    made = {}
    for node in model.graph.node:
        if node.op_type != "MatMulNBits":
            continue
        says = {a.name: a.i for a in node.attribute}
        bits, block = says["bits"], says["block_size"]
        packed, scales = (arrays[name] for name in node.input[1:3])
        numbers = np.stack([packed >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)], -1)
        zero = np.full((*scales.shape, 1), 1 << bits - 1)
        if len(node.input) > 3 and node.input[3]:
            zeros = arrays[node.input[3]].reshape(len(scales), -1)
            zero = np.stack([zeros >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)], -1)
            zero = zero.reshape(len(scales), -1)[:, : scales.shape[1], None]
        blocks = numbers.reshape(*scales.shape, block).astype(np.float64) - zero
        whole = (blocks * scales[..., None].astype(np.float64)).reshape(len(scales), -1)
        place = node.input[1].split(".MatMul.")[0].replace(".attn.", ".self_attn.")
        made[place] = torch.from_numpy(np.ascontiguousarray(whole[:, : says["K"]]))
    return made


def put(network: torch.nn.Module, rounded: dict[str, torch.Tensor]) -> None:
    """Give the network these weights; those of queries, keys and values may lie in one, and in the network those of a
    gated layer."""
    modules = dict(network.named_modules())
    for place in [place for place in rounded if place.endswith(".gate_proj") and place not in modules]:
        before = place.removesuffix("gate_proj")
        both = rounded.pop(place), rounded.pop(f"{before}up_proj")
        rounded[f"{before}gate_up_proj"] = torch.cat(both)
    for place, weight in rounded.items():
        before, _, last = place.rpartition(".")
        names = [place] if place in modules else [f"{before}.{part}" for part in PARTS[last]]
        layers = [modules[name] for name in names]
        for layer, own in zip(layers, weight.split([m.weight.shape[0] for m in layers]), strict=True):
            layer.weight = torch.nn.Parameter(own)


def main(folder: Path, name: str, form: str) -> None:
    architecture = architectures()[name]
    network = getattr(transformers, architecture.network)
    made = network.from_pretrained(folder / "checkpoint", attn_implementation="eager").double().eval()
    put(made, weights(folder / form / "model.onnx"))
    values = {key: torch.from_numpy(x) for key, x in np.load(folder / "inputs.npz").items()}
    right = relevance(made, values, lambda **x: made(**x, use_cache=False).logits, architecture.target)
    arrays = {key: r.numpy() for key, r in right.items()}
    np.savez(folder / form / "reference.npz", target=np.array(architecture.target), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]) / sys.argv[2], *sys.argv[2:4])
