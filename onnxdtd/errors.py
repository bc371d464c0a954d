"""Every error that onnxdtd raises on purpose, each with the exit code of the command line.

    OnnxdtdError                 1  a bug of ours, unless a subclass says otherwise
    ├── UsageError               2  an option or argument that cannot be right
    │   ├── InputError           2  the input array, image or file does not fit the model
    │   ├── TargetError          2  the target names nothing in the model's output
    │   ├── TimeLimitError       2  the limit of time is over
    │   └── ProviderError        2  the execution provider is not installed
    ├── ModelError               3  the file is not a readable, valid ONNX model
    ├── UnsupportedError         4  an operator without an entry, or a node without a rule
    │   └── OpsetError           4  what is to be compiled can be said in a newer opset only
    ├── CheckError               5  a check that the user asked for did not hold
    └── PartialError             6  some of many inputs could not be explained; the others were

A message is one line a fault: what is wrong, where (node name, op, shapes), and what mends it. Whatever can be seen
to be wrong is told at once, see `Faults`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any


class OnnxdtdError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(OnnxdtdError):
    """An option or argument that cannot be right."""

    exit_code = 2


class InputError(UsageError):
    """The input does not fit the model: name, shape, dtype, NaN, file format."""


class TargetError(UsageError):
    """The target is not an element of the model's output."""


class TimeLimitError(UsageError):
    """It was not done within the time that the user gave it."""


class ProviderError(UsageError):
    """The onnxruntime execution provider is not available here."""


class ModelError(OnnxdtdError):
    """The model cannot be read: not ONNX, truncated, invalid, or reaching outside its folder."""

    exit_code = 3


class UnsupportedError(OnnxdtdError):
    """Operators or rules are missing; `faults` lists every one, one line each."""

    exit_code = 4

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = tuple(faults.splitlines() if isinstance(faults, str) else faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[UnsupportedError], tuple[tuple[str, ...]]]:
        return (type(self), (self.faults,))


class OpsetError(UnsupportedError):
    """What is to be compiled can be said in a newer opset only, which is `opset`."""

    def __init__(self, faults: str | Sequence[str], opset: int) -> None:
        super().__init__(faults)
        self.opset = opset

    def __reduce__(self) -> Any:
        return (type(self), (self.faults, self.opset))


class CheckError(OnnxdtdError):
    """A check that the user asked for did not hold."""

    exit_code = 5


class PartialError(OnnxdtdError):
    """Some of many inputs could not be explained; the results of the others are there."""

    exit_code = 6


class Faults:
    """All faults at once: `with faults:` around everything that may be wrong, then `faults.stop()`."""

    def __init__(self) -> None:
        self.errors: list[OnnxdtdError] = []

    def __enter__(self) -> Faults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, OnnxdtdError):
            self.errors.append(error)
        return isinstance(error, OnnxdtdError)

    def stop(self) -> None:
        """Raise one error with every line, if there is any: of the one kind that all are, else of the kind with the
        lowest exit code, since a mistake in the usage counts before one in the model."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            first = min(error.exit_code for error in self.errors)
            kinds = {type(error) for error in self.errors if error.exit_code == first}
            lines = [line for error in self.errors for line in str(error).splitlines()]
            raise (kinds.pop() if len(kinds) == 1 else UsageError)("\n".join(dict.fromkeys(lines)))


def brief(error: BaseException, most: int = 3) -> str:
    """The first faults of an error in one line, and how many there are besides."""
    lines = list(dict.fromkeys(str(error).splitlines()))
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "; ".join([*lines[:most], *more])


LONGEST = 300
_TAGS = {"==>", "[ShapeInferenceError]", "[TypeInferenceError]"}


def one_line(error: BaseException | str) -> str:
    """A message as one line of bounded length, without onnx's tags; an error's type where it says nothing."""
    words = " ".join(word for word in str(error).split() if word not in _TAGS) or type(error).__name__
    return words if len(words) <= LONGEST else words[: LONGEST - 3] + "..."
