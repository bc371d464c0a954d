"""Canonical form: the same function with constants folded, no-ops gone and each affine map in one node.

A pass is a file here: a pure function Graph -> Graph whose docstring opens with the algebra, and which notes
what it did. Read `draft` (how a pass edits), `affine` (the algebra of the folds), then the passes in the order of
`PASSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxdtd.model.canonise import branch as branches
from onnxdtd.model.canonise.batch_first import batch_first
from onnxdtd.model.canonise.batch_normalization import batch_normalization
from onnxdtd.model.canonise.bias import bias
from onnxdtd.model.canonise.branch import branch
from onnxdtd.model.canonise.concat import concat
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.group_normalization import group_normalization
from onnxdtd.model.canonise.head import head
from onnxdtd.model.canonise.identity import identity
from onnxdtd.model.canonise.inner_head import inner_head
from onnxdtd.model.canonise.loops import loops as _loops
from onnxdtd.model.canonise.loops import take_inside
from onnxdtd.model.canonise.ml import ml
from onnxdtd.model.canonise.padding import padding
from onnxdtd.model.canonise.precision import precision
from onnxdtd.model.canonise.products import products
from onnxdtd.model.canonise.quantised import quantised
from onnxdtd.model.canonise.scalars import scalars
from onnxdtd.model.canonise.scan_axes import scan_axes
from onnxdtd.model.canonise.selected import selected
from onnxdtd.model.canonise.shapes import shapes
from onnxdtd.model.canonise.sigmoid import sigmoid
from onnxdtd.model.canonise.single import single
from onnxdtd.model.canonise.softmax import softmax
from onnxdtd.model.canonise.split import split
from onnxdtd.model.canonise.stamp import stamp
from onnxdtd.model.canonise.states import states
from onnxdtd.model.canonise.token_inputs import token_inputs
from onnxdtd.model.canonise.unroll import unroll
from onnxdtd.model.canonise.weighted_sum import weighted_sum
from onnxdtd.model.canonise.written_out import written_out
from onnxdtd.model.canonise.zipmap import zipmap
from onnxdtd.model.graph import Graph

RETYPING = (stamp, zipmap, precision, token_inputs, batch_first)
"""What changes the types of inputs or outputs, or whether a runtime loads the model: there is nothing to compare."""


def _body(graph: Graph) -> Graph:
    """The canonical form of a loop's body."""
    for run in INNER:
        graph = run(graph)
    return graph


def loops(graph: Graph) -> Graph:
    """Scan(f; x, c) = Scan(f'; x, c, w), f' in canonical form; see `canonise.loops`."""
    after = _loops(graph, _body)
    return after if after is graph else shapes(after)


def take(graph: Graph, conditions: Mapping[str, bool | None]) -> Graph:
    """If(c, f, g)(x) = f(x) around an x where c(x) holds, here and inside of loops; see `branch`, `loops`."""
    return take_inside(branches.take(graph, conditions), conditions, _body)


INNER: tuple[Callable[[Graph], Graph], ...] = (
    group_normalization,
    constants,
    branch,
    shapes,
    scan_axes,
    loops,
    unroll,
    scalars,
    quantised,
    ml,
    single,
    identity,
    split,
    sigmoid,
    written_out,
    softmax,
    weighted_sum,
    bias,
    padding,
    concat,
    batch_normalization,
    padding,  # again: in front of what no step stands between any more
    states,
    products,
)
"""What makes one form of many, wherever the nodes stand."""
PASSES: tuple[Callable[[Graph], Graph], ...] = (*RETYPING, *INNER, head, inner_head, selected)


def retyped(graph: Graph) -> Graph:
    """The graph after the passes of RETYPING alone: as it was read, in single precision."""
    for run in RETYPING:
        graph = run(graph)
    return graph


def canonise(graph: Graph, check: Callable[[Graph, Graph], None] | None = None) -> Graph:
    """Run all passes. `check(before, after)` is called after each that changed something, those of RETYPING aside;
    it raises if the two graphs do not compute the same outputs. Branches that become known on the way are written
    out, and the passes run again on what stood in them.
    """
    graph = graph.replace(originals=()) if graph.originals else graph
    for run in PASSES:
        after = run(graph)
        if check is not None and after is not graph and run not in RETYPING:
            check(graph, after)
        graph = after
    return graph if branch(graph) is graph else canonise(graph, check)
