"""`onnxdtd run`: explain one input and leave the result in a folder."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import options

EXAMPLES = """\b
Examples:
  onnxdtd run model.onnx input.npy -o out
  onnxdtd run model.onnx photo.jpg --resize 256 --crop 224 --scale 0.00392157
              --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  onnxdtd run model.onnx inputs.npz --target logits:3 --method dtd --json

The folder holds heatmap.png, relevance.npz, explanation.json and the model's inputs and outputs. An earlier
result there is replaced, anything else is never touched."""


def run(
    model: options.Model,
    input: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help=".npy, .npz (arrays by input name), .pb, or an image.",
            readable=False,
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", readable=False, help="Folder of the result.")
    ] = Path("onnxdtd-out"),
    target: options.Target = "top",
    method: options.Method = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="For a method of many passes, such as steps=128; may be repeated.",
        ),
    ] = None,
    rules: options.Rules = None,
    bias: options.Bias = None,
    input_range: options.InputRange = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="E", help="numpy (accounts for every node) or onnx (one ONNX model does it all)."
        ),
    ] = "numpy",
    provider: Annotated[
        list[str] | None,
        typer.Option(
            metavar="P", help="Where onnxruntime runs: cpu, cuda, ...; may be repeated. [default: cpu]"
        ),
    ] = None,
    preprocess: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Image: TOML or JSON file with the fields that follow. [default: what the model's metadata say]",
        ),
    ] = None,
    color: Annotated[str | None, typer.Option(metavar="C", help="Image: RGB, BGR or L (grey).")] = None,
    resize: Annotated[
        str | None, typer.Option(metavar="N|H,W", help="Image: the shorter side, or height and width.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option(metavar="N|H,W", help="Image: then the centre of this size.")
    ] = None,
    interpolation: Annotated[
        str | None,
        typer.Option(metavar="I", help="Image: nearest, bilinear, bicubic, lanczos, box or hamming."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(metavar="S", help="Image: factor for its pixels, which are 0 to 255.")
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="M|R,G,B", help="Image: then subtracted.")] = None,
    std: Annotated[str | None, typer.Option(metavar="S|R,G,B", help="Image: then divided by.")] = None,
    layout: Annotated[str | None, typer.Option(metavar="L", help="Image: NCHW or NHWC.")] = None,
    no_audit: Annotated[
        bool, typer.Option("--no-audit", help="Leave out what says how far to trust it: three walks less.")
    ] = False,
    json_: options.Json = False,
) -> str:
    """Explain one input: which of its values spoke for the prediction, and how much."""
    job = importlib.import_module("onnxdtd.cli.job")
    text: str = job.explain(
        model,
        input,
        output,
        target,
        {"method": method, "engine": engine, "bias": bias, "rules": rules, "providers": provider,
         "input_range": input_range, "settings": settings or ()},
        preprocess,
        {"color": color, "resize": resize, "crop": crop, "interpolation": interpolation, "scale": scale,
         "mean": mean, "std": std, "layout": layout},
        audit=not no_audit,
        as_json=json_,
    )  # fmt: skip
    return text
