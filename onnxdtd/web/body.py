"""The body of a request: read whole, but never more of it, nor for longer, than the server allows."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from onnxdtd.memory import written
from onnxdtd.web.faults import RequestError

PATIENCE = 30.0
"""Seconds that a sender may take for a body."""
_WINDOWS = {"gzip": 31, "deflate": 47}
"""zlib's bits for what each encoding is framed with."""


async def body_of(request: Any, limit: int, seconds: float = PATIENCE) -> bytes:
    """The body, unpacked. limit: bytes, as sent and unpacked. Raises RequestError: 413, 408, 415, 400."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        raise _too_large(limit)
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise RequestError(
            408, f"the body was not sent within {seconds:g} s", {"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "the sender went away before the body was sent") from None
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return b"".join(parts)
    if encoding not in _WINDOWS:
        raise RequestError(415, f"a body is plain, gzip or deflate, not {encoding[:40]!r}")
    return bytes(await run_in_threadpool(_unpacked, b"".join(parts), _WINDOWS[encoding], limit))


def _unpacked(packed: bytes, window: int, limit: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    try:
        plain = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise RequestError(400, f"the body cannot be unpacked: {error}") from None
    if len(plain) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise RequestError(400, "the body cannot be unpacked: it ends too early")
    return plain


def _too_large(limit: int) -> RequestError:
    return RequestError(
        413, f"the body has more than {written(limit)}, which this server takes", {"Connection": "close"}
    )
