"""The command line: one file a command, each a thin call of the public API.

Exit codes: 0 done; 1 a bug of ours; 2 usage or a bad input; 3 the model cannot be read; 4 an operator or
rule is missing; 5 a requested check failed; 130 interrupted.

A command returns the text for stdout, and `main` alone prints it. Whatever a command must not import before it
runs (onnx, onnxruntime, matplotlib), it takes through the front door, `import onnxdtd`.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from onnxdtd.cli import inspect_model, run, tables
from onnxdtd.cli.text import message
from onnxdtd.errors import OnnxdtdError
from onnxdtd.version import __version__

INTERRUPTED = 130
# Every usage error that Typer raises; it makes only this subclass public.
TyperUsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    help="Why an ONNX model said what it said: the relevance of every input, by Deep Taylor and LRP.",
    epilog="Start with: onnxdtd run model.onnx input.npy. Exit codes: 0 done, 1 a bug of ours, 2 usage or a bad "
    "input, 3 the model cannot be read, 4 an operator or rule is missing, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("inspect")(inspect_model.inspect)
app.command("ops")(tables.ops)
app.command("rules", epilog=tables.RULES_FILE)(tables.rules)
app.command("methods")(tables.methods)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version.")] = False,
) -> None:
    """Why an ONNX model said what it said: the relevance of every input, by Deep Taylor and LRP."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; the user's own mistakes never show a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        return _print(f"onnxdtd {__version__}")
    try:
        text = app(args=given, prog_name="onnxdtd", standalone_mode=False)
    except OnnxdtdError as error:
        message(str(error))
        return error.exit_code
    except TyperUsageError as error:
        message(_usage(error, given))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        text = INTERRUPTED
    except SystemExit:  # Typer's answer to a reader that has gone away
        return _print("")
    except Exception:
        traceback.print_exc()
        message(f"this is a bug in onnxdtd {__version__}: please report it with the lines above")
        return 1
    if text == INTERRUPTED:
        message("interrupted")
        return INTERRUPTED
    return _print(text) if isinstance(text, str) else 0
