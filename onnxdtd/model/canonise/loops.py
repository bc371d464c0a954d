"""Scan and Loop in canonical form: what they read is handed over, and their bodies are canonical graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from onnxdtd.model.canonise.branch import renamed, take
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.canonise.scan_axes import is_ahead
from onnxdtd.model.functions import expand
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.model.load import graph_of
from onnxdtd.model.loops import inner_values, kept_states, layout, steady_sizes
from onnxdtd.model.node import INSIDE, captures
from onnxdtd.model.shapes import UNKNOWN, infer
from onnxdtd.model.weights import SMALL, dense, to_array
from onnxdtd.types import Array, Dimension

Inner = Callable[[Graph], Graph]


def loops(graph: Graph, inner: Inner) -> Graph:
    """Scan(f; x, c) = Scan(f'; x, c, w): what the body reads of the graph around it, constants aside, becomes a state
    w that passes through unchanged. inner: canonises the body, whose constants become those of the graph.

    A loop over lists of tensors, or one whose types are not known, stays as it is.
    """
    draft, done = Draft(graph), 0
    for node in graph.nodes:
        if node.op in ("Scan", "Loop") and not node.domain and node.body is None and is_ahead(node, draft):
            done += _canonical(node, draft, inner)
    return draft.graph(f"loops in canonical form: {nodes(done)}") if done else graph


def _canonical(node: Node, draft: Draft, inner: Inner) -> bool:
    """Put the node in its canonical form in its place; False where it has none."""
    proto: GraphProto = node.attributes["body"]
    scans = node.op == "Scan"
    first, last = (
        (0, len(node.inputs) - node.attributes["num_scan_inputs"]) if scans else (2, len(node.inputs))
    )
    captured = [*dict.fromkeys(captures(proto))]
    moved = [v for v in captured if v not in draft.constants]
    body = _named(proto, node.name, moved)
    handed, sequences = (*node.inputs[first:last], *moved), node.inputs[last:]
    begins = [*body.input[first:last], *(ValueInfoProto(name=f"{node.name}/{v}") for v in moved)]
    entries = [_typed(info, draft.value(v), 0) for info, v in zip(begins, handed, strict=True)]
    entries += [_typed(info, draft.value(v), 1) for info, v in zip(body.input[last:], sequences, strict=True)]
    if not all(value.elem_type for value in entries) or any(map(_is_list, (*proto.input, *proto.output))):
        return False
    own = [(TensorProto.INT64, body.input[0].name), (TensorProto.BOOL, body.input[1].name)][:first]
    entries = [*(Value(name, kind, ()) for kind, name in own), *entries]
    states, ends = last - first, [value.name for value in body.output]
    split = states + (not scans)
    ends[split:split] = [f"{node.name}/{v}/after" for v in moved]
    constants = _constants(body) | {v: draft.constants[v] for v in captured if v not in moved}
    read = inner(_read(body, entries, ends, constants, draft.before))
    if opened := {} if scans else _opened(read, first):
        entries = [opened.get(value.name, value) for value in entries]
        read = inner(_read(body, entries, ends, constants, draft.before))
    made = [*node.outputs[:states], *("" for _ in moved), *node.outputs[states:]]
    made += [""] * (len(ends) - (not scans) - len(made))
    loop = replace(
        node,
        inputs=(*node.inputs[:first], *handed, *sequences),
        outputs=tuple(out or free(f"{node.name}/{i}", draft.values) for i, out in enumerate(made)),
        attributes={key: value for key, value in node.attributes.items() if key != "body"},
        body=_lifted(read, draft, [v for v in captured if v not in moved]),
    )
    draft.put(loop)
    _describe(loop, draft, sequences)
    return True


def take_inside(graph: Graph, conditions: Mapping[str, bool | None], inner: Inner) -> Graph:
    """The loops, in whose bodies the branches are written out that all iterations take; conditions: by the names that
    values inside have in the graph around."""
    draft, notes = Draft(graph), list[str]()
    for node in graph.nodes:
        prefix = f"{node.name}{INSIDE}"
        own = {
            name.removeprefix(prefix): held for name, held in conditions.items() if name.startswith(prefix)
        }
        if own and isinstance(node.body, Graph):
            body = take_inside(take(node.body, own), own, inner)
            if body is node.body:
                continue
            body = inner(body)
            notes += [f"{note}, in a loop" for note in body.notes if note not in node.body.notes]
            loop = replace(
                node, body=_lifted(body, draft, [v for v in body.constants if v in graph.constants])
            )
            draft.put(loop)
            _describe(
                loop, draft, node.inputs[len(node.inputs) - node.attributes.get("num_scan_inputs", 0) :]
            )
    return draft.graph(*notes) if notes else graph


def _named(proto: GraphProto, loop: str, moved: Iterable[str]) -> GraphProto:
    """The body, all of whose nodes and values are named after the loop; what is moved into it passes through."""
    own = {*(v.name for v in (*proto.input, *proto.output)), *(v for n in proto.node for v in n.output if v)}
    own |= {t.name for t in proto.initializer} | {t.values.name for t in proto.sparse_initializer}
    body = renamed(proto, {v: f"{loop}/{v}" for v in (*own, *moved)})
    for i, node in enumerate(body.node):
        node.name = f"{loop}/{node.name or f'{node.op_type}_{i}'}"
    for v in moved:
        label = f"{loop}/{v}/after"
        body.node.append(helper.make_node("Identity", [f"{loop}/{v}"], [label], label))
    return body


def _constants(body: GraphProto) -> dict[str, Array]:
    constants = {tensor.name: to_array(tensor) for tensor in body.initializer}
    return constants | {tensor.values.name: dense(tensor) for tensor in body.sparse_initializer}


def _describe(loop: Node, draft: Draft, sequences: tuple[str, ...]) -> None:
    """Note what is known of the loop's outputs and of the values inside it."""
    laid = layout(loop)
    lengths = [(draft.value(v).shape or (None,))[0] for v in sequences]
    stated = [(draft.value(out).shape or (None,))[0] for _, out in laid.rows]
    sizes = [size for size in (*lengths, *stated) if size is not None]
    length = next((size for size in sizes if not str(size).startswith(UNKNOWN)), None)
    kept = kept_states(loop)
    for state in laid.states:
        after = laid.body.value(state.begin if state in kept else state.end)
        if after.elem_type and after.shape is not None:
            draft.values[state.output] = _merged(draft.value(state.output), after)
    draft.values.update(inner_values(loop, length))
    for end, out in laid.rows:
        if not draft.value(out).elem_type or draft.value(out).shape is None:
            value = laid.body.value(end)
            shape = None if value.shape is None else (length, *value.shape)
            draft.values[out] = Value(out, value.elem_type, shape)


def _merged(stated: Value, made: Value) -> Value:
    """What is known of a loop's output, with the sizes that only its body tells."""
    if not stated.shape or not made.shape or len(stated.shape) != len(made.shape):
        return replace(made, name=stated.name)
    stated_sizes = [size is not None and not str(size).startswith(UNKNOWN) for size in stated.shape]
    pairs = zip(stated_sizes, stated.shape, made.shape, strict=True)
    return replace(
        made, name=stated.name, shape=tuple(own if is_stated else size for is_stated, own, size in pairs)
    )


def _typed(info: ValueInfoProto, outer: Value, axes: int) -> Value:
    """A body's input, which is what is handed over, or a slice of it; its own words count where nothing is known."""
    kind = info.type.tensor_type
    shape: tuple[Dimension, ...] | None = None if outer.shape is None else outer.shape[axes:]
    if shape is None and kind.HasField("shape"):
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Value(info.name, outer.elem_type or kind.elem_type, shape)


def _is_list(info: ValueInfoProto) -> bool:
    return info.type.WhichOneof("value") in ("sequence_type", "optional_type", "map_type")


def _read(
    body: GraphProto, inputs: list[Value], outputs: list[str], constants: Mapping[str, Array], outer: Graph
) -> Graph:
    """The body as a graph of its own, types and shapes inferred, and ops expanded into their definitions."""
    graph = GraphProto(name=body.name or "body")
    graph.node.extend(body.node)
    graph.value_info.extend(v for v in body.value_info if v.name not in outputs)
    graph.input.extend(helper.make_tensor_value_info(v.name, v.elem_type, v.shape) for v in inputs)
    graph.output.extend(ValueInfoProto(name=name) for name in outputs)
    for name, array in constants.items():
        if array.nbytes <= SMALL and array.dtype != object:
            graph.initializer.append(numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*entry) for entry in outer.opsets.items()]
    )
    model.ir_version = outer.ir_version
    model, _ = expand(infer(model))
    return graph_of(infer(model), outer.opsets, constants)


