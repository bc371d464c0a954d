"""Compiled walks on disk, for processes to come: a folder of this user's alone, bounded in size.

Whoever can write a compiled walk decides what explanations say. So nothing is read that another user could have
written, through no link; a file says which walk it is of, under a sum of both; weights of the model are not in it but
come from the model. Whatever is odd counts as missing, and is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from onnxdtd.compiled.constants import CONSTANTS
from onnxdtd.compiled.trace import Compiled
from onnxdtd.disk import open_regular, parsed_json
from onnxdtd.model.external import is_external, tensors
from onnxdtd.types import Arrays

LARGEST = 2**29
"""Bytes of one file; larger walks take longer to read than to compile."""
MOST = 2**30
"""Bytes of all files; those that were not read for the longest time go first."""
SUFFIX = ".explainer"
UNFINISHED = 3600.0  # seconds after which what was being written is left behind
FACTS = "onnxdtd/compiled"
_FIELDS = ("logits", "relevance", "target_input", "shape", "starts", "masks")
_SUM = hashlib.sha256().digest_size
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def default_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The user's folder for caches, None where there is no home."""
    base = environment.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, "Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(base) / "onnxdtd"


def load(folder: Path, name: str, constants: Arrays) -> Compiled | None:
    """The walk of that name; None where there is none, or anything about it is odd. constants: of its model."""
    path = folder / f"{name}{SUFFIX}"
    try:
        check_own(os.stat(folder, follow_symlinks=False), directory=True)
        with open_regular(path, LARGEST, follow=False) as file:
            check_own(os.fstat(file.fileno()))
            data = file.read(LARGEST + 1)
        compiled = unpacked(data, name, constants)
        os.utime(path)
        return compiled
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DecodeError):
        return None


def holds(folder: Path, start: str) -> bool:
    """Whether there is a file whose name begins so, by the folder's list alone."""
    with suppress(OSError), os.scandir(folder) as entries:
        return any(entry.name.startswith(start) for entry in entries)
    return False


def save(folder: Path, name: str, compiled: Compiled, constants: Arrays) -> None:
    """Keep a walk. Raises OSError where the folder is not there to be written to, or others may write into it."""
    own = {n: a for n, a in compiled.constants.items() if constants.get(n) is not a}
    if sum(array.nbytes for array in own.values()) > LARGEST // 2:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    check_own(os.stat(folder, follow_symlinks=False), directory=True)
    unfinished = folder / f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(packed(compiled, name, constants))
        os.replace(unfinished, folder / f"{name}{SUFFIX}")
    finally:
        with suppress(OSError):
            unfinished.unlink()
    _make_room(folder)


def check_own(status: os.stat_result, directory: bool = False) -> None:
    """Raise OSError for what belongs to someone else, may be written by others, or has a second name."""
    if directory and not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError("it is no directory")
    if os.name != "posix":
        return
    if status.st_uid != os.geteuid():
        raise PermissionError("it belongs to another user")
    if status.st_mode & _OTHERS_WRITE:
        raise PermissionError("others may write to it")
    if not directory and status.st_nlink > 1:
        raise PermissionError("it is a hard link")


def packed(compiled: Compiled, name: str, constants: Arrays) -> bytes:
    """The sha256 of the name and of what follows: the model with the weights that the walk made and, in its metadata,
    the other fields and the names of the weights that are the model's."""
    model = onnx.ModelProto()
    model.CopyFrom(compiled.model)
    facts = {field: getattr(compiled, field) for field in (*_FIELDS, "kinds")} | {"given": []}
    for key, array in compiled.constants.items():
        if constants.get(key) is array:
            facts["given"].append(key)
        else:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), key))
    helper.set_model_props(model, {FACTS: json.dumps(facts)})
    content: bytes = model.SerializeToString()
    return _sum(name, content) + content


def unpacked(data: bytes, name: str, constants: Arrays) -> Compiled:
    """What `packed` made. Raises one of many errors for what is damaged, or of another name."""
    content = memoryview(data)[_SUM:]
    if _sum(name, content) != data[:_SUM]:
        raise ValueError("damaged, or of another walk")
    model = onnx.ModelProto.FromString(content)
    if not model.graph.node or any(map(is_external, (*model.graph.initializer, *tensors(model)))):
        raise ValueError("no walk, or one with weights elsewhere")
    stored = {entry.key: entry.value for entry in model.metadata_props}[FACTS]
    facts: dict[str, Any] = parsed_json(stored)
    own = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    given = {key: constants[key] for key in facts["given"]}
    del model.graph.initializer[:], model.metadata_props[:]
    fields = {field: facts[field] for field in _FIELDS}
    kinds = tuple(facts.get("kinds", ()))  # which walks of earlier versions do not tell
    made = {value for node in model.graph.node for value in node.output}
    columns = [v.type.tensor_type.shape.dim[-1].dim_value for v in model.graph.output if v.name == CONSTANTS]
    if kinds and columns != [len(kinds)]:
        raise ValueError("its constants are of other kinds")
    if not {fields["logits"], *fields["relevance"].values()} <= {*made, *(i.name for i in model.graph.input)}:
        raise ValueError("its facts are of another model")
    return Compiled(model, {**given, **own}, **{**fields, "shape": tuple(fields["shape"]), "kinds": kinds})


def _sum(name: str, content: bytes | memoryview) -> bytes:
    total = hashlib.sha256(name.encode() + b"\0")
    total.update(content)
    return total.digest()


def _make_room(folder: Path) -> None:
    """Of more than `MOST` bytes, the files that were read last stay; what nobody finished goes."""
    left, now = MOST, time.time()
    with suppress(OSError), os.scandir(folder) as entries:
        files = [(entry.stat(follow_symlinks=False), entry) for entry in entries]
        for status, entry in sorted(files, key=lambda file: file[0].st_mtime, reverse=True):
            ours = stat.S_ISREG(status.st_mode) and entry.name.endswith(SUFFIX)
            left -= status.st_size if ours else 0
            stale = entry.name.startswith(".") and now - status.st_mtime > UNFINISHED
            if (ours and left < 0) or stale:
                with suppress(OSError):
                    os.unlink(entry.path)
