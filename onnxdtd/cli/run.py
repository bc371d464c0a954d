"""`onnxdtd run`: explain one input and leave the result in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options, texts
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd run model.onnx input.npy -o out
  onnxdtd run model.onnx photo.jpg --resize 256 --crop 224 --scale 0.00392157
              --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  onnxdtd run model.onnx inputs.npz --target logits:3 --method dtd --json
  onnxdtd run model.onnx --tokenizer tokenizer.json --text "It was good."

The folder holds heatmap.png, relevance.npz, explanation.json and the model's inputs and outputs. An earlier
result there is replaced, anything else is never touched."""


@grouped
def run(
    model: options.Model,
    inputs: options.Inputs = [],  # noqa: B006 (as the targets)
    output: options.Output = Path("onnxdtd-out"),
    target: options.Targets = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    settings: options.Settings = None,
    occlude: options.Occlude = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB", help="Save relevance at values inside, by value or node name; may be repeated."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE=3,17",
            help="Let relevance go on only at these channels of a value inside (axis 1; VALUE=3,17@-1 names another "
            "axis); may be repeated.",
        ),
    ] = None,
    explainer: Any = None,
    strict_rules: options.StrictRules = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="E",
            help="numpy (accounts for every node), onnx (one ONNX model does it all), or auto: by what is faster.",
        ),
    ] = "numpy",
    no_cache: options.NoCache = False,
    preprocess: options.Preprocess = None,
    image: Any = None,
    text: texts.Text = None,
    pair: texts.Pair = None,
    tokenizer: texts.Tokenizer = None,
    tokens: texts.Tokens = None,
    sample: Annotated[
        str | None,
        typer.Option(metavar="I|A:B", help="Only this row of the input, counted from 0, or rows A to B - 1."),
    ] = None,
    no_audit: options.NoAudit = False,
    fail_on: options.FailOn = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check that canonisation keeps the model's outputs, else exit 5."),
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write summary.parquet too; needs the extra `parquet`.")
    ] = False,
    json_: options.Json = False,
) -> str:
    """Explain one input or many: which of their values spoke for the prediction, and how much."""
    from onnxdtd.cli import run_job

    return run_job.explain(
        model,
        inputs,
        output,
        target,
        {"method": method, "engine": engine, "settings": options.settings_of(settings, occlude=occlude),
         "verify": verify, "strict_rules": strict_rules, "cache_dir": False if no_cache else None,
         "tokenizer": texts.one_of(tokenizer=tokenizer, tokens=tokens), **explainer},
        preprocess,
        image,
        texts=texts.texts_of(inputs, text, pair, tokenizer),
        sample=sample,
        parquet=parquet,
        keep=keep or (),
        only=only or (),
        audit=not no_audit,
        fail_on=fail_on or (),
        as_json=json_,
    )  # fmt: skip
