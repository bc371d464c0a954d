"""`onnxdtd annotate`: explain, and write the model with the books of every node in it, for Netron."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options, texts

EXAMPLES = """\b
Examples:
  onnxdtd annotate model.onnx photo.jpg --preset imagenet -o annotated.onnx
  onnxdtd annotate model.onnx input.npy --target 3 -m attnlrp -o three.onnx

Open the file in Netron and choose a node: its description and metadata hold rule, relevance and losses. It is the
graph that was explained, in canonical form, and computes the model's outputs."""


@options.takes_image
def annotate(
    model: options.Model,
    input: options.Input,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE.onnx", readable=False, help="The file.", show_default=False
        ),
    ],
    target: options.Targets = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    rules: options.Rules = None,
    bias: options.Bias = None,
    background: options.Background = None,
    input_range: options.InputRange = None,
    fixed: options.Fixed = None,
    mask: texts.Mask = None,
    positions: texts.Positions = "absorb",
    max_steps: options.MaxSteps = None,
    provider: options.Provider = None,
    preprocess: options.Preprocess = None,
    image: Any = None,
    json_: options.Json = False,
) -> str:
    """Write the explained graph as a model that shows relevance, rule and losses of every node in Netron."""
    from onnxdtd.cli import annotate_job

    return annotate_job.annotate(
        model,
        input,
        output,
        options.one(target),
        {"method": method, "bias": bias, "rules": rules, "providers": provider, "input_range": input_range,
         "fixed": fixed or (), "mask": texts.masks_of(mask), "positions": positions,
         "background": background, "max_steps": max_steps},
        preprocess,
        image,
        as_json=json_,
    )  # fmt: skip
