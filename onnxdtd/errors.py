"""Every error that onnxdtd raises on purpose, each with the exit code of the command line.

    OnnxdtdError                 1  a bug of ours, unless a subclass says otherwise
    ├── UsageError               2  an option or argument that cannot be right
    │   ├── InputError           2  the input array, image or file does not fit the model
    │   ├── TargetError          2  the target names nothing in the model's output
    │   └── ProviderError        2  the execution provider is not installed
    ├── ModelError               3  the file is not a readable, valid ONNX model
    ├── UnsupportedError         4  an operator without an entry, or a node without a rule
    └── CheckError               5  a check that the user asked for did not hold

A message is one line: what is wrong, where (node name, op, shapes), and what mends it. Faults of one
kind are reported all at once, see `UnsupportedError`.
"""

from __future__ import annotations

from collections.abc import Sequence


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


class ProviderError(UsageError):
    """The onnxruntime execution provider is not available here."""


class ModelError(OnnxdtdError):
    """The model cannot be read: not ONNX, truncated, invalid, or reaching outside its folder."""

    exit_code = 3


class UnsupportedError(OnnxdtdError):
    """Operators or rules are missing; `faults` lists every one, one line each."""

    exit_code = 4

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[UnsupportedError], tuple[tuple[str, ...]]]:
        return (type(self), (self.faults,))


class CheckError(OnnxdtdError):
    """A check that the user asked for did not hold."""

    exit_code = 5
