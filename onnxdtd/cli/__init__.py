"""The command line: one file a command, each a thin call of the public API.

Exit codes: 0 done; 1 a bug of ours; 2 usage or a bad input; 3 the model cannot be read; 4 an operator or
rule is missing; 5 a requested check failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from onnxdtd.cli import inspect_model, run, tables
from onnxdtd.errors import OnnxdtdError

app = typer.Typer(
    name="onnxdtd",
    help="Why an ONNX model said what it said: the relevance of every input, by Deep Taylor and LRP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("inspect")(inspect_model.inspect)
app.command("ops")(tables.ops)
app.command("rules")(tables.rules)
app.command("methods")(tables.methods)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; the user's own mistakes never show a traceback."""
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
    except OnnxdtdError as error:
        for line in str(error).splitlines():
            print(f"onnxdtd: {line}", file=sys.stderr)
        return error.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    return code if isinstance(code, int) else 0
