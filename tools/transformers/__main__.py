"""Transformers as they are deployed: which exported, fused and cached files are explained, and how alike.

    python -m tools.transformers FOLDER                      # all architectures: environments first, an hour
    python -m tools.transformers FOLDER --only bert llama    # files that are there already are not written again
    python -m tools.transformers FOLDER --timm pit_ti_224 levit_128s                           # networks of timm
    python -m tools.transformers FOLDER --lxt                                                  # LXT beside ours

Networks of known architectures with random weights (tools/transformers/architectures.py: no download) are exported by
both of PyTorch's exporters, by optimum with their caches and by the model builder of onnxruntime-genai, and fused by
onnxruntime's transformer optimiser; environments of their own hold the packages. Each file is explained by `attnlrp`
on both engines with `verify`, so that every fused operator is compared with onnxruntime's own. Printed for each: the
operators of onnxruntime in it, whether it is explained and compiled (or why not), and by how much its relevance
deviates from the reference (tools/transformers/reference.py: the paper's rules in PyTorch's autograd, float64),
relative to the largest. Of timm's networks it is told whether `attnlrp` explains and compiles them, and by how much
`gradient` deviates from PyTorch's own in float64, or from central differences where PyTorch's misses them. LXT 2.1,
in its efficient form, explains the same checkpoints: by AttnLRP, and with attention weights as constants (`cp_lrp`).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from onnxdtd.errors import OnnxdtdError
from onnxdtd.explainer import Explainer
from tools.transformers.environments import python, run
from tools.transformers.forms import FORMS, Arrays, Form, feeds

TITLES = {
    "bert": "BERT", "distilbert": "DistilBERT", "roberta": "RoBERTa", "modernbert": "ModernBERT",
    "deberta": "DeBERTa-v2", "gpt2": "GPT-2", "llama": "LLaMA", "qwen2": "Qwen2", "qwen3": "Qwen3",
    "gemma3": "Gemma 3", "phi3": "Phi-3", "mixtral": "Mixtral", "t5": "T5", "vit": "ViT", "swin": "Swin",
    "convnext": "ConvNeXt", "clip": "CLIP", "whisper": "Whisper",
}  # fmt: skip
"""Of each row of tools/transformers/architectures.py, which needs PyTorch and is not imported here."""
LXT = {
    "bert": ("attnlrp",), "vit_torch": ("cp_lrp",),
    **dict.fromkeys(("gpt2", "llama", "qwen2", "qwen3", "gemma3"), ("attnlrp", "cp_lrp")),
}  # fmt: skip
"""The forms that LXT 2.1 has."""


def explained(folder: Path, form: Form, engine: str, target: str, method: str = "attnlrp") -> Arrays:
    """Relevance by the names of the plain export."""
    x = dict(np.load(folder / "inputs.npz"))
    model = Explainer(folder / form.file, method, engine=engine, fixed=form.fixed, verify=engine == "numpy")
    renamed = form.renamed or {}
    e = model(feeds(model.inputs, x, folder, renamed), target=target)
    return {renamed.get(name, name): r for name, r in e.relevance.items()}


def deviation(one: Arrays, other: Arrays) -> float:
    """The largest difference among tokens and pixels that both explain, relative to the largest."""
    return max(
        float(np.abs(one[name] - r).max() / np.abs(r).max()) for name, r in other.items() if name in one
    )


def row(folder: Path, form: Form) -> list[str]:
    """The cells of one file."""
    reference = dict(np.load(folder / form.reference))
    target = "logits:" + ",".join(str(i) for i in reference.pop("target"))
    nodes = onnx.load(folder / form.file, load_external_data=False).graph.node
    fused = Counter(node.op_type for node in nodes if node.domain == "com.microsoft")
    cells = [", ".join(f"{count} {op}" for op, count in fused.items()) or "-"]
    for engine in ("numpy", "onnx"):
        try:
            cells.append(f"{deviation(explained(folder, form, engine, target), reference):.0e}")
        except OnnxdtdError as error:
            cells.append(str(error).splitlines()[0][:160])
    return cells


def gradient_deviation(one: Arrays, reference: Arrays) -> str:
    """From PyTorch's gradient, or from differences along directions."""
    if "x" in reference:
        return f"{deviation(one, reference):.0e}"
    slopes = np.sum(reference["directions"] * one["x"], axis=tuple(range(1, reference["directions"].ndim)))
    differences = {"x": reference["differences"]}
    return f"{deviation({'x': slopes}, differences):.0e} (central differences)"


