"""Running a session of onnxruntime: silent, within the limit of time, and stopped when the user interrupts."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from onnxdtd.deadline import over, remaining
from onnxdtd.errors import InputError, OnnxdtdError, one_line
from onnxdtd.model.graph import Graph
from onnxdtd.model.guard import ended
from onnxdtd.types import Arrays
from onnxdtd.walk.watch import watch

_SILENT = 4
ON_INPUT = "on this input"
_FAILED = re.compile(r"while running \w+ node\. Name:'(.*?)' Status")
_GRACE = 10.0
"""Seconds that a session is waited for once it was told to stop: it looks up only between two nodes."""


def run(session: ort.InferenceSession, outputs: Sequence[str], feeds: Arrays) -> list[Any]:
    """`session.run`. Raises whatever onnxruntime raises, and TimeLimitError within `deadline.within`."""
    options = ort.RunOptions()
    options.log_severity_level = _SILENT  # its own log would print a stranger's names as they are
    left = remaining()
    main = threading.current_thread() is threading.main_thread()
    if left is None or (math.isinf(left) and not main):
        return list(session.run(list(outputs), feeds, options))
    if not main:  # which no signal interrupts
        return _watched(session, outputs, feeds, options, left)
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


def _watched(
    session: ort.InferenceSession, outputs: Sequence[str], feeds: Arrays, options: ort.RunOptions, left: float
) -> list[Any]:
    try:
        with watch.over(options, left):
            return list(session.run(list(outputs), feeds, options))
    except Exception:
        if options.terminate:
            raise over() from None
        raise


def run_session(session: ort.InferenceSession, outputs: Sequence[str], feeds: Arrays) -> dict[str, Any]:
    """Run and return the outputs by name. Raises InputError with onnxruntime's first line where it fails."""
    arrays = {name: np.asarray(x) for name, x in feeds.items()}  # NumPy makes numbers of arrays without axes
    try:
        values = run(session, outputs, arrays)
    except OnnxdtdError:
        raise
    except Exception as error:
        if at_limit := ended(str(error)):
            raise InputError(at_limit) from None
        raise InputError(f"onnxruntime cannot run the model {ON_INPUT}: {first_line(error)}") from None
    return dict(zip(outputs, values, strict=True))


def names_a_node(graph: Graph, message: str) -> bool:
    """Whether a message names a node of the graph, or none at all."""
    match = _FAILED.search(message)
    return match is None or match[1] in graph.by_name


def fails_anyway(graph: Graph, feeds: Arrays, message: str) -> bool:
    """Whether the node that a message names fails whatever the input is: a single sample, of sizes that the model
    states and of numbers that choose nothing."""
    node = graph.by_name.get(match[1]) if (match := _FAILED.search(message)) else None
    if node is None:
        return False
    for name, x in feeds.items():
        value = graph.value(name)
        if not value.is_float or value.shape is None or not all(isinstance(s, int) for s in value.shape[1:]):
            return False
        if x.shape[:1] not in ((), (1,)) and not isinstance(value.shape[0], int):
            return False
    return all(not v or v in graph.constants or graph.value(v).is_float for v in node.inputs)


def first_line(error: Exception) -> str:
    """What onnxruntime says first, shortened."""
    text = str(error).strip().splitlines()
    return one_line(text[0]) if text else type(error).__name__
