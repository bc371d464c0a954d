"""All faults at once: what is wrong is gathered first, and told together."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from onnxdtd.errors import OnnxdtdError


class SeveralError(OnnxdtdError):
    """Faults of more than one kind, one line each; a mistake in the usage counts before one in the model."""

    def __init__(self, errors: Sequence[OnnxdtdError]) -> None:
        lines = [line for error in errors for line in str(error).splitlines()]
        super().__init__("\n".join(dict.fromkeys(lines)))
        self.exit_code = min(error.exit_code for error in errors)


class Faults:
    """`with faults:` around everything that may be wrong, then `faults.stop()`."""

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
        """Raise if there are any."""
        if self.errors:
            raise SeveralError(self.errors)
