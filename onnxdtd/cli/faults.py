"""What is told of inputs that could not be explained: each kind of fault once, with the inputs that have it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from onnxdtd.errors import InputError, OnnxdtdError

NAMES = 20
"""Inputs that are named behind a fault which they share."""


@dataclass(frozen=True)
class Fault:
    """text: a line for each thing that is wrong with the input. asked: the target, where only that one could not be
    explained."""

    input: str
    text: str
    asked: str = ""

    @property
    def place(self) -> str:
        """The input, and its target."""
        return named(self.input, self.asked)

    def document(self) -> dict[str, str]:
        """As JSON has it."""
        return {"input": self.input, **({"asked": self.asked} if self.asked else {}), "fault": self.text}


class Wrong:
    """What goes wrong while many inputs are explained for these targets."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.faults: list[Fault] = []
        self.errors: list[OnnxdtdError] = []
        self._targets = targets

    def add(self, name: str, number: int | None, error: OnnxdtdError) -> None:
        """What was raised for an input; number: of the only target that it was raised for, None for all."""
        self.faults.append(Fault(name, str(error), "" if number is None else self._targets[number]))
        self.errors.append(error)

    def whole(self, name: str, error: OnnxdtdError) -> None:
        """What was raised for all targets of an input."""
        self.add(name, None, error)

    def error(self) -> OnnxdtdError:
        """What is raised where nothing could be explained: all faults, or the first where inputs are not at fault."""
        first = self.errors[0]
        bad = first.exit_code == InputError.exit_code
        return InputError("\n".join(fault_lines(self.faults))) if bad else first

    def count(self, made: int) -> str:
        """How many are missing, in words. made: how many explanations there are."""
        each = len(self._targets)
        if each == 1:
            return f"{len(self.faults)} of {len(self.faults) + made} inputs could not be explained"
        missing = sum(1 if fault.asked else each for fault in self.faults)
        return f"{missing} of {missing + made} explanations could not be made"


def named(input: str, asked: str = "") -> str:
    """An input in a sentence, with one of its targets."""
    return f"'{input}'" + (f", target '{asked}'" if asked else "")


def fault_lines(faults: Sequence[Fault], most: int | None = None) -> list[str]:
    """A line for each kind of line, in full for the first input that has it, with the others' names; most: kinds at
    most."""
    kinds: dict[str, tuple[str, list[str]]] = {}
    for fault in faults:
        for line in fault.text.splitlines():
            words = _without(line, fault.input)
            first = f"{fault.place}: {line}" if words == line or fault.asked else line
            kinds.setdefault(words, (first, []))[1].append(fault.place)
    lines = [f"{first}{_also(places[1:])}" for first, places in kinds.values()]
    rest = 0 if most is None else max(len(lines) - most, 0)
    return [*lines[: len(lines) - rest], *([f"and {rest} other faults"] if rest else [])]


def _without(line: str, name: str) -> str:
    """A line without the name of its input, by which it may begin."""
    start = re.match(r"'([^']*)':?", line)
    return line[start.end() :].lstrip() if start and name in start[1] else line


def _also(places: Sequence[str]) -> str:
    if not places:
        return ""
    rest = len(places) - NAMES
    more = f" and {rest} more" if rest > 0 else ""
    return f" (so with {', '.join(places[:NAMES])}{more})"
