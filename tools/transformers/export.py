"""Write one network as PyTorch exports it, by both exporters, and its checkpoint; runs in the environment `export`.

    python -m tools.transformers.export FOLDER ARCHITECTURE

FOLDER/ARCHITECTURE then has script.onnx (TorchScript, opset 17), dynamo.onnx (opset 20), inputs.npz, reference.npz
(the target's index and the relevance by tools/transformers/reference.py), and `checkpoint`, which optimum and the
GenAI builder read.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models

from tools.transformers.architectures import WORDS, architectures, network
from tools.transformers.reference import relevance


class Logits(torch.nn.Module):
    """The explained output of a network as a function of its inputs in their order."""

    def __init__(self, inner: Any, names: list[str], output: Callable[[Any], torch.Tensor]) -> None:
        super().__init__()
        self.inner, self.names, self.output = inner, names, output
        self.more = {"use_cache": False} if hasattr(inner.config, "use_cache") else {}

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return self.output(self.inner(**dict(zip(self.names, values, strict=True)), **self.more))


def main(folder: Path, name: str) -> None:
    architecture = architectures()[name]
    folder.mkdir(parents=True, exist_ok=True)
    inner = network(architecture)
    inner.save_pretrained(folder / "checkpoint")
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(WORDS)}, unk_token="w1"))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="w0", eos_token="w1"
    ).save_pretrained(folder / "checkpoint")
    values = {key: value for key, (value, _) in architecture.inputs.items()}
    np.savez(folder / "inputs.npz", **{key: value.numpy() for key, value in values.items()})
    module, arguments = Logits(inner, list(values), architecture.output).eval(), tuple(values.values())
    exact = copy.deepcopy(module).double()
    right = relevance(exact.inner, values, lambda **x: exact(*x.values()), architecture.target)
    arrays = {key: r.numpy() for key, r in right.items()}
    np.savez(folder / "reference.npz", target=np.array(architecture.target), **arrays)
    common: dict[str, Any] = {"input_names": list(values), "output_names": ["logits"]}
    axes = {key: names for key, (_, names) in architecture.inputs.items()}
    torch.onnx.export(
        module, arguments, folder / "script.onnx", dynamo=False, opset_version=17, dynamic_axes=axes, **common
    )
    shapes = (tuple(dict.fromkeys(names, torch.export.Dim.DYNAMIC) for names in axes.values()),)
    torch.onnx.export(
        module, arguments, folder / "dynamo.onnx", dynamo=True, opset_version=20, dynamic_shapes=shapes,
        external_data=False, verbose=False, **common,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]) / sys.argv[2], sys.argv[2])
