"""`onnxdtd report`: explain, and write one HTML page that can be opened, printed or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd report model.onnx photo.jpg --preset imagenet -o report.html
  onnxdtd report model.onnx first.npy second.npy -o both.html
  onnxdtd report out -o report.html

The last one takes a folder that a command has left: run, audit, compare, evaluate, batch, summary, cluster or
concepts. The page holds all that it shows: it asks nothing of any network, and opens from a disk."""


OF_FOLDERS = ("model", "inputs", "output", "json_", "timeout", "memory")
"""Parameters that mean something where nothing is explained."""


@grouped
def report(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL|FOLDER",
            help="The ONNX model, or the folder of a result.",
            readable=False,
            show_default=False,
        ),
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT...",
            help="As for `onnxdtd run`: one or many; none with a folder.",
            readable=False,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", readable=False, help="The page.")
    ] = Path("report.html"),
    target: options.Targets = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    settings: options.Settings = None,
    explainer: Any = None,
    preprocess: options.Preprocess = None,
    image: Any = None,
    no_audit: options.NoAudit = False,
    json_: options.Json = False,
) -> str:
    """Write a page for people: what the model said, what spoke for it, how far to trust it, where it went."""
    from onnxdtd.cli import report_job

    sources = {name: context.get_parameter_source(name) for name in context.params}
    typed = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    return report_job.report(
        model,
        inputs or [],
        output,
        target,
        {"method": method, "settings": settings or (), **explainer},
        preprocess,
        image,
        of_explaining=[f"--{name.replace('_', '-')}" for name in typed if name not in OF_FOLDERS],
        audit=not no_audit,
        as_json=json_,
    )  # fmt: skip
