"""Sessions in a process that forks: the child has the parent's objects, and none of the threads that they count on.

A run of the parent's session would wait in the child for threads that are not there, and so would the session's end,
which joins them. So in a child whoever holds sessions lets go of them and starts its own where it needs them, and the
parent's are never ended there: what they take stays in the memory that both processes share.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from types import TracebackType
from typing import Protocol

import onnxruntime as ort


class Holder(Protocol):
    """Who holds sessions, or locks that another thread of the parent may have taken."""

    def after_fork(self) -> None:
        """Let go of them, in the child."""


_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
_sessions: weakref.WeakSet[ort.InferenceSession] = weakref.WeakSet()
_lock = threading.RLock()
_kept: list[ort.InferenceSession] = []
"""While the process forks, so that no session ends in the child before it is made to stay."""


def survive(session: ort.InferenceSession) -> ort.InferenceSession:
    """The session, which no fork will end."""
    with _lock:
        _sessions.add(session)
    return session


def renew(holder: Holder) -> None:
    """Have a holder told of every fork, in the child, as long as it lives."""
    with _lock:
        _holders.add(holder)


class Lock:
    """A lock that is open in a child, whoever of the parent's threads has it."""

    def __init__(self) -> None:
        self.after_fork()
        renew(self)

    def after_fork(self) -> None:
        """A lock of the child's own."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def _before() -> None:
    _lock.acquire()
    _kept.extend(_sessions)


def _in_parent() -> None:
    _kept.clear()
    _lock.release()


def _in_child() -> None:
    for session in _kept:  # one more reference, which nobody gives back, not even when Python ends
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _kept.clear()
    _sessions.clear()
    holders = [*_holders]
    _lock.release()
    for holder in holders:
        holder.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
