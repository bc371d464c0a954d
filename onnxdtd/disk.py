"""The one door for every file that is read: a regular file, of a size that its reader states.

A pipe would be waited for, a device has no end, and a file that is too large fills the memory before it is looked at.
Whatever is wrong is an OSError or a ValueError, each of which says in a few words what it is.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from io import BufferedReader
from pathlib import Path
from typing import Any

SETTINGS = 1 << 20
"""Bytes of what people write by hand: rules, preprocessing."""
NAMES = 1 << 26
"""Bytes of a list of names."""
RESULT = 1 << 29
"""Bytes of what a result says of itself."""


def open_regular(
    path: str | os.PathLike[str], limit: int | None = None, *, follow: bool = True
) -> BufferedReader:
    """Open a regular file of at most `limit` bytes for reading; follow: through a symbolic link, too.

    Raises OSError: not there, no regular file, too large, a link in a ring, or a name that none can have.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error)) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file")
        if limit is not None and status.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, more than {limit:,}")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: str | os.PathLike[str], limit: int, *, follow: bool = True) -> bytes:
    """The whole content. Raises OSError, also where the file grows beyond `limit` while it is read."""
    with open_regular(path, limit, follow=follow) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes")
    return content


def read_text(path: str | os.PathLike[str], limit: int, encoding: str = "utf-8") -> str:
    """The content as text. Raises OSError, or UnicodeDecodeError, which is a ValueError."""
    return read_bytes(path, limit).decode(encoding)


def read_json(path: str | os.PathLike[str], limit: int = RESULT) -> Any:
    """The content of a JSON file. Raises OSError, or ValueError for what is no JSON."""
    return parsed_json(read_text(path, limit, "utf-8-sig"))


def parsed_json(text: str | bytes) -> Any:
    """`json.loads`, whose only error is ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_toml(path: str | os.PathLike[str], limit: int = SETTINGS) -> dict[str, Any]:
    """The content of a TOML file. Raises OSError, or ValueError for what is no TOML."""
    try:
        return tomllib.loads(read_text(path, limit).replace("\r\n", "\n"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def resolved(path: str | os.PathLike[str]) -> Path:
    """`Path.resolve`, whose only error is OSError: for links in a ring, names too long, a deleted working folder."""
    try:
        return Path(path).resolve()
    except (RuntimeError, ValueError) as error:  # RuntimeError: a ring of links, up to Python 3.12
        raise OSError(errno.ELOOP if isinstance(error, RuntimeError) else errno.EINVAL, str(error)) from None
