"""From the first request to the last: a socket, a server in a thread of its own, and a stop that loses nothing.

On SIGTERM or SIGINT the server answers what it has accepted: for a moment it still takes requests from those who do
not know yet, each of whom is told that the connection ends; then it takes no more, waits for the answers that are
outstanding, and ends.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from onnxdtd.errors import UsageError
from onnxdtd.web.guard import App

LINGER = 0.3
"""Seconds in which clients with an open connection learn that it ends."""
MOST_CONNECTIONS = 1000
IDLE = 30
"""Seconds that a connection without a request is kept."""
_LONGEST_HEAD = 1 << 16
_BACKLOG = 2048
_TICK = 0.1


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UsageError where none can."""
    if not 0 <= port < 1 << 16:
        raise UsageError(f"--port {port}: a port is a number from 0 (any that is free) to 65535")
    try:
        # With its protocol stated: asyncio lets only such a socket send small parts at once (TCP_NODELAY), and else
        # the body of an answer waits 40 ms until the client has acknowledged its head.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"nothing can listen at {host}, port {port}: {why.lower()}; see --host, --port"
        ) from None


def address_of(listener: socket.socket) -> str:
    """`http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Leaving:
    """Whether the server is about to end, for those who ask whether it is ready."""

    def __init__(self) -> None:
        self.begun = False


def run(app: App, listener: socket.socket, *, grace: float, leaving: Leaving) -> bool:
    """Serve until a signal asks to end, then answer what was accepted, for at most `grace` seconds; a second signal
    ends at once. Returns whether every answer was sent."""
    config = uvicorn.Config(
        app, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=math.ceil(grace), h11_max_incomplete_event_size=_LONGEST_HEAD,
    )  # fmt: skip
    server = uvicorn.Server(config)
    asked = threading.Event()

    def end(_number: int, _frame: Any) -> None:
        server.force_exit = asked.is_set()
        asked.set()

    # uvicorn leaves signals alone in any thread but the main one.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    with _signals(end):
        thread.start()
        while thread.is_alive() and not asked.wait(_TICK):
            pass
        leaving.begun = True
        _pause(LINGER, lambda: server.force_exit)
        server.should_exit = True
        begun = time.monotonic()
        _pause(grace + 1, lambda: server.force_exit or not thread.is_alive())
        thread.join(1.0)
    return not server.force_exit and not thread.is_alive() and time.monotonic() - begun < grace


def _pause(seconds: float, enough: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not enough():
        time.sleep(_TICK / 4)


@contextmanager
def _signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            with suppress(TypeError):  # a handler that is not Python's
                signal.signal(number, earlier)
