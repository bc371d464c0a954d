"""What a user sets, checked against the model and the method: options, rules, the range of the input."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import onnx

from onnxdtd.domains.propagation import Range
from onnxdtd.errors import UsageError
from onnxdtd.inputs import Preprocess, read_metadata_range
from onnxdtd.methods.overrides import Override, parse_overrides, read_overrides
from onnxdtd.model.graph import Graph
from onnxdtd.registry import PASSES

Source = str | os.PathLike[str] | bytes | onnx.ModelProto
Rules = str | os.PathLike[str] | Sequence[Mapping[str, Any]] | None
BIASES = (None, "absorb", "redistribute")
# What an option is checked against, by its annotation; methods check what is more involved themselves.
KINDS: dict[str, type] = {"int": Integral, "float": Real, "bool": bool, "str": str}


def check_bias(bias: str | None) -> None:
    """UsageError for another word than those of `BIASES`."""
    if bias not in BIASES:
        raise UsageError(f"bias is absorb or redistribute, not {bias!r}")


def check_options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options, all of which the method must know, each of the kind that its signature says."""
    known = PASSES[method].options if method in PASSES else ()
    surplus = sorted(set(given) - set(known))
    if surplus:
        takes = ", ".join(known) or "none"
        raise UsageError(f"{method} has no option {', '.join(surplus)}; it takes {takes}")
    for name, value in given.items():
        annotation = inspect.signature(PASSES[method].explain).parameters[name].annotation
        kind, _, default = annotation.partition(" | ")
        fits = (default == "None" and value is None) or isinstance(value, KINDS.get(kind, object))
        if not fits or (isinstance(value, bool) and kind in ("int", "float")):
            raise UsageError(f"{method} takes {name} as {kind}, not {value!r}")
    return dict(given)


def overrides(rules: Rules) -> tuple[Override, ...]:
    """The rules of a TOML file, or of a list of dicts."""
    if rules is None:
        return ()
    return read_overrides(rules) if isinstance(rules, (str, os.PathLike)) else parse_overrides(rules)


def input_range_of(graph: Graph, given: Range) -> Range:
    """The user's range, else what the model's metadata tell; it must broadcast to the input."""
    if given is None:
        prepared = Preprocess.from_metadata(graph.metadata)
        return prepared.input_range if prepared else read_metadata_range(graph.metadata)
    for name, (low, high) in given.items() if isinstance(given, Mapping) else [("", given)]:
        if name and name not in graph.inputs:
            raise UsageError(f"input_range names '{name}'; the model's inputs are {', '.join(graph.inputs)}")
        if not np.all(np.asarray(low) <= np.asarray(high)):
            raise UsageError(
                f"input_range: low must be a number that does not exceed high, got {low} and {high}"
            )
    return given