def _opened(body: Graph, first: int) -> dict[str, Value]:
    """The states of a Loop that an iteration changes in shape, with what changes left open; by body input."""
    sizes, opened = steady_sizes(body), {}
    for begin, end in zip(body.inputs[first:], body.outputs[1:], strict=False):
        before, after, value = sizes.get(begin), sizes.get(end), body.values[begin]
        if before is None or before == after or value.shape is None:
            continue
        alike = after is not None and len(after) == len(before)
        kept = (
            [size if after and after[i] == before[i] else None for i, size in enumerate(value.shape)]
            if alike
            else None
        )
        shape = None if after is not None and not alike else tuple(kept or (None,) * len(value.shape))
        opened[begin] = replace(value, shape=shape)
    return opened


def _lifted(body: Graph, draft: Draft, names: list[str]) -> Graph:
    """The body, whose constants are those of the graph around it by now, under names that nothing else has there."""
    taken = {*draft.values, *draft.constants}
    labels = {name: free(name, taken) for name in body.constants if name not in names}
    for name, label in labels.items():
        draft.fix(label, np.asarray(body.constants[name]))
    return _relabelled(body, {name: label for name, label in labels.items() if name != label})


def _relabelled(graph: Graph, labels: Mapping[str, str]) -> Graph:
    if not labels:
        return graph

    def label(name: str) -> str:
        return labels.get(name, name)

    def relabelled(node: Node) -> Node:
        body: Any = node.body
        inner = None if body is None else _relabelled(body, labels)
        return replace(node, inputs=tuple(map(label, node.inputs)), bias=label(node.bias), body=inner)

    return replace(
        graph,
        nodes=tuple(map(relabelled, graph.nodes)),
        outputs=tuple(map(label, graph.outputs)),
        constants={label(name): array for name, array in graph.constants.items()},
        values={label(name): replace(value, name=label(name)) for name, value in graph.values.items()},
    )
