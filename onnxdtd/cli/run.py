"""`onnxdtd run`: explain one input and leave the result in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

import onnxdtd
from onnxdtd.cli import options
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.summary import summary


def run(
    model: options.Model,
    input: Annotated[
        Path, typer.Argument(help=".npy, .npz (by input name), .pb, or an image.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the result.")
    ] = Path("onnxdtd-out"),
    target: Annotated[
        str, typer.Option("--target", "-t", help="An index, 0,3, NAME, NAME:INDEX, or top (the arg-max).")
    ] = "top",
    method: options.Method = "auto",
    rules: options.Rules = None,
    bias: options.Bias = None,
    input_range: options.InputRange = None,
    engine: Annotated[str, typer.Option("--engine", help="numpy or onnx.")] = "numpy",
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="cpu, cuda, ...; may be repeated.")
    ] = None,
    preprocess: Annotated[
        Path | None,
        typer.Option("--preprocess", help="TOML or JSON file that says how an image is prepared."),
    ] = None,
    color: Annotated[str | None, typer.Option("--color", help="Image: RGB, BGR or L.")] = None,
    resize: Annotated[
        str | None, typer.Option("--resize", metavar="N|H,W", help="Image: shorter side, or size.")
    ] = None,
    crop: Annotated[str | None, typer.Option("--crop", metavar="N|H,W", help="Image: centre crop.")] = None,
    interpolation: Annotated[
        str | None, typer.Option("--interpolation", help="Image: bilinear, bicubic, ...")
    ] = None,
    scale: Annotated[
        float | None, typer.Option("--scale", help="Image: pixels 0..255 are multiplied by it.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option("--mean", metavar="M|R,G,B", help="Image: then this is subtracted.")
    ] = None,
    std: Annotated[
        str | None, typer.Option("--std", metavar="S|R,G,B", help="Image: then divided by this.")
    ] = None,
    layout: Annotated[str | None, typer.Option("--layout", help="Image: NCHW or NHWC.")] = None,
    json_: options.Json = False,
) -> None:
    """Explain one input; leaves relevance.npz, explanation.json and heatmap.png in a folder."""
    explainer = onnxdtd.Explainer(
        model,
        method,
        cast(Any, engine),
        input_range=input_range,
        bias=cast(Any, bias),
        rules=rules,
        providers=provider,
    )
    flags = {
        "color": color,
        "resize": options.size(resize),
        "crop": options.size(crop),
        "interpolation": interpolation,
        "scale": scale,
        "mean": options.numbers(mean),
        "std": options.numbers(std),
        "layout": layout,
    }
    prepare = options.preprocessing(preprocess, flags, explainer.graph.metadata)
    if prepare is not None and input_range is None:
        explainer.input_range = prepare.input_range
    x = onnxdtd.read_inputs(input, explainer.inputs, prepare)
    with Progress(quiet=json_) as progress:
        explanation = explainer(x, target, progress=progress)
    drawn: list[str] = []

    def draw(folder: Path) -> None:
        is_image = input.suffix.lower() in onnxdtd.IMAGE_SUFFIXES
        picture = prepare.picture(input) if is_image and prepare is not None else None
        path = folder / "heatmap.png"
        if onnxdtd.save_heatmap(explanation, path, picture=picture, names=explainer.features):
            drawn.append(path.name)

    explanation.save(output, extras=draw)
    files: list[Any] = [str(output / name) for name in (*drawn, "relevance.npz", "explanation.json")]
    if json_:
        print(json.dumps({**explanation.document(), "files": files}, allow_nan=False))
    else:
        print(summary(explanation, files))
