"""`onnxdtd check`: can a model be explained, and what would it cost?"""

from __future__ import annotations

from typing import Annotated

import typer

from onnxdtd.cli import options

OutputName = Annotated[
    str | None,
    typer.Option(
        "--output-name", metavar="NAME", help="The output to explain. [default: the first that can be]"
    ),
]


def check(
    model: options.Model,
    method: options.Method = "auto",
    rules: options.Rules = None,
    fixed: options.Fixed = None,
    like: options.Like = None,
    output_name: OutputName = None,
    json_: options.Json = False,
) -> str:
    """Say, without any input, whether a model can be explained: its operators by verdict, what each missing piece
    needs, and what one explanation would cost. Exit code 0 if it can, 4 if not."""
    from onnxdtd.cli import check_job

    return check_job.report(model, method, rules, output_name, fixed or (), like, as_json=json_)
