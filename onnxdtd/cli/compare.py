"""`onnxdtd compare`: several methods on one input, or two models, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd compare model.onnx input.npy
  onnxdtd compare model.onnx photo.jpg --methods dtd,composite,occlusion
                  --target 281 --target espresso
  onnxdtd compare model.onnx input.npy --methods all,lime,kernel_shap,anchors
  onnxdtd compare model.onnx row.npy --methods dtd,lime --background train.npz
  onnxdtd compare model.int8.onnx input.npy --with model.onnx

The folder holds compare.png, compare.json and relevance.npz. lime, kernel_shap and anchors come with
pip install "onnxdtd[compare]"; they cover parts of an image (superpixels), or columns of a table."""

FOLDER, FOLDER_OF_TWO = Path("onnxdtd-compare"), Path("onnxdtd-pair")


@grouped
def compare(
    model: options.Model,
    input: options.Input,
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            "-m",
            metavar="A,B",
            help="Of `onnxdtd methods`; all: every native one that the model allows.",
        ),
    ] = "all",
    with_: Annotated[
        Path | None,
        typer.Option(
            "--with",
            metavar="MODEL",
            readable=False,
            help="Another model with equal inputs, such as the one before quantisation: both are explained by one "
            "method (--methods, by default auto), their maps and answers compared.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", "-t", metavar="T", help="As for `run`; may be repeated, one row each. [default: top]"
        ),
    ] = None,
    output: options.Output = FOLDER,
    sample: Annotated[int, typer.Option(metavar="I", help="Which one of a batch, counted from 0.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="METHOD.NAME=VALUE", help="Such as smoothgrad.samples=50; may be repeated."
        ),
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="lime, kernel_shap, anchors: .npz or .npy with rows of a table like the input, or one input that "
            "covers. [default: 0 for a column, else the input's mean]",
        ),
    ] = None,
    superpixels: Annotated[
        int, typer.Option(metavar="N", help="lime, kernel_shap, anchors: about so many parts of an image.")
    ] = 60,
    seed: Annotated[
        int, typer.Option(metavar="S", help="lime, kernel_shap, anchors: of what they draw.")
    ] = 0,
    repeats: Annotated[
        int,
        typer.Option(metavar="N", help="Timed calls of a method, whose median counts; slow ones get one."),
    ] = 3,
    reading: Any = None,
    engine: Annotated[str, typer.Option(metavar="E", help="numpy, onnx or auto, as for `run`.")] = "auto",
    no_cache: options.NoCache = False,
    preprocess: options.Preprocess = None,
    image: Any = None,
    json_: options.Json = False,
) -> str:
    """Compare methods on one input: their heatmaps, how alike they are, and what each costs."""
    from onnxdtd.cli import compare_job, pair_job

    ways = {"engine": engine, "cache_dir": False if no_cache else None, **reading}
    if with_ is not None:
        folder = FOLDER_OF_TWO if output == FOLDER else output
        return pair_job.compare_with(
            model, with_, input, folder, methods.split(","), target or ["top"],
            ways, preprocess, image, sample, json_,
        )  # fmt: skip
    return compare_job.compare(
        model,
        input,
        output,
        methods.split(","),
        target or ["top"],
        ways,
        preprocess,
        image,
        {"sample": sample, "superpixels": superpixels, "seed": seed, "repeats": repeats},
        settings=settings or (),
        background=background,
        as_json=json_,
    )
