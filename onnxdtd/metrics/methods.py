"""Which methods are evaluated: names, functions, arrays and Explainers, each tried before any is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.errors import OnnxdtdError, UsageError
from onnxdtd.methods.entry import method_name
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.metrics.sources import CONTROLS, Ask, Called, Control, Given, Native, Source
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
    given = [methods] if isinstance(methods, str) or callable(methods) else methods
    pairs = list(given.items()) if isinstance(given, Mapping) else [(_name(entry), entry) for entry in given]
    found: dict[str, Candidate] = {}
    for name, entry in pairs:
        for candidate in _expanded(str(name), entry, native, scorer):
            if candidate.name in found and not (candidate.optional or found[candidate.name].optional):
                raise UsageError(f"two methods are named '{candidate.name}': give a dict of names")
            found.setdefault(candidate.name, candidate)
    if not found:
        raise UsageError(f"no method to evaluate; give some of {', '.join(_names())}")
    return list(found.values())


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
            if isinstance(source, Native) and (warnings := source.explainer.plan(output).warnings):
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
            return [_known(each, each, native, scorer, True) for each in (*every, "random")]
        if entry not in _names():
            raise UsageError(f"no method '{entry}'; choose among {', '.join(_names())}")
        if name == entry == "auto":
            name = native("auto").plan(scorer.output).by
        return [_known(name, entry, native, scorer, False)]
    if isinstance(entry, Explainer):
        return [Candidate(name, lambda: Native(entry, scorer))]
    if callable(entry):
        return [Candidate(name, lambda: Called(name, entry, scorer))]
    if isinstance(entry, (np.ndarray, Mapping)):
        return [Candidate(name, lambda: Given(name, entry, scorer))]
    raise UsageError(
        f"method '{name}' is a name, a function f(x, target), an Explainer or an array, not {type(entry).__name__}"
    )


def _known(
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
