"""What an explanation costs, from the graph alone: multiplications and memory, for one sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxdtd.domains.interval import At
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.loops import inside
from onnxdtd.ops import OPS
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.step import Step, everywhere


@dataclass(frozen=True)
class Cost:
    """Estimates for one sample. forward, walk: multiplications of convolutions and matrix products in the model
    and in the walk back. memory: bytes of weights, derived weights and kept activations, which are `activations` of
    it. exact: no size but the batch had to be guessed (as 1)."""

    forward: int
    walk: int
    memory: int
    activations: int
    exact: bool


def cost(plan: Plan) -> Cost:
    """The cost of one explanation by a plan."""
    graph = plan.graph
    sizes = dict(_sizes(graph, 1))
    walk = sum(sizes[step.node.name] * step.pruned.products for step in everywhere(plan.steps))
    activations = [*dict.fromkeys(needed(plan))]
    kept = sum(_count(graph, name) * graph.value(name).itemsize for name in activations)
    memory = kept + sum(array.nbytes for array in graph.constants.values())
    memory += sum(_derived(graph, step) for step in plan.steps)
    exact = all(isinstance(d, int) for name in activations for d in (graph.value(name).shape or ("?",))[1:])
    return Cost(sum(sizes.values()), walk, memory, kept, exact)


def _sizes(graph: Graph, times: int) -> Iterator[tuple[str, int]]:
    """The multiplications of each node; one inside a loop as often as it runs, once where that is open."""
    for node in graph.nodes:
        yield node.name, times * multiplications(graph, node)
        if isinstance(node.body, Graph):
            (length, *_) = graph.value(inside(node, node.body.inputs[-1])).shape or (1,)
            yield from _sizes(node.body, times * (length if isinstance(length, int) else 1))


def multiplications(graph: Graph, node: Node) -> int:
    """As the op declares; ops that declare no work count nothing. Sizes that are not known count as 1."""
    entry = OPS.get((node.domain, node.op))
    return 0 if entry is None or entry.work is None else entry.work(At(graph, node, 0, {}))


def _derived(graph: Graph, step: Step) -> int:
    """Bytes of the weights that a rule derives from a node's own."""
    own = (
        [name for name in step.node.inputs[:2] if name in graph.constants] if step.op.kind == "linear" else []
    )
    return step.pruned.derived * sum(graph.constants[name].nbytes for name in own)


def _count(graph: Graph, name: str) -> int:
    return _product(graph.value(name).shape or ())


def _product(shape: tuple[int | str | None, ...]) -> int:
    return math.prod(size if isinstance(size, int) else 1 for size in shape)
