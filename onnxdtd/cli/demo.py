"""`onnxdtd demo`: the first minute, with a model and an input that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import options


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", readable=False, help="Folder of the result.")
    ] = Path("onnxdtd-demo"),
    json_: options.Json = False,
) -> str:
    """Explain a handwritten digit: a model, an input, the folder of `run` and the page of `report`, all in DIR."""
    from onnxdtd.cli import demo_job

    return demo_job.demo(output, as_json=json_)
