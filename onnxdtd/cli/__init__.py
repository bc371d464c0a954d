"""The command line: one file a command, each a thin call of the public API.

Exit codes: 0 done; 1 a bug of ours; 2 usage or a bad input; 3 the model cannot be read; 4 an operator or
rule is missing; 5 a requested check failed; 6 some of many inputs failed; 130 interrupted; 143 terminated.

A command returns the text for stdout, and `main` alone prints it. What imports onnx or matplotlib is loaded when
a command runs (`job`, or through the front door), so that help comes at once.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from onnxdtd.cli import (
    annotate,
    audit,
    batch,
    check,
    cluster,
    compare,
    compile,
    concepts,
    demo,
    evaluate,
    inspect_model,
    lesson,
    report,
    roots,
    run,
    serve,
    tables,
    view,
)  # fmt: skip
from onnxdtd.cli.stopping import INTERRUPTED, bounded, signals
from onnxdtd.cli.text import message, say
from onnxdtd.errors import OnnxdtdError, UsageError, one_line
from onnxdtd.memory import no_room_for_threads
from onnxdtd.version import __version__

# The base of all usage errors that Typer raises, of which it makes only this subclass public.
TYPER_USAGE: Any = typer.BadParameter.__mro__[1]

_COMMANDS: list[tuple[str, Any, str, str | None]] = [
    ("run", run.run, "Explain one input of a model.", run.EXAMPLES),
    ("report", report.report, "Write an explanation as one HTML page.", report.EXAMPLES),
    ("annotate", annotate.annotate, "Write an explanation into a model, for Netron.", annotate.EXAMPLES),
    ("demo", demo.demo, "Explain a digit that comes with the package.", None),
    ("audit", audit.audit, "Say how far an explanation can be trusted.", audit.EXAMPLES),
    ("batch", batch.batch, "Explain a whole data set.", batch.EXAMPLES),
    ("summary", lesson.summary, "Say what the rows of a batch have in common.", lesson.EXAMPLES),
    ("cluster", cluster.cluster, "Say which strategies a model has for a class.", cluster.EXAMPLES),
    ("concepts", concepts.concepts, "Say what the channels of a layer stand for.", concepts.EXAMPLES),
    ("compare", compare.compare, "Compare methods on one input.", compare.EXAMPLES),
    ("evaluate", evaluate.evaluate, "Score methods on a data set.", evaluate.EXAMPLES),
    ("roots", roots.roots, "Find the Taylor roots of a node's neurons.", roots.EXAMPLES),
    ("compile", compile.compile, "Write the explainer as an ONNX model.", compile.EXAMPLES),
    ("check", check.check, "Say whether a model can be explained, and at what cost.", None),
    ("inspect", inspect_model.inspect, "Show a model's graph and every node's rule.", None),
]
# These run until they are told to stop: their --timeout is that of a request. Those without one show lists.
_FREE: list[tuple[str, Any, str, str | None]] = [
    ("view", view.view, "Open a local page to explore with.", view.EXAMPLES),
    ("serve", serve.serve, "Serve models and explanations over HTTP.", serve.EXAMPLES),
    ("ops", tables.ops, "Show the operators.", None),
    ("rules", tables.rules, "Show the rules.", tables.RULES_FILE),
    ("methods", tables.methods, "Show the methods.", None),
]


def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> str:
    """Why an ONNX model said what it said: the relevance of every input, by Deep Taylor and LRP."""
    if not version and context.invoked_subcommand is None:
        raise UsageError("no command is given; see onnxdtd --help")
    return f"onnxdtd {__version__}"


ENDING = (
    "Start with: onnxdtd run MODEL INPUT\n\n"
    "Exit codes: 0 done, 1 a bug of ours, 2 usage or a bad input, 3 the model cannot be read, 4 an operator or "
    "rule is missing, 5 a requested check failed, 6 some of many inputs failed, 130 interrupted, 143 terminated."
)


def application(words: Sequence[str] = ()) -> typer.Typer:
    """The command line; of one whose first word is a command that command alone, since Typer makes all options of all
    commands before it runs one."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True, epilog=ENDING)(root)
    names = [name for name, *_ in (*_COMMANDS, *_FREE) if [name] == [*words[:1]]]
    for commands, made in ((_COMMANDS, bounded), (_FREE, lambda command: command)):
        for name, command, about, examples in commands:
            if not names or name in names:
                app.command(name, short_help=about, epilog=examples)(made(command))
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; the user's own mistakes never show a traceback."""
    words = batch.with_address(sys.argv[1:] if arguments is None else arguments)
    with signals() as received:
        try:
            result = application(words)(args=words, prog_name="onnxdtd", standalone_mode=False)
            if result != INTERRUPTED:  # which Typer returns after a KeyboardInterrupt
                return say(result) if isinstance(result, str) else 0
        except BaseException as error:
            if not received.code and not isinstance(error, (KeyboardInterrupt, typer.Abort)):
                return _ended(error, words)
        message(received.word)
        return received.code or INTERRUPTED


def _ended(error: BaseException, words: Sequence[str]) -> int:
    """Say in a line why a command has not come to its end, and return the exit code."""
    if isinstance(error, SystemExit):
        return 0  # Typer's answer to a reader that has gone away
    if isinstance(error, OnnxdtdError):
        message(str(error))
        return error.exit_code
    if isinstance(error, TYPER_USAGE):
        _tell_usage(error, words)
        return 2
    if isinstance(error, MemoryError):
        message("there is not enough memory for this: take a smaller input or model")
        return 2
    if no_room_for_threads(error):
        message("the system starts no more threads: give it more memory, or run fewer things at a time")
        return 2
    if isinstance(error, RecursionError):
        message("something in the model or the input is nested too deep to be read")
        return 2
    if isinstance(error, OSError):
        place = f"'{error.filename}': " if error.filename else ""
        message(f"{place}{error.strerror or one_line(error)}")
        return 2
    traceback.print_exception(error)
    message(f"this is a bug in onnxdtd {__version__}: please report it with the lines above")
    return 1


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
