"""Sessions in a process that forks: the child has the parent's objects, and none of the threads that they count on.

A run of the parent's session would wait in the child for threads that are not there, and so would the session's end,
which joins them. So in a child whoever holds sessions lets go of them and starts its own where it needs them, and the
parent's are never ended there: what they take stays in the memory that both processes share.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from functools import cached_property
from types import TracebackType
from typing import Protocol

import onnxruntime as ort


class Holder(Protocol):
    """Who holds sessions, or locks that another thread of the parent may have taken."""

    def after_fork(self) -> None:
        """Let go of them, in the child."""


_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
_sessions: weakref.WeakSet[ort.InferenceSession] = weakref.WeakSet()
unforked = threading.RLock()
"""Whoever holds it keeps the process from forking: a child would have what is half done, for ever."""
_kept: list[ort.InferenceSession] = []
"""While the process forks, so that no session ends in the child before it is made to stay."""


def survive(session: ort.InferenceSession) -> ort.InferenceSession:
    """The session, which no fork will end."""
    with unforked:
        _sessions.add(session)
    return session


def renew(holder: Holder) -> None:
    """Have a holder told of every fork, in the child, as long as it lives."""
    with unforked:
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
    unforked.acquire()
    _kept.extend(_sessions)


def _in_parent() -> None:
    _kept.clear()
    unforked.release()


def _in_child() -> None:
    for session in _kept:  # one more reference, which nobody gives back, not even when Python ends
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _kept.clear()
    _sessions.clear()
    holders = [*_holders]
    unforked.release()
    _open_properties()
    for holder in holders:
        holder.after_fork()


def _open_properties() -> None:
    """Before Python 3.12 a cached property has one lock for all objects, which a thread of the parent may have."""
    ours = [module for name, module in [*sys.modules.items()] if name.partition(".")[0] == "onnxdtd"]
    for kind in {thing for module in ours for thing in vars(module).values() if isinstance(thing, type)}:
        for made in vars(kind).values():
            if isinstance(made, cached_property) and hasattr(made, "lock"):
                made.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
