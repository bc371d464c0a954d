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
    targets, heads, notes = dict(graph.targets), dict(graph.heads), []
    for output in graph.outputs:
        if output in targets or not graph.value(output).is_float:
            continue
        finals, moves, whole = _ways_back(graph, output)
        if finals and moves:
            targets[output] = _twin(draft, moves, {node.output: node.inputs[0] for node in finals}, output)
            heads[output] = made_by(graph, finals[0], whole)
            names = ", ".join(f"{node.op} '{node.name}'" for node in finals)
            notes.append(f"final {names} set aside: '{targets[output]}' is explained")
        elif (averaged := _averaged(graph, output)) is not None:
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


def _ways_back(graph: Graph, output: str) -> tuple[list[Node], list[Node], bool]:
    """The final activations from which only moves lead to the output, those moves in the graph's order, and whether
    all that is moved comes from such an activation."""
    waiting, seen, finals, whole = [output], set(), [], True
    moves: dict[str, Node] = {}
    while waiting:
        value = waiting.pop()
        maker = graph.producers.get(value)
        if value in seen:
            continue
        seen.add(value)
        if maker is not None and not maker.domain and maker.op in HEADS and _computed(graph, maker.inputs[0]):
            finals.append(maker)
        elif maker is not None and not maker.domain and maker.op in _MOVES and graph.value(value).is_float:
            moves[maker.name] = maker
            waiting += maker.inputs if maker.op == "Concat" else maker.inputs[:1]
        else:
            whole = False
    return finals, [node for node in graph.nodes if node.name in moves], whole


def _averaged(graph: Graph, output: str) -> Node | None:
    """The Sigmoid or Softmax of which an output is a mean over several places, or an open number of them."""
    maker, means = graph.producers.get(output), False
    while maker is not None and not maker.domain:
        if maker.op in HEADS:
            return maker if means else None
        means |= maker.op in _MEANS
        maker = graph.producers.get(maker.inputs[0]) if maker.op in _MOVES | _MEANS else None
    return None


def _computed(graph: Graph, value: str) -> bool:
    """Whether the model computes the value: an input, however it is moved, is none of its logits."""
    maker = graph.producers.get(value)
    while maker is not None and not maker.domain and maker.op in _MOVES:
        maker = graph.producers.get(maker.inputs[0])
    return maker is not None


def _twin(draft: Draft, moves: list[Node], twins: dict[str, str], output: str) -> str:
    """The moves repeated where they move one of the keys of twins; returns the output's twin."""
    for node in moves:
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
