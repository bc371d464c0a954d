"""`onnxdtd annotate`: explain, and write the model with the books of every node in it, for Netron."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd annotate model.onnx photo.jpg --preset imagenet -o annotated.onnx
  onnxdtd annotate model.onnx input.npy --target 3 -m attnlrp -o three.onnx

Open the file in Netron and choose a node: its description and metadata hold rule, relevance and losses. It is the
graph that was explained, in canonical form, and computes the model's outputs."""


@grouped
def annotate(
    model: options.Model,
    input: options.Input,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE.onnx", readable=False, help="The file.", show_default=False
        ),
    ],
    target: options.Target = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    explainer: Any = None,
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
        {"method": method, **explainer},
        preprocess,
        image,
        as_json=json_,
    )  # fmt: skip
