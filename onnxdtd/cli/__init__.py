"""The command line: one file a command, each a thin call of the public API.

Exit codes: 0 done; 1 a bug of ours; 2 usage or a bad input; 3 the model cannot be read; 4 an operator or
rule is missing; 5 a requested check failed; 6 some of many inputs failed; 130 interrupted.

A command returns the text for stdout, and `main` alone prints it. What imports onnx or matplotlib is loaded when
a command runs (`job`, or through the front door), so that help comes at once.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from onnxdtd.cli import audit, check, compare, compile, evaluate, inspect_model, roots, run, tables
from onnxdtd.cli.text import message, say
from onnxdtd.errors import OnnxdtdError, UsageError
from onnxdtd.version import __version__

INTERRUPTED = 130
# The base of all usage errors that Typer raises, of which it makes only this subclass public.
TYPER_USAGE: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", short_help="Explain one input of a model.", epilog=run.EXAMPLES)(run.run)
app.command("audit", short_help="Say how far an explanation can be trusted.", epilog=audit.EXAMPLES)(
    audit.audit
)
app.command("compare", short_help="Compare methods on one input.", epilog=compare.EXAMPLES)(compare.compare)
app.command("evaluate", short_help="Score methods on a data set.", epilog=evaluate.EXAMPLES)(
    evaluate.evaluate
)
app.command("roots", short_help="Find the Taylor roots of a node's neurons.", epilog=roots.EXAMPLES)(
    roots.roots
)
app.command("compile", short_help="Write the explainer as an ONNX model.", epilog=compile.EXAMPLES)(
    compile.compile
)
app.command("check", short_help="Say whether a model can be explained, and at what cost.")(check.check)
app.command("inspect", short_help="Show a model's graph and every node's rule.")(inspect_model.inspect)
app.command("ops", short_help="Show the operators.")(tables.ops)
app.command("rules", short_help="Show the rules.", epilog=tables.RULES_FILE)(tables.rules)
app.command("methods", short_help="Show the methods.")(tables.methods)


@app.callback(
    invoke_without_command=True,
    epilog="Start with: onnxdtd run MODEL INPUT\n\n"
    "Exit codes: 0 done, 1 a bug of ours, 2 usage or a bad input, 3 the model cannot be read, 4 an operator or "
    "rule is missing, 5 a requested check failed, 6 some of many inputs failed, 130 interrupted.",
)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> str:
    """Why an ONNX model said what it said: the relevance of every input, by Deep Taylor and LRP."""
    if not version and context.invoked_subcommand is None:
        raise UsageError("no command is given; see onnxdtd --help")
    return f"onnxdtd {__version__}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; the user's own mistakes never show a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(args=words, prog_name="onnxdtd", standalone_mode=False)
    except OnnxdtdError as error:
        message(str(error))
        return error.exit_code
    except TYPER_USAGE as error:
        _tell_usage(error, words)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except SystemExit:
        return 0  # Typer's answer to a reader that has gone away
    except Exception:
        traceback.print_exc()
        message(f"this is a bug in onnxdtd {__version__}: please report it with the lines above")
        return 1
    if result == INTERRUPTED:
        message("interrupted")
        return INTERRUPTED
    return say(result) if isinstance(result, str) else 0


def _tell_usage(error: Any, words: Sequence[str]) -> None:
    text = error.format_message()
    if not words:  # the help, which Typer raises
        print(text, file=sys.stderr)
        return
    command = error.ctx.command_path if error.ctx else "onnxdtd"
    cure = f"see {command} --help"
    if words[0].endswith(".onnx"):
        cure = f"to explain a model: onnxdtd run {words[0]} INPUT"
    if "'--input-range'" in text:
        text, cure = "--input-range takes two numbers", "for example: --input-range 0 1"
    message(f"{text.rstrip('.')}; {cure}")
