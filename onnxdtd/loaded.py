"""A model in memory, in canonical form, and what all its explainers share: its sessions and derived weights.

Where branches of the model are open, each way that inputs take through them is a loaded model of its own.
"""

from __future__ import annotations

import copy
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from onnxdtd.compiled.trace import LOWEST_OPSET
from onnxdtd.compiled.upgrade import upgrade
from onnxdtd.errors import UsageError
from onnxdtd.inputs import (
    Fixed,
    Preparation,
    Reader,
    features,
    fix,
    labels,
    metadata_fields,
    takes_one_picture,
)
from onnxdtd.model.bounded import refuse_large
from onnxdtd.model.canonise import canonise, take
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.ending import UNTOLD, endings
from onnxdtd.model.graph import Graph
from onnxdtd.model.unbatched import is_unbatched, with_batch_axis
from onnxdtd.model.units import units
from onnxdtd.plan.forests import read_by_trees
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.target import Target, parse_target
from onnxdtd.plan.target_text import Names, read_target
from onnxdtd.settings import Model, check_steps, graph_of, masked
from onnxdtd.types import Arrays
from onnxdtd.version import __version__
from onnxdtd.walk.branches import conditions_at
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
MOST_WAYS = 16
"""Ways through the open branches of one level that are kept for further inputs."""


def loaded(
    model: Model | Loaded,
    fixed: Fixed = None,
    max_steps: int | None = None,
    mask: Sequence[str] | str | None = None,
) -> Loaded:
    """The model read, or what is read already with these settings. Raises ModelError, UsageError."""
    check_steps(max_steps)
    if isinstance(model, Loaded):
        return model.fixing(fixed).limiting(max_steps).masking(mask)
    return Loaded(model, fixed, max_steps).masking(mask)


