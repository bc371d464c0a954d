"""Compiled walks that are ready to run, kept for whoever asks for the same one: in memory, and on disk on request."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from onnxdtd.compiled.chunks import Chunks, separable
from onnxdtd.compiled.confirm import confirmed
from onnxdtd.compiled.digest import digest, lasting
from onnxdtd.compiled.start import RUNTIME, Start
from onnxdtd.compiled.trace import Compiled, compile_plan
from onnxdtd.errors import ModelError, UnsupportedError, UsageError
from onnxdtd.model.guard import guard
from onnxdtd.plan.choice import multiplications
from onnxdtd.plan.plan import Plan
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import LARGE, start_session
from onnxdtd.walk.session import run_session

SMALL = 4_000_000  # multiplications in the forward pass of a sample
KEPT = 4
KEPT_BYTES = 512 * 2**20  # of weights
LARGEST_FILE = 2**31 - 2**20  # that protobuf can hold
FACTS = "onnxdtd/compiled"


class Ready:
    """A compiled walk and its sessions. names: of their outputs; the explained value is among them. work: the
    multiplications of a sample's forward pass; of few, other threads take longer to wake than it takes."""

    def __init__(self, compiled: Compiled, providers: Sequence[str], work: int = SMALL) -> None:
        self.compiled, self.small, self._work = compiled, work < SMALL, work
        self.names = list(dict.fromkeys([*(o.name for o in compiled.model.graph.output), compiled.logits]))
        self._providers, self._starting = providers, threading.Lock()

    def run(self, feeds: Arrays) -> dict[str, Any]:
        """The outputs by name, of many samples in chunks where they stand apart."""
        # One target may serve all samples.
        split = {name for name in self._split & feeds.keys() if len(feeds[name]) > 1}
        made = self._chunks(feeds, split) if self._chunks else None
        return self._ran(feeds, 0) if made is None else made

    def _ran(self, feeds: Arrays, threads: int) -> dict[str, Any]:
        with self._starting:  # a session once, whoever asks first
            session = self._beside(feeds) if threads else self.session_for(feeds)
        return run_session(session, self.names, feeds)

    def _beside(self, feeds: Arrays) -> ort.InferenceSession:
        """The one on a single thread, beside others of its kind."""
        if not _single(feeds) or not (self.small or self._light):
            return self._many
        return self.alone if self.small else self._lone

    def session_for(self, feeds: Arrays) -> ort.InferenceSession:
        """The one for a single sample, or the one for any number of them."""
        return self.alone if _single(feeds) and (self.small or self._light) else self.session

    @cached_property
    def session(self) -> ort.InferenceSession:
        """For any number of samples."""
        return self._start()

    @cached_property
    def alone(self) -> ort.InferenceSession:
        """For a single sample: where onnxruntime knows the batch it reorders less, which heavy products hide."""
        sizes, threads = dict.fromkeys(self._batch, 1), int(self.small)
        return self._start(threads=threads, sizes=sizes)

    @cached_property
    def _many(self) -> ort.InferenceSession:
        """For any number of samples, on one thread beside others."""
        return self._start(threads=1)

    @cached_property
    def _lone(self) -> ort.InferenceSession:
        """For a single sample, on one thread beside others."""
        return self._start(threads=1, sizes=dict.fromkeys(self._batch, 1))

    @cached_property
    def _split(self) -> frozenset[str]:
        """The inputs that have the batch axis, or one number for each sample."""
        shaped = {v.name: v.type.tensor_type.shape.dim for v in self.compiled.model.graph.input}
        named = {name for name, shape in shaped.items() if shape and shape[0].dim_param in self._batch}
        return frozenset(named)

    @cached_property
    def _chunks(self) -> Chunks | None:
        """On a CPU; elsewhere whole batches keep the device busy."""
        model = self.compiled.model
        shapes: dict[str, Sequence[Any]] = {
            o.name: [d.dim_param for d in o.type.tensor_type.shape.dim] for o in model.graph.output
        }
        shapes[self.compiled.logits] = self.compiled.shape
        here = not self._providers or self._providers[0] == "CPUExecutionProvider"
        return Chunks(self._ran, self._work) if here and separable(model, self._batch, shapes) else None

    def _start(self, **options: Any) -> ort.InferenceSession:
        try:
            return start_session(self._model(), self.compiled.constants, self._providers, **options)
        except ModelError as error:
            raise UnsupportedError(f"the compiled walk: {error}; use engine='numpy'") from None

    def _model(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.compiled.model)
        if len(self.names) > len(model.graph.output):
            model.graph.output.append(onnx.ValueInfoProto(name=self.compiled.logits))
        return model

    @cached_property
    def _light(self) -> bool:
        return bool(self._batch) and self.nbytes < LARGE

    @cached_property
    def _batch(self) -> frozenset[str]:
        """The names that the batch axis goes by, if no other axis has one of them."""
        graph = self.compiled.model.graph
        shapes = [value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output)]
        first = {shape[0].dim_param for shape in shapes[: len(graph.input)] if shape} - {""}
        others = {dimension.dim_param for shape in shapes for dimension in shape[1:]}
        return frozenset(first) if not first & others else frozenset()

    @property
    def nbytes(self) -> int:
        """The size of its weights."""
        return sum(array.nbytes for array in self.compiled.constants.values())


