"""A scale and a shift, by BatchNormalization or written out, composed with the weighted sum in front or behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from onnxdtd.model.canonise.chains import chain, reading, value_like
from onnxdtd.model.canonise.composed import after, before, may_sum
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.canonise.steps import Step, back, data_of, forth, may_give_way
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.units import units

MOST_COPIES = 4
"""So many times a weighted sum is computed anew for steps behind it: in a network whose layers all read one another
there would be hundreds of copies."""


def batch_normalization(graph: Graph) -> Graph:
    """BN(y) = a y + c with a = gamma / sqrt(var + epsilon), c = beta - a mean, computed in float64; so too a product
    with a constant, a quotient, a sum, a difference.

    BN(W x + b) = (a W) x + (a b + c); else W BN(x) + b = (W a) x + (b + W c), where padding makes the last sum
    differ from place to place. A Transpose, a Reshape or a factor that cannot be merged may stand between, in front
    a Concat too (behind one, see `concat`). Where something else reads a value between, that keeps a copy, up to
    `MOST_COPIES`. A change of units at the graph's inputs stays; so does what has no weighted sum beside it, linear
    on its own.
    """
    draft = Draft(graph)
    at_inputs = units(graph)
    behind, in_front = behind_sums(graph, draft), _in_front(graph, draft)
    crowded = {value for value in behind if len(draft.users(value)) + draft.is_end(value) > 1 + MOST_COPIES}
    folded: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        if data_of(node, draft) in behind:
            folded += _into_before(node, crowded, draft)
    for node in reversed(graph.nodes):  # so that the first of two in a row sees the map behind the second
        if node.name in draft.nodes and node.name not in at_inputs and node.output in in_front:
            folded += _into_after(draft.nodes[node.name], draft)
    notes = [f"{step} folded into {op}: {nodes(n)}" for (step, op), n in folded.items()]
    return draft.graph(*notes) if notes else graph


def behind_sums(graph: Graph, draft: Draft) -> set[str]:
    """The values behind a weighted sum, with moves and steps between: where there is none, a long chain of steps need
    not be followed from each of them."""
    behind = set[str]()
    for node in graph.nodes:
        if may_sum(node) or (may_give_way(node, draft) and data_of(node, draft) in behind):
            behind.add(node.output)
    return behind


def _in_front(graph: Graph, draft: Draft) -> set[str]:
    """The values in front of a weighted sum, with moves, steps and Concats between."""
    in_front = set[str]()
    for node in reversed(graph.nodes):
        passes = may_give_way(node, draft) or (node.op == "Concat" and not node.domain)
        if may_sum(node) or (passes and node.output in in_front):
            in_front.update(node.inputs)
    return in_front


def step_of(node: Node, draft: Draft) -> Step | None:
    """The node's step, None where it is none."""
    x = draft.value(data_of(node, draft)).shape or draft.value(node.output).shape
    return Step.read(node, None if x is None else len(x), draft)


def _into_before(node: Node, crowded: set[str], draft: Draft) -> Counter[tuple[str, str]]:
    """The step merged into the map in front of it, behind which there may be moves; they are repeated behind it."""
    value, moves = data_of(node, draft), list[Node]()
    step = step_of(node, draft)
    while step is not None and value not in crowded and (maker := draft.maker(value)) is not None:
        if (merged := after(maker, step, draft)) is not None:
            draft.remove(node)
            chain([(maker, merged), *((move, move) for move in reversed(moves))], node, draft)
            return Counter([(node.op, maker.op)])
        step = back(maker, step, draft)
        moves.append(maker)
        value = data_of(maker, draft)
    return Counter()


def _into_after(node: Node, draft: Draft) -> Counter[tuple[str, str]]:
    """The step merged into every map behind it, before which there may be moves; they are repeated without it."""
    folded: Counter[tuple[str, str]] = Counter()
    bare = {node.output: data_of(node, draft)}  # each value as it is without the step
    passed = [node]
    step = step_of(node, draft)
    waiting: list[tuple[str, Step, tuple[Node, ...]]] = [] if step is None else [(node.output, step, ())]
    while waiting:
        value, step, moves = waiting.pop()
        for user in draft.users(value):
            if user.inputs.count(value) != 1 and user.op != "Concat":
                continue
            if (merged := before(user, step, draft)) is not None:
                plain = _repeated(moves, bare, draft)
                for measures in draft.users(value):
                    if measures.op == "Shape" and not measures.domain:
                        draft.put(reading(measures, value, plain))
                draft.put(reading(merged, value, plain))
                folded[node.op, user.op] += 1
            elif (further := forth(user, value, step, draft)) is not None:
                waiting.append((user.output, further, (*moves, user)))
                passed.append(user)
    for read in reversed(passed):
        if folded and not draft.users(read.output) and not draft.is_end(read.output):
            draft.remove(read)
    return folded


def _repeated(moves: tuple[Node, ...], bare: dict[str, str], draft: Draft) -> str:
    """What the last of the moves makes without the step."""
    value = next(iter(bare))
    for move in moves:
        if move.output not in bare:
            bare[move.output] = value_like(move.output, draft)
            name = free(f"{move.name}/unscaled", draft.nodes)
            copy = replace(reading(move, value, bare[value]), name=name)
            draft.put(replace(copy, outputs=(bare[move.output],)), at=move)
        value = move.output
    return bare[value]
