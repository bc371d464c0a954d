"""The forward pass: onnxruntime with every value that the walk needs as an output."""

from __future__ import annotations

import copy
import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper

from onnxdtd.errors import InputError, ModelError, ProviderError
from onnxdtd.model.graph import Graph
from onnxdtd.model.guard import guard
from onnxdtd.model.loops import recording
from onnxdtd.registry import OPS
from onnxdtd.types import Arrays
from onnxdtd.walk.forks import Lock, renew, survive
from onnxdtd.walk.references import refer
from onnxdtd.walk.session import ON_INPUT, fails_anyway, first_line, names_a_node, run, run_session

LARGE = 1 << 26
"""Bytes of constants from which memory is worth a twentieth of the time."""
SOME = 1 << 22
"""Bytes of constants whose preparation leaves memory that is worth giving back."""
THREADS = "ONNXDTD_THREADS"
"""The environment variable that says how many threads a session takes, where several processes share the cores."""
RUNTIME_VERSION: str = ort.__version__


def providers_for(providers: Sequence[str] | str | None) -> list[str]:
    """onnxruntime's provider names from short ones (`cpu`, `cuda`) or full ones; CPU by default.

    Raises ProviderError, naming what is installed, for one that is not.
    """
    installed = ort.get_available_providers()
    short = {name.removesuffix("ExecutionProvider").lower(): name for name in installed}
    names = [providers] if isinstance(providers, str) else list(providers or ["cpu"])
    chosen = [short.get(name.lower(), name) for name in names]
    missing = [name for name in chosen if name not in installed]
    if missing:
        raise ProviderError(
            f"provider {', '.join(missing)} is not installed; here are {', '.join(sorted(short))} "
            "(CUDA comes with: pip install onnxruntime-gpu)"
        )
    return chosen


def session_options(optimise: bool = True, model: onnx.ModelProto | None = None) -> ort.SessionOptions:
    """Options with which a quantised model computes what its file says.

    onnxruntime would round folded weights between a dequantise and a quantise again, with one scale for a whole
    tensor, and its convolutions in blocks of channels add up in another order, which moves values across the edge of
    a step.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what fails is raised, with onnxruntime's first line
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    elif model is not None and any(rounds(node.domain, node.op_type) for node in model.graph.node):
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return options


def rounds(domain: str, op: str) -> bool:
    """Whether the operator steps between floats and integers."""
    entry = OPS.get((domain, op))
    return entry is not None and entry.rounds


def is_quantised(graph: Graph) -> bool:
    """Whether the graph rounds to integers."""
    return any(rounds(node.domain, node.op) for node in graph.nodes)


def start_session(
    model: onnx.ModelProto,
    constants: Arrays,
    providers: Sequence[str],
    optimise: bool = True,
    spin: bool = True,
    threads: int = 0,
    sizes: Mapping[str, int] | None = None,
    packs: bool = False,
    arena: bool = True,
) -> ort.InferenceSession:
    """A session on `model`, whose initializers are `constants` (added here, large ones by reference).

    spin: onnxruntime's idle threads wait busily for its next node, which takes cores from NumPy afterwards.
    threads: 0 for as many as `THREADS` says, else one per core. sizes: of symbolic dimensions, where they are known.
    packs: weights of matrix products are held a second time, in the order in which they are multiplied. arena: the
    session keeps what memory it ever had, for its next run; else activations that a walk has passed make room for it.

    Large constants are read where they lie, so they stand in memory once. Raises ModelError where onnxruntime
    refuses.
    """
    options = session_options(optimise, model)
    options.enable_mem_pattern = (
        False  # a second run would hold one large block beside the pieces of the first
    )
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.disable_prepacking", str(int(not packs)))
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads or int(os.environ.get(THREADS, 0))
    for symbol, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(symbol, size)
    weights = refer(model, constants, options)
    try:
        session = survive(ort.InferenceSession(model.SerializeToString(), options, providers=list(providers)))
    except Exception as error:
        # onnxruntime's exceptions have no common base of their own.
        raise ModelError(f"onnxruntime cannot load the model: {first_line(error)}") from None
    session.weights = weights  # it reads them as long as it lives
    if sum(array.nbytes for array in constants.values()) >= SOME:
        give_back()
    return session


def give_back() -> None:
    """Return to the system what preparing the weights has freed: as much as they take, and glibc keeps it."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


