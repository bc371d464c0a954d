"""Models without a batch axis, as from a picture (3, 224, 224) to scores (1000,), and how they get one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from onnxdtd.model.canonise.branch import node_renamed
from onnxdtd.model.canonise.draft import free
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.types import Dimension

# What exporters call the batch axis; an axis 0 of the inputs with another name serves where none is called so.
NAMES = ("batch", "batch_size", "batchsize", "bs", "b", "n")
AXES_ARE_AN_INPUT = 13
"""Of Squeeze and Unsqueeze, from this operator set on; before it they are an attribute."""


def is_unbatched(graph: Graph) -> bool:
    """Whether the shapes say that the inputs are one sample, since each output is.

    An output is if it is a vector of a length that no axis of the inputs has. Where all lengths are fixed, it is too
    if it is one number, if its first length is 1, or if no axis of the inputs, of which each has up to three, is as
    long as its first. None is where the first axis of an input is of length 1, has the name of a batch, or is of any
    length and without a name before others.
    """
    ins = [graph.value(name).shape for name in graph.inputs]
    outs = [graph.value(name).shape for name in graph.outputs]
    shapes = [shape for shape in (*ins, *outs) if shape is not None]
    read, made = shapes[: len(ins)], shapes[len(ins) :]
    lengths = {size for shape in read for size in shape}
    if len(shapes) < len(ins) + len(outs) or not lengths or any(map(may_be_batched, read)):
        return False
    fixed = all(isinstance(size, int) for shape in shapes for size in shape)
    few = all(len(shape) <= 3 for shape in read)

    def is_of_one(shape: tuple[Dimension, ...]) -> bool:
        return shape[:1] in ((), (1,)) or (few and shape[0] not in lengths)

    return all(is_one_sample(graph, shape) or (fixed and is_of_one(shape)) for shape in made)


def batched(graph: Graph) -> Graph:
    """The graph, as it was read, with a batch axis: itself, where it has one."""
    return with_batch_axis(graph)[0] if is_unbatched(graph) else graph


def may_be_batched(shape: tuple[Dimension, ...] | None) -> bool:
    """Whether the first axis of an input may be the batch, whatever the outputs are like."""
    if not shape:
        return shape is None
    head = shape[0]
    return is_called_batch(head) or head == 1 or (head is None and len(shape) > 1)


def is_called_batch(size: Dimension) -> bool:
    """Whether an axis has a name that exporters give to the batch axis."""
    return isinstance(size, str) and size.lower() in NAMES


def is_one_sample(graph: Graph, sizes: tuple[Dimension, ...]) -> bool:
    """Whether a value is a vector of a fixed length, and the inputs have no axis that it may run along: a picture
    (3, 224, 224), or tokens of any number, to (1000,) is one sample's scores, not those of a thousand samples."""
    lengths = {size for name in graph.inputs for size in graph.value(name).shape or ()}
    return len(sizes) == 1 and isinstance(sizes[0], int) and sizes[0] not in lengths


def with_batch_axis(graph: Graph) -> tuple[Graph, frozenset[str]]:
    """f(x) -> U(f(S(x))), for a graph as it was read: S takes an axis of length 1 off each input, U puts one before
    each output that does not begin with one. The names are those of the inputs and outputs that have it now."""
    ends = [graph.value(name) for name in (*graph.inputs, *graph.outputs)]
    added = {v.name: v for v in ends if v.name in graph.inputs or (v.shape or ())[:1] != (1,)}
    known = {*graph.values, *graph.constants, *(v for node in graph.nodes for v in node.outputs)}
    inner = {name: free(f"{name}/sample", known) for name in added}
    values, constants = dict(graph.values), {inner.get(v, v): array for v, array in graph.constants.items()}
    opsets = {"": AXES_ARE_AN_INPUT, **graph.opsets}
    nodes = [node_renamed(node, inner) for node in graph.nodes]
    axes, taken = {"axes": [0]}, {node.name for node in nodes}
    places: tuple[str, ...] = ()
    if opsets[""] >= AXES_ARE_AN_INPUT:
        axes, places = {}, (free("sample/axes", known),)
        constants[places[0]] = np.zeros(1, np.int64)
        values[places[0]] = Value(places[0], TensorProto.INT64, (1,))
    for name, value in added.items():
        whole = name in graph.inputs
        values[inner[name]] = replace(value, name=inner[name], missing=False)
        values[name] = replace(value, shape=(1, *map(_unlike_a_batch, value.shape or ())), unbatched=whole)
        op, read, made = ("Squeeze", name, inner[name]) if whole else ("Unsqueeze", inner[name], name)
        nodes.append(Node(free(f"{name}/{op}", taken), op, (read, *places), (made,), axes))
    graph = graph.replace(nodes=tuple(nodes), constants=constants, values=values, opsets=opsets)
    return graph, frozenset(added)


def _unlike_a_batch(size: Dimension) -> Dimension:
    """None for a length with the name of a batch, which the first axis is now."""
    return None if is_called_batch(size) else size