class Loaded:
    """A model, read once.

    graph: in canonical form. path: of its file, if it is one. facts: what results say of it. labels, features:
    names of its classes and of a table's columns, if the metadata or the user have them. reader: of its tokens, if
    the user has one. endings: what makes each output probabilities. first_input: compares the outputs with the
    file's. fixed: inputs that are constants, see `inputs.fix`. rescales: whether its first steps change units.
    max_steps: of a loop, see `model.guard`. A copy, or what is unpickled, has the model and starts sessions of its
    own. Raises ModelError, UsageError.
    """

    def __init__(self, model: Model, fixed: Fixed = None, max_steps: int | None = None) -> None:
        graph, arrays = fix(graph_of(model), fixed)
        graph = graph if max_steps is None else replace(graph, max_steps=max_steps)
        self.first_input = FirstInput(None if isinstance(model, Graph) else model, arrays)
        self.endings = endings(graph)
        self.rescales = bool(units(constants(graph)))
        self._as_read = graph if is_unbatched(graph) or takes_one_picture(graph) else None
        self._become(canonise(graph))
        self.path = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
        self.facts: dict[str, Any] = {
            "name": self.graph.name,
            "path": self.path,
            "sha256": self.graph.sha256,
            "opset": dict(self.graph.opsets),
        }
        self.labels = labels(self.graph.metadata)
        self.features = features(self.graph.metadata)
        self.reader: Reader | None = None

    def _become(self, graph: Graph) -> None:
        self.graph = refuse_large(graph)
        self._newer: dict[int, Graph] = {}
        self._forwards: dict[Any, Forward] = {}
        self._derived: dict[Any, dict[Any, Any]] = {}
        self._ways: dict[tuple[tuple[str, bool | None], ...], Loaded] = {}
        self._batched: Loaded | None = None

    def limiting(self, max_steps: int | None) -> Loaded:
        """The model whose loops end after so many steps; itself, if that is its limit already."""
        if max_steps in (None, self.graph.max_steps):
            return self
        other = copy.copy(self)
        other._become(replace(self.graph, max_steps=max_steps))
        return other

    def fixing(self, fixed: Fixed) -> Loaded:
        """The model with these inputs as constants; itself, if there are none. Raises UsageError."""
        graph, arrays = fix(self.graph, fixed)
        if not arrays:
            return self
        other = copy.copy(self)
        other.first_input = self.first_input.fixing(arrays)
        other._as_read = self._as_read and fix(self._as_read, arrays)[0]
        other._become(canonise(graph))
        return other

    def batched(self) -> Loaded:
        """The model with a batch axis, of length 1, before the axes of each input; itself, where it has one."""
        return self._with_batch_axis() if self._as_read and is_unbatched(self._as_read) else self

    def preparing(self, asked: Preparation | None) -> Loaded:
        """The same, where pictures are prepared, as asked or as the metadata say: (1, 28, 28) is one of them, too."""
        prepared = asked is not None or metadata_fields(self.graph.metadata) is not None
        return self._with_batch_axis() if prepared else self

    def _with_batch_axis(self) -> Loaded:
        if self._batched is None and self._as_read is not None:
            graph, names = with_batch_axis(replace(self._as_read, max_steps=self.graph.max_steps))
            other = self._batched = copy.copy(self)
            other._as_read = None
            other.first_input = self.first_input.batched(names)
            other._become(replace(canonise(graph), masks=self.graph.masks, background=self.graph.background))
        return self._batched or self

    def masking(self, masks: Sequence[str] | str | None) -> Loaded:
        """The model whose masks are these inputs, and no others; itself, where nothing is said. Raises UsageError."""
        if masks is None:
            return self
        other = copy.copy(self)
        other._become(masked(self.graph, masks))
        return other

    def counting(self, background: Arrays, providers: Sequence[str]) -> Loaded:
        """The model with its trees counted by rows of data. Raises UsageError where there are none."""
        names = read_by_trees(self.graph)
        if not names:
            raise UsageError(
                "background counts rows in tree ensembles (TreeEnsemble of ai.onnx.ml), and the model has none"
            )
        values = self.forward(names, providers)(background)
        other = copy.copy(self)
        other._become(self.graph.replace(background={name: values[name] for name in names}))
        return other

    def at(self, feeds: Arrays, providers: Sequence[str]) -> Loaded:
        """The model with the branches written out that it takes at this input; itself, where none is open.

        Each way is made ready once; later inputs that take it only have their conditions read. Those of nested
        branches are known one level at a time. Raises InputError for a condition that is not one boolean.
        """
        loaded = self
        while names := loaded.graph.open_conditions:
            conditions = conditions_at(loaded.graph, loaded.forward(names, providers), feeds)
            way = tuple(conditions.items())
            if way not in loaded._ways:
                for earliest in list(loaded._ways)[: 1 - MOST_WAYS]:
                    del loaded._ways[earliest]
                loaded._ways[way] = loaded._taking(conditions)
            if loaded._ways[way] is loaded:  # what is left, no rule serves
                break
            loaded = loaded._ways[way]
        return loaded

    def _taking(self, conditions: Mapping[str, bool | None]) -> Loaded:
        """A loaded model of its own, whose outputs are compared with the file's anew."""
        written = take(self.graph, conditions)
        if written is self.graph:
            return self
        other = copy.copy(self)
        other.first_input = self.first_input.taking(conditions)
        now = endings(written)
        other.endings = {name: now[name] if how == UNTOLD else how for name, how in self.endings.items()}
        other._become(canonise(written))
        return other

    def named(self, labels: tuple[str, ...] | None, features: tuple[str, ...] | None) -> Loaded:
        """The same model, its classes and columns by these names; itself, where there are none."""
        if labels is None and features is None:
            return self
        other = copy.copy(self)
        other._batched = None
        other.labels = self.labels if labels is None else labels
        other.features = self.features if features is None else features
        return other

    def reading(self, reader: Reader | None) -> Loaded:
        """The same model, its tokens read and written by this tokenizer; itself, where there is none."""
        if reader is None:
            return self
        other = copy.copy(self)
        other._batched, other.reader = None, reader
        return other

    def question(self, target: Any) -> Target:
        """What a target means for this model: a text is read with the names of its outputs and classes."""
        if isinstance(target, str):
            return read_target(target, Names(self.graph.outputs, self.labels or ()))
        return parse_target(target)

    def newer(self, opset: int = LOWEST_OPSET) -> Graph:
        """The graph in that opset at least; the same one, where its own is as new. UnsupportedError."""
        if opset not in self._newer:
            self._newer[opset] = upgrade(self.graph, opset)
        return self._newer[opset]

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