_starting = Lock()


class Forward:
    """The model with chosen values as outputs, ready to run. A copy, what is unpickled, and a forked process start a
    session of their own when they run."""

    def __init__(
        self, graph: Graph, values: Sequence[str], providers: Sequence[str], optimise: bool = True
    ) -> None:
        names, graph = frozenset(values), recording(graph, values)
        self._inputs = [name for name in graph.inputs if name in names]
        computed = {v for node in graph.nodes for v in node.outputs}
        self._providers, self._optimise, self._threads = providers, optimise, 0
        self._twin: Forward | None = None
        self._outputs = [name for name in dict.fromkeys(values) if name in computed]
        self._stored = {name: graph.constants[name] for name in names if name in graph.constants}
        # onnxruntime computes what stands in the file, needed or not.
        self._graph = graph.replace(outputs=tuple(self._outputs), targets={}, conditions={})
        self._session: ort.InferenceSession | None = None
        if self._outputs:
            self._session = self._start()

    def _start(self) -> ort.InferenceSession:
        renew(self)
        # The session reads the large ones where they lie.
        self._constants = {k: np.asarray(v, order="C") for k, v in self._graph.constants.items()}
        bare = self._graph.to_proto(self._outputs, constants=False)
        guard(bare.graph, self._constants, self._graph.max_steps)
        return start_session(
            bare,
            self._constants,
            self._providers,
            self._optimise,
            spin=False,
            threads=self._threads,
            arena=False,
        )

    @property
    def beside(self) -> Forward:
        """The same with a session of one thread, for passes side by side."""
        with _starting:
            if self._twin is None:
                self._twin = copy.copy(self)
                self._twin._threads = 1
        return self._twin

    def after_fork(self) -> None:
        """Without sessions of the parent's."""
        self._session = self._twin = None

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: part for name, part in vars(self).items() if name != "_constants"}
        return {**kept, "_session": None, "_twin": None}

    def __call__(self, feeds: Arrays, only: Sequence[str] | None = None) -> dict[str, npt.NDArray[Any]]:
        """The chosen values by name, float16 and bfloat16 as they are. only: no other is kept while it runs."""
        outputs = self._outputs if only is None else [name for name in self._outputs if name in only]
        values = self._run(feeds, outputs) if outputs else {}
        return values | self._stored | {name: feeds[name] for name in self._inputs}

    def _run(self, feeds: Arrays, outputs: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        try:
            return run_session(self._started(), outputs, feeds)
        except InputError as error:
            message = str(error)
            if self._optimise and not names_a_node(
                self._graph, message
            ):  # onnxruntime has rewritten what failed
                message = self._as_it_stands(feeds, outputs) or message
            if fails_anyway(self._graph, feeds, message):
                raise ModelError(message.replace(ON_INPUT, "on any input")) from None
            raise InputError(message) from None

    def _started(self) -> ort.InferenceSession:
        session = self._session
        if session is None:
            with _starting:
                session = self._session = self._session or self._start()
        return session

    def _as_it_stands(self, feeds: Arrays, outputs: Sequence[str]) -> str:
        """Why the model fails where onnxruntime leaves its nodes as they are; "" where it does not."""
        bare = self._graph.to_proto(self._outputs, constants=False)
        try:
            run_session(
                start_session(bare, self._constants, self._providers, False, spin=False), outputs, feeds
            )
        except (InputError, ModelError) as error:
            return str(error)
        return ""


def run_alone(node: onnx.NodeProto, opsets: Mapping[str, int], inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
    """One node by onnxruntime's CPU provider, outside of its model. Raises ModelError where that is not to be had."""
    if any(a.name == "past_present_share_buffer" and a.i for a in node.attribute):
        raise ModelError("it writes into the buffer that it reads")
    imports = [
        helper.make_opsetid(d, v) for d, v in {**opsets, node.domain: opsets.get(node.domain, 1)}.items()
    ]
    ins = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in inputs.items()
    ]
    names = [name for name in node.output if name]
    graph = helper.make_graph([node], "alone", ins, [onnx.ValueInfoProto(name=name) for name in names])
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    session = start_session(model, {}, ["CPUExecutionProvider"], optimise=False)
    try:
        return dict(zip(names, run(session, names, inputs), strict=True))
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ModelError(first_line(error)) from None
