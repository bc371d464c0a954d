"""How many threads NumPy's matrix products take: OpenBLAS has its own, one on each core, which wait busily for the
next product, and so take the cores from those who work side by side."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from onnxdtd.walk.forks import renew, unforked

NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads64_")


class _Blocks:
    """The number of threads that was set before, once for each block that wants one thread."""

    def __init__(self) -> None:
        self.before: list[int] = []
        renew(self)

    def after_fork(self) -> None:
        """The threads that run the parent's blocks are not here."""
        outer, self.before = self.before, []
        if outer and (functions := _functions()) is not None:
            functions[1](outer[0])


_blocks = _Blocks()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block one thread, of whoever calls; nothing changes where NumPy comes with another library."""
    functions = _functions()
    if functions is None:
        yield
        return
    get, put = functions
    with unforked:  # OpenBLAS has a lock of its own, which a child would find locked
        before = _blocks.before
        before.append(before[0] if before else get())
        put(1)
    try:
        yield
    finally:
        with unforked:
            number = before.pop()
            if not before and before is _blocks.before:
                put(number)


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
