"""Integers stay between a quantise and its dequantise, and the scale of a product is where its factors are.

move(q), then (q - z) s   =  move((q - z) s)          a dequantise stands before what moves or selects
float(a + b)              =  float(a) + float(b)      int32 sums of products are floats from the start
(W (q - z)) (s f)         =  (W f) ((q - z) s)        the scale of a dynamic input goes to its dequantise
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node, Value

_MOVES: dict[str, tuple[int, ...]] = {
    "Clip": (0, 1, 2), "Concat": (), "DepthToSpace": (0,), "Expand": (0,), "Flatten": (0,), "Gather": (0,),
    "GatherElements": (0,), "GatherND": (0,), "GlobalMaxPool": (0,), "Identity": (0,), "Max": (), "MaxPool": (0,),
    "Min": (), "Pad": (0, 2), "ReduceMax": (0,), "ReduceMin": (0,), "Reshape": (0,), "Resize": (0,), "Slice": (0,),
    "SpaceToDepth": (0,), "Split": (0,), "Squeeze": (0,), "Tile": (0,), "Transpose": (0,), "Unsqueeze": (0,),
    "Upsample": (0,), "Where": (1, 2),
}  # fmt: skip
"""The slots of each that hold values, () for all."""
_SUMS: dict[str, tuple[int, ...]] = {**_MOVES, "Add": (), "Sub": ()}
_PRODUCTS = ("Conv", "MatMul")
_WHOLE = {TensorProto.INT32, TensorProto.INT64}


def quantised(graph: Graph) -> Graph:
    """(move(q) - z) s = move((q - z) s): a dequantise of moved integers becomes a move of dequantised ones, an int32
    sum of products one of floats, and the scales behind a product of integers go into its factors.
    """
    draft = Draft(graph)
    counts = [_hoisted(draft), _rescaled(draft)]
    words = ("dequantise put before what moves integers", "scale put into the factors of its product")
    notes = [f"{word}: {nodes(count)}" for word, count in zip(words, counts, strict=True) if count]
    return draft.graph(*notes) if notes else graph


def _hoisted(draft: Draft) -> int:
    """Put what makes floats of integers before what moves or adds them, until nothing changes."""
    waiting = [node for node in draft.nodes.values() if _makes_floats(node, draft)]
    count = 0
    while waiting:
        node = waiting.pop()
        maker = draft.maker(node.inputs[0])
        if maker is None or maker.domain:
            continue
        if node.op == "Cast" and _is_whole_product(maker, draft):
            draft.put(replace(node, op="Identity", inputs=maker.inputs, attributes={}))
            count += 1
            continue
        slots = (_SUMS if node.op == "Cast" else _MOVES).get(maker.op)
        if slots is None or not _keeps_values(node, maker, draft):
            continue
        waiting += _swapped(node, maker, slots, draft)
        count += 1
    return count


def _makes_floats(node: Node, draft: Draft) -> bool:
    """A dequantise with one scale, or a cast of sums of products of integers."""
    if node.domain or not node.inputs or draft.maker(node.inputs[0]) is None:
        return False
    if node.op == "DequantizeLinear":
        scale = draft.constants.get(node.inputs[1], np.zeros(()))
        return scale.size == 1 and not node.attributes.get("block_size")
    return (
        node.op == "Cast"
        and node.attributes.get("to") == TensorProto.FLOAT
        and draft.value(node.inputs[0]).elem_type in _WHOLE
        and _sums_products(node.inputs[0], draft)
    )


def _sums_products(value: str, draft: Draft) -> bool:
    """Whether some product of integers is among what is moved or added to the value."""
    waiting, seen = [value], set[str]()
    while waiting:
        maker = draft.maker(waiting.pop())
        if maker is None or maker.domain or maker.name in seen:
            continue
        seen.add(maker.name)
        if _is_whole_product(maker, draft):
            return True
        if maker.op in _SUMS:
            waiting += _values(maker, _SUMS[maker.op])
    return False


def _is_whole_product(node: Node, draft: Draft) -> bool:
    """A Cast to integers of what is whole already: a product of dequantised integers whose scales are 1."""
    if node.op != "Cast" or node.attributes.get("to") not in _WHOLE:
        return False
    product = draft.maker(node.inputs[0])
    return (
        product is not None
        and product.op in _PRODUCTS
        and all(_is_whole(v, draft) for v in product.inputs[:2])
    )


def _is_whole(value: str, draft: Draft) -> bool:
    if value in draft.constants:
        array = draft.constants[value]
        return bool(np.array_equal(array, np.rint(array)))
    maker = draft.maker(value)
    if maker is None or maker.op != "DequantizeLinear":
        return False
    scale = draft.constants.get(maker.inputs[1])
    return scale is not None and bool((scale == 1).all())


def _keeps_values(node: Node, maker: Node, draft: Draft) -> bool:
    """Whether the maker moves floats as it moves integers."""
    if maker.op in ("Resize", "Upsample") and maker.attributes.get("mode", "nearest") != "nearest":
        return False
    return not any(maker.outputs[1:]) or maker.op == "Split"


def _values(node: Node, slots: tuple[int, ...]) -> list[str]:
    chosen: Iterable[int] = slots or range(len(node.inputs))
    return [node.inputs[slot] for slot in chosen if slot < len(node.inputs) and node.inputs[slot]]


def _swapped(node: Node, maker: Node, slots: tuple[int, ...], draft: Draft) -> list[Node]:
    """Let the maker work on floats, made by copies of the node, which are returned."""
    if maker.op == "Pad":
        maker = _with_padding(maker, draft)
    floats: dict[str, str] = {}
    made = []
    for value in dict.fromkeys(_values(maker, slots)):
        name = free(f"{value}/float", draft.values)
        draft.values[name] = Value(name, draft.value(node.output).elem_type, draft.value(value).shape)
        copy = replace(
            node,
            name=free(f"{node.name}/early", draft.nodes),
            inputs=(value, *node.inputs[1:]),
            outputs=(name,),
        )
        draft.put(copy, at=maker)
        floats[value] = name
        if draft.maker(value) is not None:
            made.append(copy)
    chosen = set(slots or range(len(maker.inputs)))
    inputs = tuple(floats.get(v, v) if slot in chosen else v for slot, v in enumerate(maker.inputs))
    outputs = tuple(
        node.output if v == node.inputs[0] else free(f"{v}/float", draft.values) for v in maker.outputs
    )
    draft.remove(node)
    draft.put(replace(maker, name=node.name, inputs=inputs, outputs=outputs), at=node)
    return made


def _with_padding(pad: Node, draft: Draft) -> Node:
    """The padding, 0 where it is left out, as an input: as an integer it is another number than as a float."""
    if len(pad.inputs) > 2 and pad.inputs[2]:
        return pad
    zero = draft.constant(f"{pad.name}/padding", np.zeros((), draft.value(pad.inputs[0]).dtype))
    return replace(pad, inputs=(*pad.inputs[:2], zero, *pad.inputs[3:]))


def _rescaled(draft: Draft) -> int:
    """(W (q - z)) (s f) = (W f) ((q - z) s), where s is the scale that a DynamicQuantizeLinear makes."""
    count = 0
    for node in list(draft.nodes.values()):
        step = draft.maker(node.inputs[0]) if node.op in _PRODUCTS and not node.domain else None
        source = draft.maker(step.inputs[0]) if step is not None and step.op == "DequantizeLinear" else None
        if (
            step is None
            or source is None
            or source.op != "DynamicQuantizeLinear"
            or not _is_whole(step.output, draft)
        ):
            continue
        way, product = _behind(node, draft)
        factors = [] if product is None else _factors(product, way[-1].output, draft)
        if product is None or source.outputs[1] not in factors:
            continue
        factors.remove(source.outputs[1])
        if _scaled(node, step, source, factors, product, draft):
            for skipped in (*way[1:], product):
                draft.remove(skipped)
            count += 1
    return count


def _behind(node: Node, draft: Draft) -> tuple[list[Node], Node | None]:
    """The node and the identities behind it, and the product that alone reads the last of them."""
    way = [node]
    while (user := draft.only_user(way[-1].output)) is not None and user.op in ("Identity", "Cast"):
        if user.op == "Cast" and user.attributes.get("to") != TensorProto.FLOAT:
            break
        way.append(user)
    return way, user if user is not None and user.op == "Mul" and not user.domain else None


def _factors(product: Node, value: str, draft: Draft) -> list[str]:
    """What the value is multiplied by, products taken apart."""
    factors, waiting = [], [v for v in product.inputs if v != value]
    while waiting:
        name = waiting.pop()
        maker = draft.maker(name)
        if maker is not None and maker.op == "Mul" and not maker.domain:
            waiting += maker.inputs
        else:
            factors.append(name)
    return factors


def _scaled(node: Node, step: Node, source: Node, factors: list[str], product: Node, draft: Draft) -> bool:
    """Write the product of floats in their own units; nothing is done where a factor is not known."""
    weights, arrays = draft.array(node, 1), [draft.constants.get(name) for name in factors]
    if len(factors) > 1 or any(a is None for a in arrays):
        return False
    inputs = list(node.inputs)
    if arrays and arrays[0] is not None:
        scale = arrays[0]
        if weights is None:
            return False
        by_output = scale.reshape(-1, *[1] * (weights.ndim - 1)) if node.op == "Conv" else scale
        if np.broadcast_shapes(weights.shape, by_output.shape) != weights.shape:
            return False
        inputs[1] = draft.constant(f"{inputs[1]}/scaled", np.asarray(weights * by_output, weights.dtype))
    name = free(f"{source.output}/float", draft.values)
    draft.values[name] = replace(draft.value(step.output), name=name)
    draft.put(
        Node(free(f"{step.name}/scaled", draft.nodes), "DequantizeLinear", source.outputs, (name,)), at=step
    )
    inputs[0] = name
    draft.put(replace(node, inputs=tuple(inputs), outputs=product.outputs))
    return True
