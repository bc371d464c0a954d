"""What goes wrong as an answer: a status, and one JSON object that says it in the words of the command line."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from onnxdtd.errors import OnnxdtdError, TimeLimitError
from onnxdtd.printing import printable, shortened
from onnxdtd.version import __version__

STATUS = {2: 400, 4: 501}
"""By exit code; what is no fault of the request is 500."""
LONGEST = 2000
"""Characters of a fault that are sent."""


class RequestError(Exception):
    """A request that is not answered as asked: its status, and why."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.headers = status, dict(headers or {})


def refused(error: BaseException) -> Response:
    """The answer to a request that failed. A bug of ours is written to stderr, and only its kind is sent."""
    if isinstance(error, RequestError):
        return as_json({"error": said(error)}, error.status, error.headers)
    if isinstance(error, TimeLimitError):
        return as_json({"error": said(error), "exit_code": error.exit_code}, 504)
    if isinstance(error, OnnxdtdError):
        return as_json({"error": said(error), "exit_code": error.exit_code}, STATUS.get(error.exit_code, 500))
    if isinstance(error, MemoryError):
        return as_json({"error": "there is not enough memory for this: send less", "exit_code": 2}, 400)
    if isinstance(error, RecursionError):
        return as_json({"error": "something in the request is nested too deep", "exit_code": 2}, 400)
    traceback.print_exception(error, file=sys.stderr)
    words = f"this is a bug in onnxdtd {__version__} ({type(error).__name__}), told in the server's log"
    return as_json({"error": words, "exit_code": 1}, 500)


def said(error: BaseException) -> str:
    """Every line of a fault, fit to be shown."""
    return shortened("\n".join(map(printable, str(error).splitlines())), LONGEST)


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, which no browser takes for anything else."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    plain = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **(headers or {})}
    return Response(text.encode("utf-8", "replace"), status, plain, "application/json")
