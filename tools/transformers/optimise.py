"""Let onnxruntime's transformer optimiser fuse what it finds in a file; runs in the environment `export`.

python -m tools.transformers.optimise FOLDER ARCHITECTURE FORM
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnxruntime.transformers import optimizer

KINDS = {
    **dict.fromkeys(("distilbert", "roberta", "modernbert", "deberta", "convnext", "whisper"), "bert"),
    **dict.fromkeys(("llama", "qwen2", "qwen3", "gemma3", "phi3", "mixtral"), "gpt2"),
}
"""What the optimiser calls an architecture, where it has no word of its own for it."""


def main(folder: Path, name: str, form: str) -> None:
    kind = KINDS.get(name, name)
    fused = optimizer.optimize_model(
        str(folder / f"{form}.onnx"), model_type=kind, num_heads=4, hidden_size=64
    )
    fused.save_model_to_file(str(folder / f"{form}-fused.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) / sys.argv[2], *sys.argv[2:4])
