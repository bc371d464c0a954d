"""`onnxdtd view`: a local page to explore a model's explanations with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options, texts
from onnxdtd.cli.groups import grouped
from onnxdtd.cli.stopping import Memory
from onnxdtd.web.needed import check_packages

EXAMPLES = """\b
Examples:
  onnxdtd view
  onnxdtd view model.onnx photo.jpg --preset imagenet

It prints an address with a token: open it in a browser on this machine. Models and inputs may also be dropped on the
page. The extra `serve` brings what it needs: pip install "onnxdtd[serve]"."""


@grouped
def view(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="Opened at once.", readable=False, show_default=False),
    ] = None,
    input: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="Explained at once.", readable=False, show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(metavar="N", help="0: any that is free.")] = 0,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    input_range: options.InputRange = None,
    fixed: options.Fixed = None,
    max_steps: options.MaxSteps = None,
    provider: options.Provider = None,
    tokenizer: texts.Tokenizer = None,
    preprocess: options.Preprocess = None,
    image: Any = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that one computation may take.")
    ] = 600.0,
    upload: Annotated[str, typer.Option(metavar="SIZE", help="What may be dropped in all.")] = "2G",
    memory: Memory = None,
) -> str:
    """Open a local page: drop a model and an input, choose target, method and layer, audit and compare."""
    check_packages()
    from onnxdtd.cli import view_job

    return view_job.view(
        model,
        input,
        port,
        {"input_range": input_range, "fixed": fixed or (), "max_steps": max_steps, "providers": provider,
         "tokenizer": tokenizer},
        preprocess,
        image,
        timeout=timeout,
        upload=upload,
        memory=memory,
        opens=open_,
    )  # fmt: skip
