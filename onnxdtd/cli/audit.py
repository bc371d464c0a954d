"""`onnxdtd audit`: how far an explanation can be trusted, as a table and one plain sentence per finding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd audit model.onnx input.npy --method dtd
  onnxdtd audit model.onnx input.npy --quick --json
  onnxdtd audit model.onnx input.npy --only conservation,roots
                --fail-on conservation
  onnxdtd audit model.onnx photos/ --quick --fail-on any:0.1
  onnxdtd audit model.onnx input.npy --quick --junit audit.xml --fail-on any

The folder holds audit.json and pictures. A finding fires where its number speaks against the heatmap; --fail-on turns
that into exit code 5. Of many inputs each is audited: every finding has the share of inputs at which it fires, with
its interval, and `--fail-on FINDING:SHARE` allows a share."""


@grouped
def audit(
    model: options.Model,
    inputs: options.Inputs,
    output: options.Output = Path("onnxdtd-audit"),
    target: options.Target = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="Only the audits that take a few passes.")] = False,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these audits. [default: all]", show_default=False)
    ] = None,
    fail_on: options.FailOn = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.xml",
            readable=False,
            help="Write the findings as JUnit XML too, which CI systems show: one that fires is a failure.",
        ),
    ] = None,
    sarif: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.sarif",
            readable=False,
            help="Write the findings as SARIF too, for code scanning: errors by --fail-on, else warnings.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The class, by index or name, whose heatmap class_similarity compares with. [default: a far one]",
            show_default=False,
        ),
    ] = None,
    explainer: Any = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="E",
            help="What makes the explanation: numpy, onnx or auto: by what is faster, and numpy where an audit looks "
            "into the books of nodes, which it alone keeps. Audits walk by numpy.",
        ),
    ] = "auto",
    no_cache: options.NoCache = False,
    preprocess: options.Preprocess = None,
    image: Any = None,
    json_: options.Json = False,
) -> str:
    """Audit an explanation: what it loses, what it shows of this class, this model, this input, and what not."""
    from onnxdtd.cli import audit_job

    return audit_job.audit(
        model,
        inputs,
        output,
        options.one(target),
        {"method": method, "engine": engine, "cache_dir": False if no_cache else None, **explainer},
        preprocess,
        image,
        against=against,
        only=only.split(",") if only else None,
        quick=quick,
        fail_on=fail_on or [],
        junit_file=junit,
        sarif_file=sarif,
        as_json=json_,
    )  # fmt: skip
