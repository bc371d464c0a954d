"""What was dropped on the page: files in a folder of their own, the model that is open, and the input.

No other file is opened: names that the page sends are names of files that it has sent before, or those that the
command was given.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from onnxdtd.errors import InputError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import IMAGE_SUFFIXES, PRESETS, takes_one_picture
from onnxdtd.inputs.files import SUFFIXES
from onnxdtd.memory import written
from onnxdtd.plan.target_text import Names, read_target
from onnxdtd.printing import printable
from onnxdtd.registry import METHODS, PASSES
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.types import Arrays

MODEL = ".onnx"
_LONGEST = 200
MOST_LABELS, MOST_LAYERS = 1000, 500
"""That the page lists; any may be typed."""


class Workspace:
    """folder: for what is dropped. open_model: makes the explainer of a file. limit: bytes of all that is dropped."""

    def __init__(self, folder: Path, open_model: Callable[[Path], Explainer], limit: int) -> None:
        self._folder, self._open_model, self._limit = folder, open_model, limit
        self._files: dict[str, Path] = {}
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._explainer: Explainer | None = None
        self.model = ""

    def hold(self, path: Path) -> str:
        """A file that the command was given, under its name."""
        self._files[path.name] = path
        return path.name

    def receive(self, name: str) -> Receiver:
        """Takes a file that is dropped. Raises UsageError for a name that is none, or of no use."""
        plain = (
            name == Path(name).name and name == printable(name) and "\\" not in name and "\x00" not in name
        )
        if not plain or name.startswith(".") or not 0 < len(name) <= _LONGEST:
            raise UsageError("the name of the file cannot be taken: rename it")
        return Receiver(self, name)

    @property
    def room(self) -> int:
        """Bytes that may still be dropped."""
        return self._limit - sum(self._sizes.values())

    def open(self, name: str) -> dict[str, Any]:
        """Read a model, and tell of what may be chosen. Raises what an explainer raises."""
        self._explainer, self.model = None, ""
        explainer = self._open_model(self._file(name))
        description = described(explainer)
        self._explainer, self.model = explainer, name
        return {"name": name, **description}

    @property
    def explainer(self) -> Explainer:
        """Of the model that is open. Raises UsageError where none is."""
        if self._explainer is None:
            raise UsageError("no model is open: drop one on the page")
        return self._explainer

    def read(self, name: str, text: str, sample: int, explainer: Explainer) -> tuple[Arrays, Any, int]:
        """One sample of an input, the picture that it is, and of how many samples. text: in the place of a file, for
        a model with a tokenizer. Raises InputError, UsageError."""
        if text and explainer.loaded.reader is not None:
            return explainer.feeds([text]), None, 1
        path = self._file(name)
        feeds, picture = explainer.feeds(path), None
        if path.suffix.lower() in IMAGE_SUFFIXES and explainer.preprocess:
            picture = explainer.preprocess.picture(path)
        counts = {len(array) if array.ndim else 1 for array in feeds.values()}
        count = counts.pop() if len(counts) == 1 else 1
        if count < 2 or fixed_batch(explainer.graph) is not None:
            return feeds, picture, 1
        if not 0 <= sample < count:
            raise InputError(f"sample {sample} is not among the {count} of '{name}': 0 to {count - 1}")
        rows = {key: np.asarray(array[sample : sample + 1]) for key, array in feeds.items()}
        return rows, picture, count

    def _file(self, name: str) -> Path:
        if not name:
            raise UsageError("nothing to explain was dropped yet")
        if name not in self._files:
            raise UsageError(f"'{printable(name[:_LONGEST])}' was not dropped on the page")
        return self._files[name]

    def keep(self, name: str, unfinished: Path, size: int) -> None:
        """A file that has arrived, in the place of an earlier one."""
        with self._lock:
            os.replace(unfinished, self._folder / name)
            self._files[name], self._sizes[name] = self._folder / name, size

    def unfinished(self) -> tuple[BinaryIO, Path]:
        """A new file for what arrives."""
        path = self._folder / f".{secrets.token_hex(8)}"
        return path.open("xb"), path


class Receiver:
    """Writes a file as it arrives; `kind` is what it may serve as."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace, self._name, self._size = workspace, name, 0
        self._stream, self._path = workspace.unfinished()
        suffix = Path(name).suffix.lower()
        self.kind = "model" if suffix == MODEL else "input" if suffix in SUFFIXES else "beside"

    def write(self, part: bytes) -> None:
        """The next bytes. Raises UsageError where there is no room for them."""
        self._size += len(part)
        if self._size > self._workspace.room:
            raise UsageError(
                f"'{self._name}' is too large: {written(self._workspace.room)} are left (--upload)"
            )
        self._stream.write(part)

    def end(self, whole: bool) -> None:
        """All of it has arrived, or it never will."""
        self._stream.close()
        if whole:
            self._workspace.keep(self._name, self._path, self._size)
        else:
            self._path.unlink(missing_ok=True)


def target_of(explainer: Explainer, text: str) -> Any:
    """A target as on the command line, but no file of this machine."""
    names = Names(explainer.graph.outputs, explainer.loaded.labels or (), files=False)
    return read_target(text.strip() or "top", names)


def described(explainer: Explainer) -> dict[str, Any]:
    """What the page shows of a model, and what may be chosen."""
    graph, layers = explainer.graph, list[dict[str, str]]()
    if not graph.open_conditions:
        for step in explainer.plan().steps:
            value = next((v for v in step.node.outputs if v and v not in graph.outputs), None)
            if value is not None:
                layers.append({"name": value, "op": step.node.op, "shape": _shape(graph.value(value).shape)})
    inputs = [
        {"name": name, "type": value.dtype.name, "shape": _shape(value.shape)}
        for name, value in explainer.inputs.items()
    ]
    pictures = any(len(v.shape or ()) == 4 for v in explainer.inputs.values()) or takes_one_picture(graph)
    return {
        "inputs": inputs,
        "outputs": list(graph.outputs),
        "methods": ["auto", *sorted({*METHODS, *PASSES})],
        "layers": layers[:MOST_LAYERS],
        "labels": list(explainer.loaded.labels or ())[:MOST_LABELS],
        "presets": ["", *PRESETS] if pictures else [],
        "prepared": explainer.preprocess is not None,
        "texts": explainer.loaded.reader is not None,
    }


def _shape(shape: Any) -> str:
    return " × ".join("?" if size in (None, "") else str(size) for size in shape or ())


def best(e: Any) -> list[dict[str, Any]]:
    """The largest outputs, to choose among."""
    rows = e.top(5) if np.ndim(e.outputs[e.output]) else []
    return [
        {"target": ",".join(map(str, index)), "name": name, "value": f"{value:.4g}"}
        for index, name, value in rows
        if index
    ]
