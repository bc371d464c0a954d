"""Running a session of onnxruntime: silent, within the limit of time, and stopped when the user interrupts."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from onnxdtd.deadline import over, remaining
from onnxdtd.errors import InputError, one_line
from onnxdtd.model.guard import ended
from onnxdtd.types import Arrays

_SILENT = 4
_GRACE = 10.0
"""Seconds that a session is waited for once it was told to stop: it looks up only between two nodes."""


def run(session: ort.InferenceSession, outputs: Sequence[str], feeds: Arrays) -> list[Any]:
    """`session.run`. Raises whatever onnxruntime raises, and TimeLimitError within `deadline.within`."""
    options = ort.RunOptions()
    options.log_severity_level = _SILENT  # its own log would print a stranger's names as they are
    left = remaining()
    if left is None:
        return list(session.run(list(outputs), feeds, options))
    result: dict[str, Any] = {}

    def work() -> None:
        try:
            result["values"] = list(session.run(list(outputs), feeds, options))
        except BaseException as error:
            result["error"] = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        thread.join(None if math.isinf(left) else left)
    except BaseException:
        options.terminate = True
        thread.join(_GRACE)
        raise
    if thread.is_alive():
        options.terminate = True
        thread.join(_GRACE)
        raise over()
    if "error" in result:
        raise result["error"]
    return list(result["values"])


def run_session(session: ort.InferenceSession, outputs: Sequence[str], feeds: Arrays) -> dict[str, Any]:
    """Run and return the outputs by name. Raises InputError with onnxruntime's first line where it fails."""
    arrays = {name: np.asarray(x) for name, x in feeds.items()}  # NumPy makes numbers of arrays without axes
    try:
        values = run(session, outputs, arrays)
    except InputError:
        raise
    except Exception as error:
        if at_limit := ended(str(error)):
            raise InputError(at_limit) from None
        raise InputError(f"onnxruntime cannot run the model on this input: {first_line(error)}") from None
    return dict(zip(outputs, values, strict=True))


def first_line(error: Exception) -> str:
    """What onnxruntime says first, shortened."""
    text = str(error).strip().splitlines()
    return one_line(text[0]) if text else type(error).__name__
