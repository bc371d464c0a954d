"""One command of a user: what is typed, how it must end, and what it must say and write."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxdtd.cli import main


@dataclass(frozen=True)
class Command:
    """words: what is typed behind `onnxdtd`. says: what stdout or stderr must hold. writes: files that must be there.
    code: of the exit."""

    words: tuple[str | Path, ...]
    says: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    code: int = 0


def run(command: Command) -> tuple[str, list[str]]:
    """What a user sees, and what is not as it must be."""
    told = io.StringIO()
    words = [str(word) for word in command.words]
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = main(words)
    text = told.getvalue()
    flat = " ".join(text.split())
    faults = [] if code == command.code else [f"exit code {code} instead of {command.code}"]
    faults += ["a traceback"] * ("Traceback" in text)
    faults += [f"does not say: {words}" for words in command.says if words not in flat]
    faults += [f"does not write: {name}" for name in command.writes if not Path(name).exists()]
    return f"$ onnxdtd {' '.join(words)}\n{text.rstrip()}\n[exit {code}]\n", faults


def users(commands: Sequence[Command]) -> tuple[str, list[str]]:
    """All of a user's commands, one after the other."""
    texts, faults = [], []
    for command in commands:
        text, wrong = run(command)
        texts.append(text)
        faults += [f"{' '.join(map(str, command.words))}: {fault}" for fault in wrong]
    return "\n".join(texts), faults
