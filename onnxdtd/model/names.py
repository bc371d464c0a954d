"""Values by the names that people write: exact ones and patterns, of values or of the nodes that make them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from onnxdtd.errors import UsageError
from onnxdtd.model.graph import Graph


def values_named(graph: Graph, patterns: Iterable[str] | None) -> list[str]:
    """The inputs and computed values whose names match one of the patterns, as of file names ("conv*"), in the order
    of the graph; all for None. Where no value matches, the first outputs of the nodes that do.

    Raises UsageError with a line for each pattern that matches neither.
    """
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs if value)]
    if patterns is None:
        return values
    chosen: set[str] = set()
    faults = []
    for pattern in patterns:
        matching = _matching(values, pattern)
        matching = matching or [
            graph.by_name[name].output for name in _matching(list(graph.by_name), pattern)
        ]
        chosen.update(matching)
        if not matching:
            faults.append(f"no value and no node is named '{pattern}'{_near(graph, values, pattern)}")
    if faults:
        raise UsageError("\n".join(faults))
    return [value for value in values if value in chosen]


def _near(graph: Graph, values: Sequence[str], pattern: str) -> str:
    names = [*dict.fromkeys((*values, *graph.by_name))]
    near = get_close_matches(pattern, names, 3, 0.5) or [n for n in names if pattern.strip("*?") in n][:3]
    listed = ", ".join(f"'{name}'" for name in near)
    return f"; did you mean {listed}?" if near else "; `onnxdtd inspect` shows the names"


def _matching(names: Sequence[str], pattern: str) -> list[str]:
    """A name is itself, whatever brackets it holds."""
    return [name for name in names if name == pattern or fnmatchcase(name, pattern)]
