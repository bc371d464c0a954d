"""`onnxdtd concepts`: what a layer's channels stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import options, texts
from onnxdtd.cli.cluster import Classes, Data

EXAMPLES = """\b
Examples:
  onnxdtd concepts job
  onnxdtd concepts job --layer conv5 --class 3 -o concepts
  onnxdtd concepts job --row 1234

Concept relevance propagation (Achtibat et al. 2023): RelMax shows rows where a channel mattered most, ActMax rows
where it was most active. A layer that `batch --keep` has stored is not explained again."""

Model = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        readable=False,
        show_default=False,
        help="The model, where it is no longer where `batch` read it.",
    ),
]


def concepts(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that `onnxdtd batch` has written.", readable=False)
    ],
    output: options.Output = Path("onnxdtd-concepts"),
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False,
                     help="A value or node inside the model. [default: the last feature map]"),
    ] = None,
    axis: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of its channels. [default: 1; the last of (N, T, F)]", show_default=False),
    ] = None,
    classes: Classes = None,
    top: Annotated[int, typer.Option(metavar="N", help="Channels of each class.")] = 5,
    references: Annotated[int, typer.Option(metavar="N", help="Rows of each channel, by RelMax and ActMax.")] = 6,
    relmax: Annotated[str, typer.Option(metavar="W", help="Relevance of a channel: sum or max.")] = "sum",
    actmax: Annotated[str, typer.Option(metavar="W", help="Activation of a channel: max or sum.")] = "max",
    row: Annotated[
        str | None,
        typer.Option(metavar="ROW", show_default=False,
                     help="Say and draw where the concepts of one row are: its id, or a file."),
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw a grid for each channel.")] = True,
    tokenizer: texts.Tokenizer = None,
    model: Model = None,
    data: Data = None,
    json_: options.Json = False,
) -> str:  # fmt: skip
    """The most relevant channels of each class, the rows that show what they stand for, and where they are."""
    from onnxdtd.cli import concepts_job

    return concepts_job.concepts(
        directory, output, row, pictures=pictures, as_json=json_, layer=layer, axis=axis,
        classes=tuple(classes or ()), top=top, references=references, relmax=relmax, actmax=actmax,
        tokenizer=tokenizer, model=model, data=data,
    )  # fmt: skip
