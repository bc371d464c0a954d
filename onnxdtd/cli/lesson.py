"""`onnxdtd summary`: what the rows of a `batch` folder have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import cluster, concepts, options, texts

EXAMPLES = """\b
Examples:
  onnxdtd summary job
  onnxdtd summary job --csv parts.csv
  onnxdtd summary job -o lesson
  onnxdtd summary texts --tokenizer tokenizer.json"""


def summary(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that `onnxdtd batch` has written.", readable=False)
    ],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every part of every class there.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", show_default=False,
                     help="Write lesson.json, parts.csv and pictures there: beeswarms of tables, regions."),
    ] = None,
    tokenizer: texts.Tokenizer = None,
    model: concepts.Model = None,
    data: cluster.Data = None,
    json_: options.Json = False,
) -> str:  # fmt: skip
    """Mean |relevance| by class of features, channels, regions, positions or tokens, and how often findings fired."""
    from onnxdtd.cli import lesson_job

    return lesson_job.summary(directory, csv, output, tokenizer, model, data, as_json=json_)
