"""Wall time: of the forward pass, and of each method as a multiple of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from onnxdtd.model.graph import Graph
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import start_session
from onnxdtd.walk.session import run_session

T = TypeVar("T")

FORWARDS = 15
PATIENCE = 3.0
"""Seconds: a method whose first call takes longer is not called again."""


@dataclass(frozen=True)
class Timing:
    """seconds: the median. repeats: how many timed calls; a slow method's one call made its sessions as well."""

    seconds: float
    repeats: int


def forward_pass(graph: Graph, feeds: Arrays, providers: list[str]) -> Callable[[], Any]:
    """A call that runs the model alone: all outputs, onnxruntime's defaults."""
    outputs = [name for name in graph.outputs if name in graph.producers]
    if not outputs:  # inputs and constants alone
        return lambda: {}
    constants = dict(graph.constants)
    session = start_session(graph.to_proto(outputs, constants=False), constants, providers)
    return lambda: run_session(session, outputs, feeds)


def forward_timing(graph: Graph, feeds: Arrays, providers: list[str]) -> Timing:
    """The model's own forward pass, warm."""
    return timed(forward_pass(graph, feeds, providers), FORWARDS)[1]


def timed(call: Callable[[], T], repeats: int) -> tuple[T, Timing]:
    """The first answer, which makes the sessions, and the median of the calls behind it."""
    answer, first = _once(call)
    if first > PATIENCE or repeats < 1:
        return answer, Timing(first, 1)
    times: list[float] = []
    while len(times) < repeats and (not times or sum(times) < PATIENCE):
        times.append(_once(call)[1])
    return answer, Timing(statistics.median(times), len(times))


def _once(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - began
