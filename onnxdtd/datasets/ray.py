"""A Ray cluster: where it is, what an actor takes of it, how many it holds."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from onnxdtd.errors import UsageError, one_line
from onnxdtd.printing import is_whole

LOCAL = "local"
PATIENCE = 10
"""Seconds until a cluster answers."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Unless the environment says otherwise: Ray neither tells its makers nor writes beside the progress line."""


@dataclass(frozen=True)
class Ray:
    """Where a job runs, and what an actor takes.

    address: `local`, a cluster of this machine's cores for this job alone; `auto`, the one that this machine belongs
    to; host:port, or ray://host:port. cpus: of an actor, and the threads of its sessions. gpus: of an actor, such as
    .25 where four share one. A Ray that is already connected in this process is used as it is. Raises UsageError.
    """

    address: str = LOCAL
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not self.cpus > 0 or not self.gpus >= 0:
            raise UsageError(
                f"an actor takes some cpus and no less than 0 gpus, not {self.cpus} and {self.gpus}"
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise UsageError(f"an actor takes a part of one gpu or whole ones, not {self.gpus}")

    @staticmethod
    def of(place: Ray | str | bool | None) -> Ray | None:
        """From what `batch` takes: an address, or True for `local`."""
        if place is None or place is False or isinstance(place, Ray):
            return place or None
        return Ray(LOCAL if place is True else str(place))


def package() -> Any:
    """The package ray, with `ray.data`. Raises UsageError where it is missing."""
    try:
        importlib.import_module("ray.data")
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(f'this needs Ray: pip install "onnxdtd[ray]" ({one_line(error)})') from None


@contextmanager
def connected(ray: Any, place: Ray) -> Iterator[None]:
    """Ray, as the process is connected, else to the address until the block ends."""
    if ray.is_initialized():
        yield
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    handler = signal.getsignal(signal.SIGTERM)
    own = {"include_dashboard": False} if place.address == LOCAL else {}
    try:
        _answering(place.address)
        ray.init(place.address, log_to_driver=False, logging_level="ERROR", **own)
    except MemoryError:
        raise
    except Exception as error:  # a node that does not start raises no narrower class
        ray.shutdown()
        reason = one_line(error).partition(". ")[0]
        raise UsageError(f"no Ray at '{place.address}': {reason}") from None
    try:
        if threading.current_thread() is threading.main_thread():
            with suppress(TypeError):  # a handler that is not Python's
                signal.signal(signal.SIGTERM, handler)  # Ray's would end the process in its own way
        yield
    finally:
        ray.shutdown()


def _answering(address: str) -> None:
    """OSError where nobody listens: Ray would try for a quarter of an hour."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and is_whole(port):
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def room_of(ray: Any, place: Ray) -> int:
    """How many actors the machines of the cluster can hold. UsageError for none, instead of waiting for ever."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {"CPU": place.cpus} | ({"GPU": place.gpus} if place.gpus else {})
    actors = sum(min(int(has.get(name, 0) / n + 1e-9) for name, n in asked.items()) for has in machines)
    if not actors:
        largest = {name: max((has.get(name, 0) for has in machines), default=0) for name in asked}
        raise UsageError(
            "no machine of the cluster has room for one actor: "
            + ", ".join(f"{n:g} {name} asked, {largest[name]:g} there" for name, n in asked.items())
        )
    return actors
