"""Nodes that read one another, written anew beside those that are read elsewhere."""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.model.canonise.draft import Draft, free
from onnxdtd.model.canonise.steps import data_of
from onnxdtd.model.graph import Node


def chain(pairs: list[tuple[Node, Node]], end: Node, draft: Draft) -> list[str]:
    """Put nodes that read one another in the places of those before, of which stays what is read elsewhere. The last
    one makes what the end did. Returns what they make.
    """
    names, values = [], list[str]()
    for old, _ in reversed(pairs):
        is_read = draft.users(old.output) or draft.is_end(old.output)
        names.append(free(f"{old.name}/scaled", draft.nodes) if is_read else old.name)
        if not is_read:
            draft.remove(old)
    for (old, new), name in zip(pairs, reversed(names), strict=True):
        new = reading(new, data_of(new, draft), values[-1]) if values else new
        values.append(end.output if old is pairs[-1][0] else value_like(old.output, draft))
        draft.put(replace(new, name=name, outputs=(values[-1],)), at=old)
    return values


def reading(node: Node, old: str, new: str) -> Node:
    """The node that reads another value in the place of one."""
    return replace(node, inputs=tuple(new if value == old else value for value in node.inputs))


def value_like(value: str, draft: Draft) -> str:
    """A further value of the same type and shape."""
    name = free(f"{value}/scaled", draft.values)
    draft.values[name] = replace(draft.value(value), name=name)
    return name
