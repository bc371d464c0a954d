"""A compiled walk and its sessions, each started when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from onnxdtd.compiled.stacked import Stacked
from onnxdtd.compiled.trace import Compiled
from onnxdtd.errors import ModelError, UnsupportedError
from onnxdtd.types import Arrays
from onnxdtd.walk.chunks import Chunks, batch_names, separable, side_by_side
from onnxdtd.walk.forks import Lock, renew
from onnxdtd.walk.forward import LARGE, give_back, start_session
from onnxdtd.walk.session import run_session

SMALL = 4_000_000  # multiplications in the forward pass of a sample


class Ready:
    """A compiled walk and its sessions. names: of their outputs; the explained value is among them. work: the
    multiplications of a sample's forward pass; of few, other threads take longer to wake than it takes. anew:
    compiles the walk, where what the disk kept cannot be started. packs: see `start_session`."""

    def __init__(
        self,
        compiled: Compiled,
        providers: Sequence[str],
        work: int = SMALL,
        anew: Callable[[], Compiled] | None = None,
        packs: bool = False,
    ) -> None:
        self.compiled, self.small, self._work = compiled, work < SMALL, work
        self._anew, self._packs = anew, packs
        self._providers, self._starting = providers, Lock()
        renew(self)

    def after_fork(self) -> None:
        """Without sessions of the parent's."""
        for name in ("session", "alone", "_many", "_lone"):
            vars(self).pop(name, None)

    @property
    def names(self) -> list[str]:
        """Of the sessions' outputs."""
        outputs = (output.name for output in self.compiled.model.graph.output)
        return list(dict.fromkeys([*outputs, self.compiled.logits]))

    def run(self, feeds: Arrays) -> dict[str, Any]:
        """The outputs by name, of many samples in chunks where they stand apart."""
        # One target may serve all samples.
        split = {name for name in self._split & feeds.keys() if len(feeds[name]) > 1}
        made = None
        if self._chunks:
            made = self._chunks(feeds, split, self._ran, self._pair, side_by_side, lambda values: values)
        return self._ran(feeds, 0) if made is None else made

    def run_each(self, feeds: Arrays, name: str, targets: Sequence[npt.NDArray[Any]]) -> list[dict[str, Any]]:
        """The outputs for each of several targets, which are fed to the input of that name."""
        if len(targets) > 1 and self._stacked and all(len(feeds[n]) == 1 for n in self._split & feeds.keys()):
            made = self._stacked(feeds, name, np.concatenate(targets))
            if made is not None:
                return made
        return [self.run({**feeds, name: target}) for target in targets]

    def _ran(self, feeds: Arrays, threads: int) -> dict[str, Any]:
        with self._starting:  # a session once, whoever asks first
            session = self._beside(feeds) if threads else self.session_for(feeds)
        return run_session(session, self.names, feeds)

    def _pair(self, feeds: Arrays, once: bool) -> dict[str, Any]:
        """Two samples; once: nobody will ask for several at a time again."""
        made = self._ran(feeds, 1)
        if once and self._light and not self.small:
            made = {
                name: np.array(value) for name, value in made.items()
            }  # which lie in the session's memory
            vars(self).pop("_many", None)
            give_back()
        return made

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
        here = not self._providers or self._providers[0] == "CPUExecutionProvider"
        return Chunks(self._work) if here and self._separable else None

    @cached_property
    def _stacked(self) -> Stacked | None:
        """Of one sample with several targets."""
        asks = self.compiled.target_input in self._split
        return Stacked(partial(self._ran, threads=0)) if asks and self._separable else None

    @cached_property
    def _separable(self) -> bool:
        graph = self.compiled.model.graph
        inner = any(a.HasField("g") or len(a.graphs) for node in graph.node for a in node.attribute)
        outputs = {output.name: _named(output) for output in graph.output} | {
            self.compiled.logits: self.compiled.shape
        }
        return separable(inner, self._batch, outputs.values())

    def _start(self, **options: Any) -> ort.InferenceSession:
        try:
            return start_session(
                self._model(), self.compiled.constants, self._providers, packs=self._packs, **options
            )
        except ModelError as error:
            if self._anew is not None:
                self.compiled, self._anew = self._anew(), None
                return self._start(**options)
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
        return batch_names(map(_named, graph.input), map(_named, graph.output))

    @property
    def nbytes(self) -> int:
        """The size of its weights."""
        return sum(array.nbytes for array in self.compiled.constants.values())


def _named(value: onnx.ValueInfoProto) -> list[str]:
    """The names of its sizes, "" of those that have none."""
    return [size.dim_param for size in value.type.tensor_type.shape.dim]


def _single(feeds: Arrays) -> bool:
    return all(array.shape[:1] in ((), (1,)) for array in feeds.values())
