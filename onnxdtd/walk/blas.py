"""How many threads NumPy's matrix products take: OpenBLAS has its own, one on each core, which wait busily for the
next product, and so take the cores from those who work side by side."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads64_")
_lock = threading.Lock()
_inside: list[int] = []
"""The number that was set before, once for each block that is being run."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block one thread, of whoever calls; nothing changes where NumPy comes with another library."""
    functions = _functions()
    if functions is None:
        yield
        return
    get, put = functions
    with _lock:
        _inside.append(_inside[0] if _inside else get())
        put(1)
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside:
                put(before)


@functools.cache
def _functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Of the library that NumPy's wheel brings with it, which is loaded already."""
    package = Path(np.__file__).parent
    for path in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        with suppress(OSError):
            library = ctypes.CDLL(str(path))
            for name in NAMES:
                with suppress(AttributeError):
                    return library[name.format("get")], library[name.format("set")]
    return None
