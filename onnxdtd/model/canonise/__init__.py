"""Canonical form: the same function with constants folded, no-ops gone and each affine map in one node.

A pass is a file here: a pure function Graph -> Graph whose docstring opens with the algebra, and which notes
what it did. Read `draft` (how a pass edits), `affine` (the algebra of the folds), then the passes in their
order: constants, identity, split, bias, batch_normalization, head.
"""

from __future__ import annotations

from collections.abc import Callable

from onnxdtd.model.canonise.batch_normalization import batch_normalization
from onnxdtd.model.canonise.bias import bias
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.head import head
from onnxdtd.model.canonise.identity import identity
from onnxdtd.model.canonise.split import split
from onnxdtd.model.graph import Graph

PASSES: tuple[Callable[[Graph], Graph], ...] = (constants, identity, split, bias, batch_normalization, head)


def canonise(graph: Graph, check: Callable[[Graph, Graph], None] | None = None) -> Graph:
    """Run all passes. `check(before, after)` is called after each that changed something; it raises if the
    two graphs do not compute the same outputs.
    """
    for run in PASSES:
        after = run(graph)
        if check is not None and after is not graph:
            check(graph, after)
        graph = after
    return graph
