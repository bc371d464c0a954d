"""A result's folder: written whole or not at all.

Everything is written into a hidden folder beside the target folder, which takes its name at the very end. A
folder that holds anything but an earlier result is never touched: the manifest lists the files that are ours.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.disk import read_json, resolved
from onnxdtd.durable import LOCK, lives
from onnxdtd.errors import InputError, UsageError, one_line

MANIFEST = "explanation.json"
JOB = "manifest.json"
"""The manifest of a job over a data set, which writes its folder bit by bit."""
_MANIFESTS = {
    "onnxdtd.audit": "audit.json",
    "onnxdtd.audits": "audits.json",
    "onnxdtd.clusters": "clusters.json",
    "onnxdtd.compare": "compare.json",
    "onnxdtd.concepts": "concepts.json",
    "onnxdtd.evaluation": "evaluation.json",
    "onnxdtd.lesson": "lesson.json",
    "onnxdtd.results": "results.json",
    "onnxdtd.pair": "pair.json",
}
_REPLACING = (("onnxdtd.explanation", "onnxdtd.results"), ("onnxdtd.audit", "onnxdtd.audits"))
"""Results of one command, each of which may take the other's place."""


def write_folder(
    directory: str | Path, schema: str, fill: Callable[[Path], Mapping[str, Any]], *, overwrite: bool = True
) -> Path:
    """Make `directory` hold what `fill(folder)` writes, and the manifest it returns; returns its full path.

    The manifest gains the keys "schema" and "files". Missing parent folders are made. UsageError, and nothing
    touched: the folder holds something else, an earlier result with `overwrite` off, or cannot be written.
    """
    check_folder(directory, schema, overwrite=overwrite)
    target = resolved(directory)
    folder = _beside(_standing(target) / target.name)
    sweep(folder.parent, target.name)
    try:
        folder.mkdir()
        document = {"schema": schema, **fill(folder)}
        manifest = _manifest(schema)
        inside = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        document["files"] = sorted([manifest, *inside])
        (folder / manifest).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", "utf-8")
        _swap(folder, target)
    except (OSError, ValueError) as error:  # ValueError: what JSON cannot hold
        problem = (isinstance(error, OSError) and error.strerror) or one_line(error)
        raise UsageError(f"'{directory}' cannot be written: {problem}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def read_manifest(directory: str | Path, schema: str) -> dict[str, Any]:
    """The manifest of a folder; InputError unless it is there, whole, and of this schema."""
    path = Path(directory) / _manifest(schema)
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise InputError(f"'{directory}' holds no {path.name}: it is not the folder of a result") from None
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read: {one_line(error)}") from None
    document_schema = document.get("schema") if isinstance(document, dict) else None
    if document_schema != schema:
        raise InputError(
            f"'{path}' has the schema {document_schema!r}, not {schema!r}: another version wrote it"
        )
    return dict(document)


def kind_of(directory: str | Path) -> str:
    """Of which kind the result in a folder is, such as "onnxdtd.audit", by what its manifest says. InputError where
    it holds none of ours, or several, or one that cannot be read."""
    kinds, faults = list[str](), list[str]()
    for kind, name in {"onnxdtd.explanation": MANIFEST, "onnxdtd.batch": JOB, **_MANIFESTS}.items():
        path = Path(directory) / name
        try:
            document = read_json(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            faults.append(f"'{path}' cannot be read: {one_line(error)}")
            continue
        schema = document.get("schema") if isinstance(document, dict) else None
        if isinstance(schema, str) and schema.partition("/")[0] == kind:
            kinds.append(kind)
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        names = " and ".join(map(_manifest, kinds))
        raise InputError(
            f"'{directory}' holds {names}, of results of different kinds: name the folder of one"
        )
    if faults:
        raise InputError(faults[0])
    raise InputError(f"'{directory}' holds no result of onnxdtd: name {_results_in(Path(directory))}")


def _results_in(folder: Path) -> str:
    """Which folder is meant, where this one holds others, such as one for each target."""
    with suppress(OSError, IndexError):
        names = sorted(path.name for path in islice(folder.iterdir(), 1000) if is_result(path))
        return f"one of those in it, such as '{names[0]}'"
    return "a folder that a command has left"


def plain(value: Any) -> Any:
    """For JSON, which has no NaN and no infinity: those become the strings "nan", "inf", "-inf"."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def check_folder(directory: str | Path, schema: str, *, overwrite: bool = True) -> None:
    """UsageError where `write_folder` would refuse: a stranger's files, or no right to write."""
    try:
        target = resolved(directory)
        _refuse_to_replace(target, schema, overwrite)
        above = _standing(target)
        if not above.is_dir():
            raise UsageError(f"'{directory}' cannot be written: Not a directory")
        if not os.access(above, os.W_OK | os.X_OK):
            raise UsageError(f"'{above}' may not be written to: choose another folder")
    except OSError as error:
        raise UsageError(f"'{directory}' cannot be written: {error.strerror or error}") from error


def _standing(target: Path) -> Path:
    """The nearest folder above that is there."""
    return next(path for path in target.parents if path.exists())


def _refuse_to_replace(target: Path, schema: str, overwrite: bool) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(f"'{target}' is a file: name a folder")
    if not target.is_dir():
        return
    if target == Path.cwd() or os.path.ismount(target):
        raise UsageError(f"'{target}' is the working folder or a mount: name a new folder inside it")
    ours = _files_of_a_result(target, schema)
    strangers = sorted(_strangers(target, ours))
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        names = ", ".join(f"'{name}'" for name in strangers[:3])
        raise UsageError(f"'{target}' holds {names}{more}, not written by onnxdtd: choose another folder")
    if ours and not overwrite:
        raise UsageError(f"'{target}' holds an earlier result: choose another folder, or allow overwriting")


def _strangers(target: Path, ours: set[str]) -> set[str]:
    """What stands directly in the folder and is not, or holds what is not, a file of a result."""
    tops = {name.partition("/")[0] for name in ours}
    strange = {p.name for p in target.iterdir() if p.name not in {*tops, LOCK} or p.is_symlink()}
    for folder in [p for p in target.iterdir() if p.name in tops - strange and p.is_dir()]:
        inside = [p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]
        names = {p.relative_to(target).as_posix() for p in inside if not p.is_symlink()}
        if len(names) < len(inside) or not names <= ours or folder.name in ours:
            strange.add(folder.name)
    return strange


def _files_of_a_result(folder: Path, schema: str) -> set[str]:
    """The files that a result of any version of the schema, or of one that it may replace, lists as its own."""
    files: set[str] = set()
    kind = schema.partition("/")[0]
    for earlier in next((kinds for kinds in _REPLACING if kind in kinds), (kind,)):
        try:
            document = read_json(folder / _manifest(earlier))
            if document["schema"].partition("/")[0] == earlier:
                files |= {name for name in document["files"] if isinstance(name, str)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return files


def _manifest(schema: str) -> str:
    """The manifest's name: a kind of result of its own has its own, so that no other is taken for it."""
    kind = schema.partition("/")[0]
    return JOB if kind == "onnxdtd.batch" else _MANIFESTS.get(kind, MANIFEST)


def is_result(folder: Path) -> bool:
    """Whether a folder holds a result, so that its pictures and arrays are no inputs."""
    return any((folder / name).is_file() for name in (MANIFEST, *_MANIFESTS.values()))


def _beside(path: Path) -> Path:
    """A hidden name in the same folder that nobody else uses; same folder means same file system."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")


def sweep(parent: Path, name: str) -> None:
    """Remove what a process that is gone has left half-written beside a folder of this name."""
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d{{1,10}})-[0-9a-f]{{8}}")
    with suppress(OSError):
        for path in parent.iterdir():
            left = pattern.fullmatch(path.name)
            if left and not path.is_symlink() and not lives(int(left[1])):
                shutil.rmtree(path, ignore_errors=True)


def _swap(folder: Path, target: Path) -> None:
    """Give `folder` the name `target`; what bore it before goes, or comes back if that fails."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _take(folder, target)
        return
    earlier = _beside(target)
    target.rename(earlier)
    try:
        _take(folder, target)
    except BaseException:
        if not target.exists():  # else another process has written there in between
            earlier.rename(target)
        raise
    finally:
        shutil.rmtree(earlier, ignore_errors=True)


def _take(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise OSError(error.errno, "another process has just written there") from None
        raise
