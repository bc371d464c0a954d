"""A model in memory, in canonical form, and what all its explainers share: its sessions and derived weights."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from onnxdtd.compiled.upgrade import upgrade
from onnxdtd.inputs import labels
from onnxdtd.model.canonise import canonise
from onnxdtd.model.ending import ending
from onnxdtd.model.graph import Graph
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.target import Target, parse_target
from onnxdtd.plan.target_text import Names, read_target
from onnxdtd.settings import Model, graph_of
from onnxdtd.version import __version__
from onnxdtd.walk.forward import RUNTIME_VERSION, Forward
from onnxdtd.walk.original import FirstInput

VERSIONS = {
    "onnxdtd": __version__,
    "python": platform.python_version(),
    "onnx": onnx.__version__,
    "onnxruntime": RUNTIME_VERSION,
    "numpy": np.__version__,
}
"""What results are made with."""


class Loaded:
    """A model, read once.

    graph: in canonical form. path: of its file, if it is one. facts: what results say of it. labels: the names of its
    classes, if its metadata have them. endings: what makes each output probabilities. first_input: compares the
    outputs with the file's. A copy, or what is unpickled, has the model and starts sessions of its own. Raises
    ModelError.
    """

    def __init__(self, model: Model) -> None:
        graph = graph_of(model)
        self.first_input = FirstInput(None if isinstance(model, Graph) else model)
        self.graph: Graph = canonise(graph)
        self.endings = {output: ending(graph, output) for output in graph.outputs}
        self.path = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
        self.facts: dict[str, Any] = {
            "name": self.graph.name,
            "path": self.path,
            "sha256": self.graph.sha256,
            "opset": dict(self.graph.opsets),
        }
        self.labels = labels(self.graph.metadata)
        self._newer: Graph | None = None
        self._forwards: dict[Any, Forward] = {}
        self._derived: dict[Any, dict[Any, Any]] = {}

    def question(self, target: Any) -> Target:
        """What a target means for this model: a text is read with the names of its outputs and classes."""
        if isinstance(target, str):
            return read_target(target, Names(self.graph.outputs, self.labels or ()))
        return parse_target(target)

    @property
    def newer(self) -> Graph:
        """The graph in an opset that a walk can be compiled in; the same one, where its own is. UnsupportedError."""
        if self._newer is None:
            self._newer = upgrade(self.graph)
        return self._newer

    def forward(self, values: Sequence[str], providers: Sequence[str]) -> Forward:
        """The forward pass that gives these values: one session for all who ask for the same ones."""
        key = (frozenset(values), *providers)
        if key not in self._forwards:
            self._forwards[key] = Forward(self.graph, values, providers)
        return self._forwards[key]

    def derived(self, plan: Plan) -> dict[Any, Any]:
        """Where derived weights are kept for all plans whose relevance takes the same slots of the same nodes."""
        return self._derived.setdefault(tuple((s.node.name, s.slots) for s in plan.steps), {})

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_forwards": {}, "_derived": {}}
