"""Is what we explain the file's own function? The original is run by onnxruntime on the first input."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import ModelProto

from onnxdtd.disk import read_bytes
from onnxdtd.errors import CheckError, TimeLimitError
from onnxdtd.inputs import fix
from onnxdtd.model.canonise import canonise, retyped, take
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.model.unbatched import with_batch_axis
from onnxdtd.types import Arrays
from onnxdtd.walk.forks import survive
from onnxdtd.walk.forward import is_quantised, session_options
from onnxdtd.walk.session import first_line, run
from onnxdtd.walk.verify import check_same, check_written_out

LARGEST_MODEL = 1 << 31
"""Bytes of a file without the weights that lie beside it: no protobuf is larger."""
LARGE = 1 << 28
"""Bytes of weights from which a second copy in memory is too dear to be made unasked."""
FEW = 2
"""Samples of a batch that are compared."""
TOLERANCE, COARSE_TOLERANCE = 1e-3, 5e-2
NOTHING: Arrays = MappingProxyType({})
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


Source = str | os.PathLike[str] | bytes | ModelProto


def compare_with_file(
    source: Source, graph: Graph, feeds: Arrays, outputs: Arrays, always: bool = False
) -> str:
    """Raise CheckError where an output is not that of the file by more than 1e-3 of its largest value: 5e-2 in half
    precision, and of a quantised model, where the order of a sum may move a value by a step. The result is a note
    that says why nothing could be compared, "" where it was.

    always: models with 256 MB of weights and more, too.
    """
    if not always and sum(array.nbytes for array in graph.constants.values()) >= LARGE:
        return (
            "outputs not compared with the file's, which would take a second copy of its weights; verify does"
        )
    try:
        run = _Original(source)
        if _few_are_alike(run, feeds, outputs):
            return ""
        expected = run(feeds)
    except TimeLimitError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base
        return (
            f"outputs not compared with the file's: onnxruntime does not run it as it is: {first_line(error)}"
        )
    coarse = run.halves or is_quantised(graph)
    for name, array in expected.items():
        off = _difference(array, outputs[name]) if name in outputs else 0.0
        if off <= (COARSE_TOLERANCE if coarse else TOLERANCE):
            continue
        if _difference(array, run(feeds)[name]):
            return f"outputs not compared with the file's: '{name}' is random"
        if coarse and _overflows(source, feeds, name, outputs[name]):
            return (
                f"output '{name}' is explained as the file says; onnxruntime's own run of it on this processor is "
                f"{off:.2g} of the largest value off, since its products of uint8 and int8 overflow in 16 bits"
            )
        if _rounds(source, feeds, name, outputs[name]):
            return (
                f"output '{name}' is explained with products in floats; onnxruntime's own run is {off:.2g} of the "
                "largest value off, since it rounds what such a product reads to 8 bits"
            )
        raise CheckError(
            f"output '{name}' is not what onnxruntime computes for the file: it differs by {off:.2g} of its "
            "largest value, so the model was changed while it was read; please report this"
        )
    return ""


def _few_are_alike(run: Callable[[Arrays], Arrays], feeds: Arrays, outputs: Arrays) -> bool:
    """Whether the first samples, run without the others, come out the same: then a large batch need not be held by
    onnxruntime as a whole. False where they do not, for whatever reason."""
    counts = {array.shape[:1] for array in (*feeds.values(), *outputs.values())}
    if len(counts) != 1 or () in counts or counts.pop()[0] <= FEW:
        return False
    try:
        expected = run({name: array[:FEW] for name, array in feeds.items()})
    except Exception:  # onnxruntime's exceptions have no common base; the batch may be fixed
        return False
    return bool(expected) and all(
        name in outputs and _difference(array, outputs[name][:FEW]) <= TOLERANCE
        for name, array in expected.items()
    )


def _overflows(source: Source, feeds: Arrays, name: str, array: npt.NDArray[Any]) -> bool:
    """Whether the output is that of the file where onnxruntime multiplies bytes without overflow."""
    try:
        return _difference(_Original(source, wide=True)(feeds)[name], array) <= COARSE_TOLERANCE
    except Exception:  # onnxruntime has no such kernel for every pair of types
        return False


def _rounds(source: Source, feeds: Arrays, name: str, array: npt.NDArray[Any]) -> bool:
    """Whether the output is that of the file where nothing is rounded that products with weights in few bits read."""
    model = ModelProto()
    if isinstance(source, ModelProto):
        model.CopyFrom(source)
    else:
        model.ParseFromString(source if isinstance(source, bytes) else read_bytes(source, LARGEST_MODEL))
    stated = [a for node in model.graph.node for a in node.attribute]
    levels = [a for a in stated if a.name == "accuracy_level" and a.i > 1]
    for level in levels:
        level.i = 1
    if not levels and not any(a.name == "expert_weight_bits" for a in stated):
        return False
    folder = os.path.dirname(os.path.abspath(source)) if isinstance(source, str | os.PathLike) else ""
    exact = _Original(model, folder=folder, packs=False)
    return _difference(exact(feeds)[name], array) <= TOLERANCE


class FirstInput:
    """The check of a model's first input, once for all its explainers. source: None where there is no file. fixed:
    inputs of the file that the model has as constants. ways: the conditions under which branches were written out,
    level by level. given: the inputs and outputs that have a batch axis which they lack in the file.

    note: why nothing could be compared, "" where it was.
    """

    def __init__(
        self, source: Source | None, fixed: Arrays = NOTHING, ways: Sequence[Mapping[str, bool | None]] = (),
        given: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self._source, self._thorough = source, False
        self.fixed, self._ways, self._given = fixed, tuple(ways), given
        self._compared = source is None
        self.note = self._alone = ""

    def fixing(self, arrays: Arrays) -> FirstInput:
        """The check of the first input of the model with these inputs as constants, too."""
        fixed = {**self.fixed, **self._as_in_file(arrays)}
        return FirstInput(self._source, fixed, self._ways, self._given)

    def taking(self, conditions: Mapping[str, bool | None]) -> FirstInput:
        """The check of the first input that takes these branches as well."""
        return FirstInput(self._source, self.fixed, (*self._ways, conditions), self._given)

    def batched(self, given: frozenset[str]) -> FirstInput:
        """The check of the first input of the model whose inputs and outputs have got a batch axis."""
        return FirstInput(self._source, self.fixed, self._ways, given)

    def __call__(self, graph: Graph, feeds: Arrays, outputs: Arrays, thorough: bool) -> None:
        """Raise CheckError where outputs differ. thorough: after every canonisation pass too, of any size, and
        each operator that was written out."""
        if thorough > self._thorough and self._source is not None:
            self._compared = False
            check = partial(check_same, feeds=feeds)
            graph_as_read, _ = fix(load(self._source), self.fixed)
            self._alone = check_written_out(retyped(graph_as_read), self._as_in_file(feeds))
            graph_as_read = with_batch_axis(graph_as_read)[0] if self._given else graph_as_read
            level = canonise(replace(graph_as_read, max_steps=graph.max_steps), check)
            for conditions in self._ways:
                written = take(level, conditions)
                check(level, written)
                level = canonise(written, check)
            self._thorough = True
        if not self._compared and self._source is not None:
            own = {**self._as_in_file(feeds), **self.fixed}
            note = compare_with_file(self._source, graph, own, self._as_in_file(outputs), thorough)
            self._compared = True
            self.note = "; ".join(filter(None, (note, self._alone)))

    def _as_in_file(self, arrays: Arrays) -> Arrays:
        return {name: array[0] if name in self._given else array for name, array in arrays.items()}


class _Original:
    """The file as it is, without onnxruntime's own fusions. halves: whether it takes or makes float16. wide: products
    of uint8 and int8 do not overflow, as they do on processors that have no dot product of bytes. folder: where the
    weights lie of a model that is no file itself. packs: weights in few bits may be laid out for products that round
    what they read."""

    def __init__(self, source: Source, wide: bool = False, folder: str = "", packs: bool = True) -> None:
        options = session_options(optimise=wide)
        options.log_severity_level = 4
        if wide:
            options.add_session_config_entry("session.x64quantprecision", "1")
        if not packs:
            options.add_session_config_entry("session.disable_prepacking", "1")
        if folder:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        model: Any = source.SerializeToString() if isinstance(source, ModelProto) else source
        model = model if isinstance(model, bytes) else os.fspath(model)
        self._session = survive(ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
        self._inputs = {value.name: value.type for value in self._session.get_inputs()}
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        self.halves = any("float16" in value.type for value in ends)

    def __call__(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """The floating-point outputs by name."""
        cast = {
            name: feeds[name].astype(_TYPES.get(kind, feeds[name].dtype), copy=False)
            for name, kind in self._inputs.items()
            if name in feeds
        }
        names = [value.name for value in self._session.get_outputs() if value.type in _TYPES]
        return dict(zip(names, run(self._session, names, cast), strict=True)) if names else {}


def _difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """The largest difference, in parts of the largest value; what is not finite must be alike."""
    if one.shape != other.shape:
        return np.inf
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite].astype(one.dtype), equal_nan=True):
        return np.inf
    scale = float(np.abs(one[finite]).max(initial=0.0)) or 1.0
    return float(np.abs(one[finite] - other[finite]).max(initial=0.0)) / scale
