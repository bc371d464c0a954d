"""Which methods are evaluated: names, functions, arrays and Explainers, each tried before any is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.errors import OnnxdtdError, UsageError
from onnxdtd.methods.entry import method_name
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.metrics.sources import CONTROLS, Ask, Called, Control, Native, Source, Stored
from onnxdtd.passes import PASSES, Explainer
from onnxdtd.registry import METHODS

ALL = "all"
Methods = str | Callable[..., Any] | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A method by name, and how to make it. optional: left out with the reason, where the model does not allow it."""

    name: str
    make: Callable[[], Source]
    optional: bool = False


def candidates(methods: Methods, native: Callable[[str], Explainer], scorer: Scorer) -> list[Candidate]:
    """What was asked for, each under its own name. UsageError for unknown or equal names.

    native: makes the Explainer of a method by name. `all`: every method of onnxdtd, and the control `random`.
    """
    entries = [methods] if isinstance(methods, str) or callable(methods) else methods
    pairs = (
        list(entries.items())
        if isinstance(entries, Mapping)
        else [(_name(entry), entry) for entry in entries]
    )
    by_name: dict[str, Candidate] = {}
    for name, entry in pairs:
        for candidate in _expanded(str(name), entry, native, scorer):
            if candidate.name in by_name and not (candidate.optional or by_name[candidate.name].optional):
                raise UsageError(f"two methods are named '{candidate.name}': give a dict of names")
            by_name.setdefault(candidate.name, candidate)
    if not by_name:
        raise UsageError(f"no method to evaluate; give some of {', '.join(_names())}")
    return list(by_name.values())


def allowed(
    chosen: Sequence[Candidate], ask: Ask, output: str
) -> tuple[list[Candidate], dict[str, str], dict[str, str]]:
    """Try each on one input: those that work; of the optional ones that do not, the reason; what plans warn of."""
    working, skipped, warned = [], {}, {}
    for candidate in chosen:
        try:
            source = candidate.make()
            source(ask)
            working.append(candidate)
            if isinstance(source, Native) and (
                warnings := source.explainer.at(ask.feeds).plan(output).warnings
            ):
                warned[candidate.name] = "; ".join(warnings)
        except OnnxdtdError as error:
            if not candidate.optional:
                raise
            skipped[candidate.name] = str(error).splitlines()[0]
    if not working:
        raise UsageError(
            "the model allows no method: " + "; ".join(f"{n}: {why}" for n, why in skipped.items())
        )
    return working, skipped, warned


def _expanded(name: str, entry: Any, native: Callable[[str], Explainer], scorer: Scorer) -> list[Candidate]:
    if isinstance(entry, str):
        if entry == ALL:
            every = [*METHODS, *PASSES]
            return [_built_in(each, each, native, scorer, True) for each in (*every, "random")]
        if entry not in _names():
            raise UsageError(f"no method '{entry}'; choose among {', '.join(_names())}")
        if name == entry == "auto":
            name = native("auto").plan(scorer.output).by
        return [_built_in(name, entry, native, scorer, False)]
    if isinstance(entry, Explainer):
        return [Candidate(name, lambda: Native(entry, scorer))]
    if callable(entry):
        return [Candidate(name, lambda: Called(name, entry, scorer))]
    if isinstance(entry, (np.ndarray, Mapping)):
        return [Candidate(name, lambda: Stored(name, entry, scorer))]
    raise UsageError(
        f"method '{name}' is a name, a function f(x, target), an Explainer or an array, not {type(entry).__name__}"
    )


def _built_in(
    name: str, method: str, native: Callable[[str], Explainer], scorer: Scorer, optional: bool
) -> Candidate:
    if method in CONTROLS:
        return Candidate(name, lambda: Control(method, scorer), optional)
    return Candidate(name, lambda: Native(native(method), scorer), optional)


def _name(entry: Any) -> str:
    if isinstance(entry, Explainer):
        return method_name(entry.method)
    if isinstance(entry, (np.ndarray, Mapping)):
        raise UsageError("arrays of relevance need a name: give methods as a dict, {'mine': array}")
    return entry if isinstance(entry, str) else str(getattr(entry, "__name__", type(entry).__name__))


def _names() -> tuple[str, ...]:
    return (ALL, "auto", *sorted({*METHODS, *PASSES}), *CONTROLS)
