"""What a user sets, checked against the model and the method: names, options, rules, the range of the input."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import onnx

from onnxdtd.domains.propagation import Range
from onnxdtd.entries import PassesEntry
from onnxdtd.errors import Faults, UsageError
from onnxdtd.inputs import Preprocess, read_metadata_range
from onnxdtd.methods.entry import Method, method_name
from onnxdtd.methods.overrides import Override, parse_overrides, read_overrides
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.registry import METHODS, PASSES

Source = str | os.PathLike[str] | bytes | onnx.ModelProto
Model = Source | Graph
"""What a model is read from, or the graph that was read."""
Rules = str | os.PathLike[str] | Sequence[Mapping[str, Any] | Override] | None
ENGINES = ("numpy", "onnx", "auto")
BIASES = ("absorb", "redistribute")
POSITIONS = ("absorb", "token")
MOST_PASSES = 100_000
"""Steps or samples beyond which no method of many passes gains anything."""
# What an option is checked against, by its annotation; methods check what is more involved themselves.
KINDS: dict[str, type] = {"int": Integral, "float": Real, "bool": bool, "str": str}


def checked_seed(seed: Any) -> int:
    """A seed of random numbers, of the size that scikit-learn takes too. Raises UsageError for anything else."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise UsageError(f"seed is a whole number from 0 to {2**32 - 1}, not {seed!r}")
    return int(seed)


def graph_of(model: Model) -> Graph:
    """The graph as the file has it, or the one that is given. Raises ModelError."""
    return model if isinstance(model, Graph) else load(model)


def check_names(method: Method, engine: str, bias: str | None, positions: str = "absorb") -> None:
    """UsageError, a line for each of them that is no method (of one walk or of many passes, or a callable), engine,
    bias or policy for positions."""
    faults = Faults()
    words: list[tuple[str, Any, tuple[str, ...]]] = [
        ("engine", engine, ENGINES),
        ("positions", positions, POSITIONS),
    ]
    if not callable(method):
        words.insert(0, ("method", method, ("auto", *sorted({*METHODS, *PASSES}))))
    for what, word, choice in [*words, *([("bias", bias, BIASES)] if bias is not None else [])]:
        with faults:
            if word not in choice:
                raise UsageError(f"no {what} {word!r}; choose among {', '.join(choice)}")
    faults.stop()


def check_options(method: Method, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, all of which the method must know, each of the kind that its signature says."""
    entry = passes_entry(method)
    names = entry.options if entry else ()
    faults = Faults()
    with faults:
        if surplus := sorted(set(options) - set(names)):
            takes = ", ".join(names) or "none"
            raise UsageError(f"{method_name(method)} has no option {', '.join(surplus)}; it takes {takes}")
    for name in [name for name in options if name in names]:
        with faults:
            _check_kind(method_name(method), name, options[name])
    faults.stop()
    return dict(options)


def _check_kind(method: str, name: str, value: Any) -> None:
    annotation = inspect.signature(PASSES[method].explain).parameters[name].annotation
    kinds = annotation.split(" | ")
    if value is None and "None" in kinds:
        return
    kinds = [kind for kind in kinds if kind != "None"]
    fits = isinstance(value, tuple(KINDS.get(kind, object) for kind in kinds))
    if not fits or (isinstance(value, bool) and kinds[0] in ("int", "float")):
        raise UsageError(f"{method} takes {name} as {' or '.join(kinds)}, not {value!r}")
    if kinds == ["int"] and name != "seed" and value > MOST_PASSES:  # a token's number may be larger
        raise UsageError(f"{method} takes {name} of at most {MOST_PASSES:,}, not {value!r}")
    if kinds == ["float"] and not math.isfinite(value):
        raise UsageError(f"{method} takes {name} as a finite number, not {value!r}")


def check_steps(max_steps: Any) -> None:
    """UsageError for a limit that is no number of steps."""
    if max_steps is not None and (
        isinstance(max_steps, bool) or not isinstance(max_steps, Integral) or max_steps < 1
    ):
        raise UsageError(f"max_steps is a number of 1 or more, not {max_steps!r}")


def passes_entry(method: Method) -> PassesEntry | None:
    """The entry of a method of many passes, None for a method of one walk."""
    return PASSES.get(method) if isinstance(method, str) else None


def overrides(rules: Rules) -> tuple[Override, ...]:
    """The rules of a TOML file, or of a list of dicts or of entries that were read before."""
    if rules is None:
        return ()
    return read_overrides(rules) if isinstance(rules, (str, os.PathLike)) else parse_overrides(rules)


def masked(graph: Graph, masks: Sequence[str] | str | None) -> Graph:
    """The graph whose masks are these inputs, and no others; itself, where nothing is said. Raises UsageError."""
    if masks is None:
        return graph
    names = (masks,) if isinstance(masks, str) else tuple(masks)
    if unknown := [name for name in names if name not in graph.inputs]:
        raise UsageError(f"mask names '{unknown[0]}'; the model's inputs are {', '.join(graph.inputs)}")
    return replace(graph, masks=names)


def input_range_of(graph: Graph, stated: Range, prepare: Preprocess | None) -> Range:
    """The user's range, else that of prepared pictures, else what the model's metadata tell; it must broadcast to the
    input."""
    if stated is None:
        return prepare.input_range if prepare else read_metadata_range(graph.metadata)
    faults = Faults()
    for name, (low, high) in stated.items() if isinstance(stated, Mapping) else [("", stated)]:
        with faults:
            if name and name not in graph.inputs:
                inputs = ", ".join(graph.inputs)
                raise UsageError(f"input_range names '{name}'; the model's inputs are {inputs}")
            if not np.all(np.asarray(low) <= np.asarray(high)):
                raise UsageError(
                    f"input_range: low must be a number that does not exceed high, got {low} and {high}"
                )
    faults.stop()
    return stated