def timm_row(folder: Path) -> list[str]:
    """Explained by attnlrp, compiled, deviation of the gradient."""
    x, reference = dict(np.load(folder / "inputs.npz")), dict(np.load(folder / "reference.npz"))
    target, cells = f"logits:{reference.pop('target')[0]}", []
    for method, engine in (("attnlrp", "numpy"), ("attnlrp", "onnx"), ("gradient", "numpy")):
        try:
            e = Explainer(folder / "script.onnx", method, engine=engine)(x, target=target)
            cells.append(gradient_deviation(e.relevance, reference) if method == "gradient" else "yes")
        except OnnxdtdError as error:
            cells.append(str(error).splitlines()[0][:160])
    return cells


def print_timm(folder: Path, names: list[str]) -> None:
    print("| network | explained | compiled | gradient |\n|---|---|---|---|")
    for name in names:
        file, problem = folder / "timm" / name / "script.onnx", ""
        if not file.exists():
            problem = run(python(folder, "timm"), ["tools.transformers.pictures", str(folder), name])
        cells = [f"not written: {problem}", "", ""] if problem else timm_row(file.parent)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def lxt_row(folder: Path, method: str) -> list[str]:
    """The deviation of the plain export's relevance from LXT's, on both engines."""
    form = Form(lambda folder, name: "", "script.onnx")
    target = "logits:" + ",".join(str(i) for i in np.load(folder / "reference.npz")["target"])
    other = dict(np.load(folder / f"lxt-{method}.npz"))
    engines = ("numpy", "onnx")
    return [f"{deviation(explained(folder, form, e, target, method), other):.0e}" for e in engines]


def print_lxt(folder: Path, names: Iterable[str]) -> None:
    print("| network | method | numpy | compiled |\n|---|---|---|---|")
    for name in names:
        for method in LXT.get(name, ()):
            there = name == "vit_torch" or (folder / name / "script.onnx").exists()
            problem = "" if there else FORMS["script"].make(folder, name)
            if not problem and not (folder / name / f"lxt-{method}.npz").exists():
                arguments = ["tools.transformers.lxt_form", str(folder), name, method]
                problem = run(python(folder, "lxt"), arguments)
            cells = [f"not written: {problem}", ""] if problem else lxt_row(folder / name, method)
            print(
                f"| {TITLES.get(name, 'ViT of torchvision')} | {method} | {' | '.join(cells)} |", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.transformers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=TITLES, choices=TITLES)
    parser.add_argument("--forms", nargs="*", default=FORMS, choices=FORMS)
    parser.add_argument("--timm", nargs="+", metavar="NETWORK", help="networks of timm instead")
    parser.add_argument("--lxt", action="store_true", help="LXT beside ours, on the networks that it knows")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.lxt:
        return print_lxt(folder, LXT if options.only is TITLES else options.only)
    if options.timm:
        return print_timm(folder, options.timm)
    print("| network | file | operators of onnxruntime | numpy | compiled |\n|---|---|---|---|---|")
    for name in options.only:
        for title in options.forms:
            form = FORMS[title]
            if form.only and name not in form.only:
                continue
            files = [folder / name / file for file in (form.file, form.reference)]
            problem = "" if all(file.exists() for file in files) else form.make(folder, name)
            if not problem and all(file.exists() for file in files):
                cells = row(folder / name, form)
            else:
                cells = [f"not written: {problem or 'see the plain export'}", "", ""]
            print(f"| {TITLES[name]} | {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
