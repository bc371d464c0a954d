"""How much memory a model or an input may ask for: nothing that is known to be larger is made.

Sizes come from files: a shape of three numbers can ask for more than any machine has. Whatever makes arrays of a size
that a file states asks `require` first, which refuses what does not fit instead of waiting for the system to.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from onnxdtd.errors import UsageError

SHARE = 0.75
"""Of the memory of the machine, or of the group of processes, that is taken at most without further word."""
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_limit: ContextVar[int | None] = ContextVar("memory", default=None)


@cache
def _available() -> int:
    """Bytes of memory of the machine, or of its control group where that has less."""
    sizes = []
    with suppress(OSError, ValueError, AttributeError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for group in _GROUPS:
        with suppress(OSError, ValueError):  # "max": without a limit
            sizes.append(int(Path(group).read_text("ascii")))
    return min((size for size in sizes if size > 0), default=2**33)


def limit() -> int:
    """Bytes that may be asked for: as `limited` says, else `SHARE` of what there is."""
    stated = _limit.get()
    return int(SHARE * _available()) if stated is None else stated


@contextmanager
def limited(size: int | None) -> Iterator[None]:
    """Within the block at most so many bytes may be asked for; None: as before."""
    if size is None:
        yield
        return
    token = _limit.set(size)
    try:
        yield
    finally:
        _limit.reset(token)


def no_room_for_threads(error: BaseException) -> bool:
    """Whether the system starts no more threads, for want of memory or of numbers: Python has no class for that."""
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def fits(shape: Iterable[int], itemsize: int = 1) -> bool:
    """Whether an array may be made."""
    return math.prod(shape) * itemsize <= limit()


def beyond(size: int) -> str:
    """Words for what is refused: how much is needed, what there is, and what mends it."""
    return f"needs {written(size)} of memory, more than the {written(limit())} that may be taken (--memory)"


def written(size: int) -> str:
    """A number of bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.3g} {unit}" if amount < 1e6 else f"{amount:.0e} {unit}"


def size_of(text: str | int) -> int:
    """Bytes from a number, or from a text such as 512M, 4G or 4GB. Raises UsageError."""
    if isinstance(text, int) and not isinstance(text, bool):
        size = text
    else:
        number = str(text).strip().upper().removesuffix("B").removesuffix("I")
        unit = number[-1:] if number[-1:] in _UNITS else ""
        digits = number.removesuffix(unit).strip()
        try:
            size = int(float(digits) * _UNITS[unit]) if len(digits) < 20 else 0
        except (ValueError, OverflowError):
            size = 0
    if size < 1:
        raise UsageError(f"memory is a size such as 512M or 4G, not {str(text)[:40]!r}")
    return size
