"""Scores behind a Sigmoid or Softmax that is not the last node are explained as logits, too."""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.model.canonise.draft import Draft, free
from onnxdtd.model.canonise.head import HEADS, made_by
from onnxdtd.model.graph import Graph, Node

_MOVES = {
    "Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip

_MEANS = {"ReduceMean", "GlobalAveragePool"}


def inner_head(graph: Graph) -> Graph:
    """y = moves(a, sigmoid(z)), explained: moves(a, z). Where an output is put together of moved values and some come
    from a Softmax, LogSoftmax or Sigmoid, the moves are repeated on its input; `targets` names the result. Each index
    of y means the same element there. The output itself is still computed.
    """
    draft = Draft(graph)
    scores, means = _moved(graph), _averaged(graph)
    twins: dict[str, str] = {}
    targets, heads, notes = dict(graph.targets), dict(graph.heads), []
    for output in graph.outputs:
        if output in targets or not graph.value(output).is_float:
            continue
        if output in scores and graph.producers[output].op in _MOVES:
            finals, whole = scores[output]
            twins |= {node.output: node.inputs[0] for node in finals}
            targets[output] = _twin(draft, graph, twins, output)
            heads[output] = made_by(graph, finals[0], whole)
            names = ", ".join(f"{node.op} '{node.name}'" for node in finals)
            notes.append(f"final {names} set aside: '{targets[output]}' is explained")
        elif (averaged := means.get(output)) is not None:
            note = f"{_mean_of(output)}{averaged}: it is explained as it is, no logit stands for it"
            notes += [note] if note not in graph.notes else []
    if not notes:
        return graph
    nodes = tuple(draft.nodes.values())
    over = tuple(
        _mean_of(output) for output in targets
    )  # said before it was known that there is one place only
    earlier = tuple(note for note in graph.notes if not note.startswith(over))
    graph = graph.replace(nodes=nodes, values=draft.values, targets=targets, heads=heads, notes=earlier)
    return graph.noting(*notes)


def _mean_of(output: str) -> str:
    return f"'{output}' is a mean of "


def _moved(graph: Graph) -> dict[str, tuple[tuple[Node, ...], bool]]:
    """For each value that final activations lead to by moves alone: these activations, and whether all that is moved
    comes from them. What is moved before it is activated is no logit: an input, however it is moved."""
    scores: dict[str, tuple[tuple[Node, ...], bool]] = {}
    as_given = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        if node.domain:
            continue
        if node.op in HEADS and node.inputs[0] in graph.producers and node.inputs[0] not in as_given:
            scores[node.output] = (node,), True
        if node.op not in _MOVES:
            continue
        sources = _sources(node)
        if node.inputs[0] in as_given:
            as_given.update(node.outputs)
        before = [scores.get(value) for value in sources]
        if any(before) and graph.value(node.output).is_float:
            finals = {final.name: final for own in before if own for final in own[0]}
            scores[node.output] = tuple(finals.values()), all(own and own[1] for own in before)
    return scores


def _sources(node: Node) -> tuple[str, ...]:
    """What a move moves."""
    return node.inputs if node.op == "Concat" else node.inputs[:1]


def _averaged(graph: Graph) -> dict[str, Node]:
    """For each value that is a mean over several places, or an open number of them, of what a Sigmoid or Softmax
    makes: that node."""
    scores: dict[str, Node] = {}
    means: dict[str, Node] = {}
    for node in graph.nodes:
        if node.domain:
            continue
        if node.op in HEADS:
            scores[node.output] = node
        elif node.op in _MOVES | _MEANS:
            value = node.inputs[0]
            if value in scores:
                scores[node.output] = scores[value]
            if value in means or (node.op in _MEANS and value in scores):
                means[node.output] = scores[value]
    return means


def _twin(draft: Draft, graph: Graph, twins: dict[str, str], output: str) -> str:
    """The moves repeated that lead from the keys of twins to the output, which joins them; returns its twin."""
    moves: dict[str, Node] = {}
    waiting = [output]
    while waiting:
        value = waiting.pop()
        node = graph.producers.get(value)
        if value not in twins and node is not None and not node.domain and node.op in _MOVES:
            moves[node.name] = node
            waiting += _sources(node)
    for node in sorted(moves.values(), key=lambda node: graph.places[node.name]):
        if not twins.keys() & set(node.inputs):
            continue
        name = free(f"{node.output}/logits", draft.values)
        inputs = tuple(twins.get(value, value) for value in node.inputs)
        draft.values[name] = replace(draft.value(node.output), name=name)
        draft.put(
            replace(node, name=free(f"{node.name}/logits", draft.nodes), inputs=inputs, outputs=(name,))
        )
        twins[node.output] = name
    return twins[output]
