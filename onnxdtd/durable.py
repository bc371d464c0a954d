"""Files that appear whole or not at all, and a lock against two writers of one folder."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from onnxdtd.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows, where the owner's pid alone counts
    fcntl = None  # type: ignore[assignment]  # mypy takes a module's name for one of modules alone

LOCK = ".lock"
APPEND = os.O_WRONLY | os.O_APPEND
"""To add to a file's end."""
KEPT = "what is done is kept, and the same command goes on from there"
_UNFINISHED = re.compile(r"\..+\.(\d{1,10})-[0-9a-f]{8}")


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to be written: it takes its name when all of it is on the disk, in the place of an earlier one; after an
    exception nothing is left of it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what processes that are no more have left unfinished in a folder."""
    for path in folder.glob(".*"):
        owner = _UNFINISHED.fullmatch(path.name)
        if owner and (int(owner[1]) == os.getpid() or not lives(int(owner[1]))):
            path.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """The block writes a folder that the same command goes on with. UsageError where disk or memory are short, or
    nobody may write there."""
    try:
        yield
    except MemoryError as error:
        raise UsageError(f"memory is short ({error or 'out of memory'}); {KEPT}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UsageError(f"the disk of '{folder}' is full; {KEPT}") from None
        raise UsageError(f"'{folder}' cannot be written: {error.strerror or error}") from None


def opened(path: Path, flags: int) -> int:
    """A descriptor of a file in a folder of ours, made if it is not there. Raises OSError for a link, a pipe or a
    device, which somebody else has put there."""
    for name in ("O_CLOEXEC", "O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "it is a symbolic link", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file", str(path))
    return descriptor


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The only writer of a folder. The lock names its owner; that of a process that is no more is taken over.
    UsageError where another one is at work."""
    file = _acquired(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()
        file.close()


def _acquired(folder: Path) -> IO[str]:
    while True:
        file = os.fdopen(opened(folder / LOCK, os.O_RDWR), "r+", encoding="utf-8")
        try:
            if not _claimed(file) or _living_owner(file):
                file.seek(0)
                raise UsageError(_refusal(folder, _read(file)))
            # The owner before may have deleted the file between the two steps: a lock on it holds nobody off.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), (folder / LOCK).stat()):
                    me = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid())}
                    file.seek(0)
                    file.truncate()
                    file.write(json.dumps(me) + "\n")
                    file.flush()
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _claimed(file: IO[str]) -> bool:
    """Whether the system gives this process the file; it takes it back when the process ends, however it ends."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _living_owner(file: IO[str]) -> bool:
    """Whether the process that the lock names may be at work: it lives, or is on another machine."""
    owner = _read(file)
    if not isinstance(owner.get("pid"), int):
        return False
    if owner.get("host", socket.gethostname()) != socket.gethostname():
        return True
    same = owner.get("born") in (None, _born(owner["pid"]))
    return owner["pid"] != os.getpid() and same and lives(owner["pid"])


def _read(file: IO[str]) -> dict[str, Any]:
    try:
        text = file.read()
        owner = json.loads(text)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {"pid": owner}


def _refusal(folder: Path, owner: dict[str, Any]) -> str:
    host = owner.get("host", socket.gethostname())
    where = "" if host == socket.gethostname() else f" on {host}"
    return (
        f"'{folder}' is being written by process {owner.get('pid', 'of another job')}{where}: wait for it, or end it "
        f"(if it is no more, delete '{folder / LOCK}')"
    )


def lives(pid: int) -> bool:
    """Whether there is a process of this number; where that cannot be told, there is."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _born(pid: int) -> str | None:
    """When a process was started, which tells it from a later one with its number; None where that is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _sync(folder: Path) -> None:
    """A new name is on the disk when its folder is."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
