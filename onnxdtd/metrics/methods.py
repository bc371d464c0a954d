"""Which methods are evaluated: names, functions, arrays and Explainers, each tried before any is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.errors import OnnxdtdError, UsageError, brief
from onnxdtd.methods.entry import method_name
from onnxdtd.metrics.case import Settings
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.metrics.sources import CONTROLS, Ask, Called, Control, Native, Source, Stored
from onnxdtd.passes import PASSES, Explainer
from onnxdtd.registry import METHODS

ALL = "all"
Methods = str | Callable[..., Any] | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A method by name. entry: a name, an Explainer, a function or arrays. optional: left out with the reason, where
    the model does not allow it."""

    name: str
    entry: Any
    optional: bool = False


class Maker:
    """Makes the source of a candidate's explanations. base: the explainer, by whatever method, that those of methods
    by name are made from. settings: of the evaluation, which some methods take too."""

    def __init__(self, base: Explainer, scorer: Scorer, settings: Settings) -> None:
        self._base, self.scorer, self._settings = base, scorer, settings

    def explainer(self, method: str) -> Explainer:
        """Of a method by name."""
        names = PASSES[method].options if method in PASSES else ()
        settings, tokens = self._settings, self.scorer.tokens
        shared = {"layout": settings.layout, "occlude": int(settings.constant) if tokens else None}
        options = {name: value for name, value in shared.items() if value is not None and name in names}
        return self._base.by(method, options=options)

    def __call__(self, candidate: Candidate) -> Source:
        """The source."""
        name, entry = candidate.name, candidate.entry
        if isinstance(entry, str) and entry in CONTROLS:
            return Control(entry, self.scorer)
        if isinstance(entry, str):
            return Native(self.explainer(entry), self.scorer)
        if isinstance(entry, Explainer):
            return Native(entry.batched, self.scorer)
        return Called(name, entry, self.scorer) if callable(entry) else Stored(name, entry, self.scorer)


def candidates(methods: Methods, maker: Maker) -> list[Candidate]:
    """What was asked for, each under its own name. UsageError for unknown or equal names.

    `all`: every method of onnxdtd, and the control `random`.
    """
    entries = [methods] if isinstance(methods, str) or callable(methods) else methods
    pairs = (
        list(entries.items())
        if isinstance(entries, Mapping)
        else [(_name(entry), entry) for entry in entries]
    )
    by_name: dict[str, Candidate] = {}
    for name, entry in pairs:
        for candidate in _expanded(str(name), entry, maker):
            if candidate.name in by_name and not (candidate.optional or by_name[candidate.name].optional):
                raise UsageError(f"two methods are named '{candidate.name}': give a dict of names")
            by_name.setdefault(candidate.name, candidate)
    if not by_name:
        raise UsageError(f"no method to evaluate; give some of {', '.join(_names())}")
    return list(by_name.values())


def allowed(
    chosen: Sequence[Candidate], maker: Maker, ask: Ask
) -> tuple[list[Candidate], dict[str, str], dict[str, str]]:
    """Try each on one input: those that work; of the optional ones that do not, the reason; what plans warn of."""
    working, skipped, warned = [], {}, {}
    for candidate in chosen:
        try:
            source = maker(candidate)
            source(ask)
            working.append(candidate)
            if isinstance(source, Native) and (
                warnings := source.explainer.at(ask.feeds).plan(maker.scorer.output).warnings
            ):
                warned[candidate.name] = "; ".join(warnings)
        except OnnxdtdError as error:
            if not candidate.optional:
                raise
            skipped[candidate.name] = brief(error)
    if not working:
        raise UsageError(
            "the model allows no method: " + "; ".join(f"{n}: {why}" for n, why in skipped.items())
        )
    return working, skipped, warned


def _expanded(name: str, entry: Any, maker: Maker) -> list[Candidate]:
    if isinstance(entry, str):
        if entry == ALL:
            return [Candidate(each, each, True) for each in (*METHODS, *PASSES, "random")]
        if entry not in _names():
            raise UsageError(f"no method '{entry}'; choose among {', '.join(_names())}")
        if name == entry == "auto":
            name = maker.explainer("auto").plan(maker.scorer.output).by
        return [Candidate(name, entry)]
    if isinstance(entry, (Explainer, np.ndarray, Mapping)) or callable(entry):
        return [Candidate(name, entry)]
    raise UsageError(
        f"method '{name}' is a name, a function f(x, target), an Explainer or an array, not {type(entry).__name__}"
    )


def _name(entry: Any) -> str:
    if isinstance(entry, Explainer):
        return method_name(entry.method)
    if isinstance(entry, (np.ndarray, Mapping)):
        raise UsageError("arrays of relevance need a name: give methods as a dict, {'mine': array}")
    return entry if isinstance(entry, str) else str(getattr(entry, "__name__", type(entry).__name__))


def _names() -> tuple[str, ...]:
    return (ALL, "auto", *sorted({*METHODS, *PASSES}), *CONTROLS)