def _single(feeds: Arrays) -> bool:
    return all(array.shape[:1] in ((), (1,)) for array in feeds.values())


_in_use: weakref.WeakValueDictionary[tuple[str, ...], Ready] = weakref.WeakValueDictionary()
_latest: OrderedDict[tuple[str, ...], Ready] = OrderedDict()
_lock = threading.Lock()


def ready(
    plan: Plan,
    providers: Sequence[str],
    cache_dir: str | os.PathLike[str] | None = None,
    what: Start = RUNTIME,
) -> Ready:
    """The plan compiled, to start as `what` says, with a session on these providers: one that is in use, one of the
    last `KEPT` (of at most `KEPT_BYTES`), or a new one. cache_dir: where compiled walks are kept on disk, by digest;
    those with ops or rules from outside the package are not, since only the running process knows what these do.

    Raises what `compile_plan` raises, and UsageError where cache_dir cannot be written.
    """
    made = digest(plan) + ("" if what == RUNTIME else f"-{what.kind}")
    key = (made, *providers)
    with _lock:
        entry = _in_use.get(key)
        if entry is None:
            entry = Ready(
                _stored(plan, made, Path(cache_dir), what)
                if cache_dir and lasting(plan)
                else _compiled(plan, what),
                providers,
                sum(multiplications(plan)),
            )
        _in_use[key] = _latest[key] = entry
        _latest.move_to_end(key)
        while len(_latest) > 1 and (
            len(_latest) > KEPT or sum(r.nbytes for r in _latest.values()) > KEPT_BYTES
        ):
            _latest.popitem(last=False)
        if entry.nbytes > KEPT_BYTES:
            _latest.clear()
    return entry


def _compiled(plan: Plan, what: Start) -> Compiled:
    compiled = compile_plan(confirmed(plan), what)
    guard(compiled.model.graph, compiled.constants, plan.graph.max_steps)
    return compiled


def _stored(plan: Plan, made: str, folder: Path, what: Start) -> Compiled:
    """From disk, or compiled and written there. What is damaged counts as missing."""
    path = folder / f"{made}.explainer"
    try:
        return _unpacked(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, DecodeError):
        compiled = _compiled(plan, what)
    if sum(array.nbytes for array in compiled.constants.values()) < LARGEST_FILE:
        unfinished = folder / f".{made}.{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(_packed(compiled))
            os.replace(unfinished, path)
        except OSError as error:
            raise UsageError(f"the cache '{folder}' cannot be written: {error.strerror or error}") from None
        finally:
            with suppress(OSError):
                unfinished.unlink()
    return compiled


def _packed(compiled: Compiled) -> bytes:
    """The sha256 of what follows: the model with its weights and, in its metadata, the other fields."""
    model = onnx.ModelProto()
    model.CopyFrom(compiled.model)
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in compiled.constants.items())
    facts = {
        name: getattr(compiled, name)
        for name in ("logits", "relevance", "target_input", "shape", "starts", "masks")
    }
    helper.set_model_props(model, {FACTS: json.dumps(facts)})
    content: bytes = model.SerializeToString()
    return hashlib.sha256(content).digest() + content


def _unpacked(data: bytes) -> Compiled:
    stated, content = data[:32], memoryview(data)[32:]
    if hashlib.sha256(content).digest() != stated:
        raise ValueError("damaged")
    model = onnx.ModelProto.FromString(content)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    facts: dict[str, Any] = json.loads({entry.key: entry.value for entry in model.metadata_props}[FACTS])
    del model.graph.initializer[:], model.metadata_props[:]
    return Compiled(model, constants, **{**facts, "shape": tuple(facts["shape"])})
