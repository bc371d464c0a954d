"""`onnxdtd cluster`: which strategies a model has for a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.cli import options, texts

EXAMPLES = """\b
Examples:
  onnxdtd cluster job
  onnxdtd cluster job --class 3 --class 7 -o clusters
  onnxdtd cluster job --virelay project/digits.yaml

Spectral relevance analysis (Lapuschkin et al. 2019): look first at the cluster with the highest score."""

Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data", metavar="DATA", readable=False, show_default=False,
        help="What was explained, where it is no longer where `batch` read it; may be repeated.",
    ),
]  # fmt: skip
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="NAME", help="Only this class; may be repeated.", show_default=False),
]


def cluster(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that `onnxdtd batch` has written.", readable=False)
    ],
    output: options.Output = Path("onnxdtd-clusters"),
    by: Annotated[
        str | None,
        typer.Option(metavar="B", help="The class: label, prediction or target. [default: the first there is]",
                     show_default=False),
    ] = None,
    classes: Classes = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME", help="Only the relevance of this input; may be repeated.",
                     show_default=False),
    ] = None,
    side: Annotated[int, typer.Option(metavar="N", help="Pixels along a heatmap's longer side, made small.")] = 20,
    neighbours: Annotated[int, typer.Option(metavar="N", help="Of each heatmap, in the graph.")] = 10,
    most: Annotated[int, typer.Option(metavar="N", help="Clusters of a class, at most.")] = 8,
    count: Annotated[
        int | None,
        typer.Option("--clusters", metavar="N", help="Clusters of each class. [default: by the eigengap]",
                     show_default=False),
    ] = None,
    most_rows: Annotated[int, typer.Option(metavar="N", help="Rows of a class, at most: a sample.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the sample, k-means and the maps.")] = 0,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Draw maps and contact sheets.")
    ] = True,
    virelay: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Write a project of ViRelAy there, its HDF5 files beside it.",
                     readable=False, show_default=False),
    ] = None,
    tokenizer: texts.Tokenizer = None,
    data: Data = None,
    json_: options.Json = False,
) -> str:  # fmt: skip
    """Cluster the heatmaps of each class: a small cluster far from the others may show an artefact."""
    from onnxdtd.cli import cluster_job

    return cluster_job.cluster(
        directory, output, data, virelay, tokenizer, pictures=pictures, as_json=json_,
        by=by, classes=tuple(classes or ()), inputs=tuple(inputs or ()), side=side, neighbours=neighbours,
        most=most, count=count, most_rows=most_rows, seed=seed,
    )  # fmt: skip
