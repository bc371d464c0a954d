"""`onnxdtd compile`: the explainer as an ONNX model of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import options, texts

EXAMPLES = """\b
Examples:
  onnxdtd compile model.onnx -o explainer.onnx --method dtd --input-range 0 1
  onnxdtd compile model.onnx -o cat.onnx --target 285
  onnxdtd compile model.onnx -o any.onnx --target seed --output-name logits

The file takes the model's inputs and `target` (int64, for each sample an index of the output, or -1 for the
arg-max), and returns the model's outputs and relevance/NAME for each input. Any onnxruntime runs it, without
onnxdtd. Methods of many passes cannot be compiled."""


def compile(
    model: options.Model,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", readable=False, help="The file.", show_default=False),
    ],
    target: Annotated[
        list[str],
        typer.Option(
            "--target",
            "-t",
            metavar="T",
            help="runtime (an input says it), coefficients (an input weighs all elements), seed (an input gives "
            "the relevance that starts), or what holds for every sample: a class by index (3) or name, an index "
            "tuple (0,3), slices (1,:,:), a difference (3 - 5), or top.",
        ),
    ] = ["runtime"],  # noqa: B006 (typer reads it, nobody changes it)
    output_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which output is explained, where the model has several."),
    ] = None,
    method: options.Method = "auto",
    rules: options.Rules = None,
    bias: options.Bias = None,
    background: options.Background = None,
    input_range: options.InputRange = None,
    fixed: options.Fixed = None,
    mask: texts.Mask = None,
    positions: texts.Positions = "absorb",
    like: options.Like = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="W",
            help="What rules make of weights: store it, or derive it from the model's own when a session starts.",
        ),
    ] = "store",
    constants: Annotated[
        bool,
        typer.Option(
            "--constants",
            help="The file also returns onnxdtd/constants (N, kinds): what biases, norm shifts, position embeddings "
            "... take of each sample; the metadata name the columns.",
        ),
    ] = False,
    json_: options.Json = False,
) -> str:
    """Write one ONNX model that predicts and explains: the relevance pass, compiled."""
    from onnxdtd.cli import compile_job

    return compile_job.compile(
        model,
        output,
        options.one(target),
        output_name,
        {
            "method": method,
            "rules": rules,
            "bias": bias,
            "input_range": input_range,
            "fixed": fixed or (),
            "mask": texts.masks_of(mask),
            "positions": positions,
            "background": background,
        },
        weights,
        like,
        constants,
        as_json=json_,
    )
