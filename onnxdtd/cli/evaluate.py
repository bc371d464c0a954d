"""`onnxdtd evaluate`: which method finds what the model uses, by numbers over a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options, texts
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd evaluate model.onnx digits.npz --methods dtd,composite,random
  onnxdtd evaluate model.onnx photos/ --methods all --limit 20 -o scores --workers 2
  onnxdtd evaluate model.onnx table.npz -m gradient_x_input,random --json
                   --metrics pixel_flipping,sparseness

The folder holds evaluation.json, results.jsonl and curves.png. Interrupted, the same command goes on where it
stopped. `random` and `constant` are controls: what a score is worth shows beside them."""


@grouped
def evaluate(
    model: options.Model,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="As for batch: a folder of images (its sub-folders are labels), or files: images, .npz (arrays by "
            "input name, and labels), .npy, .csv, .parquet, a WebDataset .tar, or a list of files (.txt).",
            readable=False,
            show_default=False,
        ),
    ],
    output: options.Output = Path("onnxdtd-evaluation"),
    methods: Annotated[
        str,
        typer.Option(
            "--methods", "-m", metavar="A,B", help="Of `onnxdtd methods`, auto, random, constant; or all."
        ),
    ] = "auto,random",
    metrics: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="pixel_flipping, region_perturbation, road, deletion, insertion, comprehensiveness, sufficiency, "
            "irof, infidelity, sparseness, stability, localisation (needs --masks), class_sensitivity; or all.",
        ),
    ] = "all",
    target: Annotated[
        list[str],
        typer.Option(
            "--target", "-t", metavar="T", help="top, label (as the data say), or one index for all inputs."
        ),
    ] = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only the first inputs. [default: all]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of noise, ties and the bootstrap.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes, which share the cores. [default: 1]", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="B", help="Rows of one pass; less takes less memory.")] = 16,
    steps: Annotated[int, typer.Option(metavar="N", help="Points of a removal curve.")] = 20,
    patch: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Side of a region. [default: 1/14 of the longest axis]", show_default=False
        ),
    ] = None,
    fills: Annotated[
        str, typer.Option(metavar="A,B", help="What removed pixels become.")
    ] = "mean,blur,constant",
    constant: Annotated[
        str,
        typer.Option(
            metavar="C",
            help="The constant fill; of tokens the one that stands in for others, by number, or with a tokenizer "
            "mask, pad or unk.",
        ),
    ] = "0",
    tokenizer: texts.Tokenizer = None,
    tokens: texts.Tokens = None,
    draws: Annotated[
        int, typer.Option(metavar="N", help="Noisy inputs of stability, removed parts of infidelity.")
    ] = 10,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where the object is: .npy (N, H, W), .npz, or a folder of pictures with the names of DATA's.",
            readable=False,
            show_default=False,
        ),
    ] = None,
    reading: Any = None,
    engine: Annotated[str, typer.Option(metavar="E", help="numpy, onnx or auto, as for `run`.")] = "auto",
    no_cache: options.NoCache = False,
    preprocess: options.Preprocess = None,
    image: Any = None,
    json_: options.Json = False,
) -> str:
    """Evaluate methods on a data set: removal curves, sparseness, stability, class sensitivity."""
    from onnxdtd.cli import evaluate_job

    return evaluate_job.evaluate(
        model,
        data,
        output,
        {"methods": methods, "metrics": metrics, "target": options.one(target), "limit": limit, "seed": seed,
         "batch": batch, "workers": workers, "steps": steps, "patch": patch, "fills": fills,
         "constant": constant, "draws": draws, "masks": masks, "engine": engine,
         "cache_dir": False if no_cache else None,
         "tokenizer": texts.one_of(tokenizer=tokenizer, tokens=tokens), **reading},
        preprocess,
        image,
        as_json=json_,
    )  # fmt: skip
