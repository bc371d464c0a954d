"""A scale and a shift, by BatchNormalization or written out, composed with the weighted sum in front or behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from onnxdtd.model.canonise.composed import after, before, may_sum
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.canonise.steps import Step, back, data_of, forth, may_give_way
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.units import units


def batch_normalization(graph: Graph) -> Graph:
    """BN(y) = a y + c with a = gamma / sqrt(var + epsilon), c = beta - a mean, computed in float64; so too a product
    with a constant, a quotient, a sum, a difference.

    BN(W x + b) = (a W) x + (a b + c); else W BN(x) + b = (W a) x + (b + W c), where padding makes the last sum
    differ from place to place. A Transpose, a Reshape or a factor that cannot be merged may stand between. Where
    something else reads a value between, that keeps a copy. A change of units at the graph's inputs stays; so does
    what has no weighted sum beside it, linear on its own.
    """
    draft = Draft(graph)
    at_inputs = units(graph)
    behind, in_front = _beside_sums(graph, draft)
    folded: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        if data_of(node, draft) in behind:
            folded += _into_before(node, draft)
    for node in reversed(graph.nodes):  # so that the first of two in a row sees the map behind the second
        if node.name in draft.nodes and node.name not in at_inputs and node.output in in_front:
            folded += _into_after(draft.nodes[node.name], draft)
    notes = [f"{step} folded into {op}: {nodes(n)}" for (step, op), n in folded.items()]
    return draft.graph(*notes) if notes else graph


def _beside_sums(graph: Graph, draft: Draft) -> tuple[set[str], set[str]]:
    """The values behind a weighted sum, and those in front of one, with moves and steps between: where there is none,
    a long chain of steps need not be followed from each of them."""
    behind, in_front = set[str](), set[str]()
    for node in graph.nodes:
        if may_sum(node) or (may_give_way(node, draft) and data_of(node, draft) in behind):
            behind.add(node.output)
    for node in reversed(graph.nodes):
        if may_sum(node) or (may_give_way(node, draft) and node.output in in_front):
            in_front.update(node.inputs)
    return behind, in_front


def _read(node: Node, draft: Draft) -> Step | None:
    x = draft.value(data_of(node, draft)).shape or draft.value(node.output).shape
    return Step.read(node, None if x is None else len(x), draft)


def _into_before(node: Node, draft: Draft) -> Counter[tuple[str, str]]:
    """The step merged into the map in front of it, behind which there may be moves; they are repeated behind it."""
    value, moves = data_of(node, draft), list[Node]()
    step = _read(node, draft)
    while step is not None and (maker := draft.maker(value)) is not None:
        if (merged := after(maker, step, draft)) is not None:
            draft.remove(node)
            _chain([(maker, merged), *((move, move) for move in reversed(moves))], node, draft)
            return Counter([(node.op, maker.op)])
        step = back(maker, step, draft)
        moves.append(maker)
        value = data_of(maker, draft)
    return Counter()


def _chain(pairs: list[tuple[Node, Node]], end: Node, draft: Draft) -> None:
    """Nodes that read one another, in the places of those before, of which stays what is read elsewhere. The last
    one makes what the end did."""
    names = []
    for old, _ in reversed(pairs):
        is_read = draft.users(old.output) or draft.is_end(old.output)
        names.append(free(f"{old.name}/scaled", draft.nodes) if is_read else old.name)
        if not is_read:
            draft.remove(old)
    made = ""
    for (old, new), name in zip(pairs, reversed(names), strict=True):
        new = _reading(new, data_of(new, draft), made) if made else new
        made = end.output if old is pairs[-1][0] else _value_like(old.output, draft)
        draft.put(replace(new, name=name, outputs=(made,)), at=old)


def _reading(node: Node, old: str, new: str) -> Node:
    return replace(node, inputs=tuple(new if value == old else value for value in node.inputs))


def _value_like(value: str, draft: Draft) -> str:
    """A further value of the same type and shape."""
    name = free(f"{value}/scaled", draft.values)
    draft.values[name] = replace(draft.value(value), name=name)
    return name


def _into_after(node: Node, draft: Draft) -> Counter[tuple[str, str]]:
    """The step merged into every map behind it, before which there may be moves; they are repeated without it."""
    folded: Counter[tuple[str, str]] = Counter()
    bare = {node.output: data_of(node, draft)}  # each value as it is without the step
    passed = [node]
    step = _read(node, draft)
    waiting: list[tuple[str, Step, tuple[Node, ...]]] = [] if step is None else [(node.output, step, ())]
    while waiting:
        value, step, moves = waiting.pop()
        for user in draft.users(value):
            if user.inputs.count(value) != 1:
                continue
            if (merged := before(user, step, draft)) is not None:
                draft.put(_reading(merged, value, _repeated(moves, bare, draft)))
                folded[node.op, user.op] += 1
            elif (further := forth(user, step, draft)) is not None:
                waiting.append((user.output, further, (*moves, user)))
                passed.append(user)
    for read in reversed(passed):
        if folded and not draft.users(read.output) and not draft.is_end(read.output):
            draft.remove(read)
    return folded


def _repeated(moves: tuple[Node, ...], bare: dict[str, str], draft: Draft) -> str:
    """What the last of the moves makes without the step."""
    value = next(iter(bare.values()))
    for move in moves:
        if move.output not in bare:
            bare[move.output] = _value_like(move.output, draft)
            name = free(f"{move.name}/unscaled", draft.nodes)
            copy = replace(_reading(move, data_of(move, draft), value), name=name)
            draft.put(replace(copy, outputs=(bare[move.output],)), at=move)
        value = bare[move.output]
    return value
