"""Transformers as they are deployed: which exported, fused and cached files are explained, and how alike.

    python -m tools.transformers FOLDER                      # all architectures: environments first, 20 minutes
    python -m tools.transformers FOLDER --only bert llama    # files that are there already are not written again

Networks of known architectures with random weights (tools/transformers/architectures.py: no download) are exported by
both of PyTorch's exporters, by optimum with their caches and by the model builder of onnxruntime-genai, and fused by
onnxruntime's transformer optimiser; environments of their own hold the packages. Each file is explained by `attnlrp`
on both engines with `verify`, so that every fused operator is compared with onnxruntime's own. Printed for each: the
operators of onnxruntime in it, whether it is explained and compiled (or why not), and by how much its relevance
deviates from that of the plain export (script), relative to the largest.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import onnx

from onnxdtd.errors import OnnxdtdError
from onnxdtd.explainer import Explainer
from tools.transformers.forms import FORMS, Arrays, Form, feeds

ARCHITECTURES = ("bert", "gpt2", "llama", "t5", "vit")
PICTURES = ("vit",)
CLASS, WORD = "logits:2", "logits:-1,7"


def explained(folder: Path, form: Form, engine: str, target: str) -> Arrays:
    """Relevance by the names of the plain export."""
    x = dict(np.load(folder / "inputs.npz"))
    model = Explainer(
        folder / form.file, "attnlrp", engine=engine, fixed=form.fixed, verify=engine == "numpy"
    )
    renamed = form.renamed or {}
    e = model(feeds(model.inputs, x, folder, renamed), target=target)
    return {renamed.get(name, name): r for name, r in e.relevance.items()}


def deviation(one: Arrays, other: Arrays) -> float:
    """The largest difference among tokens and pixels that both explain, relative to the largest."""
    return max(
        float(np.abs(one[name] - r).max() / np.abs(r).max()) for name, r in other.items() if name in one
    )


def row(folder: Path, name: str, form: Form, plain: Arrays) -> tuple[list[str], Arrays]:
    """The cells of one file, and its relevance."""
    target = CLASS if name in (*PICTURES, "bert") else WORD
    file = folder / name / form.file
    fused = Counter(
        node.op_type for node in onnx.load(file, load_external_data=False).graph.node if node.domain
    )
    cells, relevance = [", ".join(f"{count} {op}" for op, count in fused.items()) or "-"], {}
    for engine in ("numpy", "onnx"):
        try:
            relevance = explained(folder / name, form, engine, target)
            cells.append(f"{deviation(relevance, plain or relevance):.0e}")
        except OnnxdtdError as error:
            cells.append(str(error).splitlines()[0][:160])
        if engine == "numpy":
            first = relevance
    return cells, first


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.transformers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=ARCHITECTURES, choices=ARCHITECTURES)
    options = parser.parse_args()
    folder = options.folder.resolve()
    print("| network | file | operators of onnxruntime | numpy | compiled |\n|---|---|---|---|---|")
    for name in options.only:
        plain: Arrays = {}
        for title, form in FORMS.items():
            if form.only and name not in form.only:
                continue
            problem = "" if (folder / name / form.file).exists() else form.make(folder, name)
            if problem or not (folder / name / form.file).exists():
                print(f"| {name} | {title} | not written: {problem or 'by nobody'} | | |", flush=True)
                continue
            cells, relevance = row(folder, name, form, plain)
            plain = plain or relevance
            print(f"| {name} | {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
