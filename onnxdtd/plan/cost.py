"""What an explanation costs, from the graph alone: multiplications and memory, for one sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxdtd.domains.interval import At
from onnxdtd.model.graph import Graph, Node
from onnxdtd.ops import OPS
from onnxdtd.plan.plan import Plan, Step, needed
from onnxdtd.rules import Rule
from onnxdtd.rules.maps import identity
from onnxdtd.rules.passing import Passing
from onnxdtd.rules.terms import Term, TermRule


@dataclass(frozen=True)
class Cost:
    """Estimates for one sample. forward, walk: multiplications of convolutions and matrix products in the model
    and in the walk back. memory: bytes of weights, derived weights and kept activations. exact: no size but
    the batch had to be guessed (as 1)."""

    forward: int
    walk: int
    memory: int
    exact: bool


def cost(plan: Plan) -> Cost:
    """The cost of one explanation by a plan."""
    graph = plan.graph
    sizes = {node.name: multiplications(graph, node) for node in graph.nodes}
    walk = sum(sizes[step.node.name] * _passes(step.pruned) for step in plan.steps)
    activations = [*dict.fromkeys(needed(plan))]
    memory = sum(_count(graph, name) * graph.value(name).dtype.itemsize for name in activations)
    memory += sum(array.nbytes for array in graph.constants.values())
    memory += sum(_derived(graph, step) for step in plan.steps)
    known = all(isinstance(d, int) for name in activations for d in (graph.value(name).shape or ("?",))[1:])
    return Cost(sum(sizes.values()), walk, memory, known)


def multiplications(graph: Graph, node: Node) -> int:
    """As the op declares; ops that declare no work count nothing. Sizes that are not known count as 1."""
    entry = OPS.get((node.domain, node.op))
    return 0 if entry is None or entry.work is None else entry.work(At(graph, node, 0, {}))


def _passes(rule: Rule) -> int:
    """How often a rule applies a node's map or its adjoint; a sum that the forward pass made is not made again."""
    if isinstance(rule, TermRule):
        plain = [g for g in rule.groups if len(g.terms) == 1 and g.terms[0] == Term(b=g.terms[0].b)]
        return 2 * sum(len(group.terms) for group in rule.groups) - len(plain)
    return 0 if isinstance(rule, Passing) else 1


def _derived(graph: Graph, step: Step) -> int:
    """Bytes of the weights that a rule derives from a node's own."""
    if not isinstance(step.pruned, TermRule) or step.op.kind != "linear":
        return 0
    maps = {term.w for group in step.pruned.groups for term in group.terms} - {identity}
    own = [name for name in step.node.inputs[:2] if name in graph.constants]
    return len(maps) * sum(graph.constants[name].nbytes for name in own)


def _count(graph: Graph, name: str) -> int:
    return _product(graph.value(name).shape or ())


def _product(shape: tuple[int | str | None, ...]) -> int:
    return math.prod(size if isinstance(size, int) else 1 for size in shape)
