"""`onnxdtd summary`: what the rows of a `batch` folder have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import options

EXAMPLES = """\b
Examples:
  onnxdtd summary job
  onnxdtd summary job --csv parts.csv"""


def summary(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that `onnxdtd batch` has written.", readable=False)
    ],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every part of every class there.")
    ] = None,
    json_: options.Json = False,
) -> str:
    """Mean |relevance| of each feature, channel, region or position by class, and how often each finding fired."""
    from onnxdtd.cli import lesson_job

    return lesson_job.summary(directory, csv, as_json=json_)
