"""The tables of ops, rules, methods (of one walk, or of many passes), audits and metrics, filled by one
decorator each; sibling modules load themselves. An entry is declared where it is written:

    @op("Conv", kind="linear", family="convolution")        # onnxdtd/ops/conv.py
    @rule("zplus")                                           # onnxdtd/rules/zplus.py
    @method("epsilon_plus")                                  # onnxdtd/methods/epsilon_plus.py
    @many_passes("smoothgrad")                                  # onnxdtd/passes/smoothgrad.py
    @audit("stability", cost="full", source="...")           # onnxdtd/audit/stability.py
    @metric("sparseness", better={"gini": "higher"}, source="...")   # onnxdtd/metrics/sparseness.py

and found through `OPS`, `RULES`, `METHODS`, `PASSES`, `AUDITS`, `METRICS`. A package whose files declare entries
calls `autoload(__name__)` in its `__init__`, so that adding a file is all it takes to add an op, a rule or a method.
"""

from __future__ import annotations

import copyreg
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar

from onnxdtd.entries import (
    AuditEntry,
    Finish,
    Kind,
    MethodEntry,
    MetricEntry,
    OpEntry,
    PassesEntry,
    RuleEntry,
)

T = TypeVar("T", bound=Callable[..., Any])

OPS: dict[tuple[str, str], OpEntry] = {}
RULES: dict[str, RuleEntry] = {}
METHODS: dict[str, MethodEntry] = {}
PASSES: dict[str, PassesEntry] = {}
AUDITS: dict[str, AuditEntry] = {}
METRICS: dict[str, MetricEntry] = {}


def op(
    *names: str,
    kind: Kind,
    family: str = "",
    data: tuple[int, ...] | None = (0,),
    factors: tuple[int, ...] = (),
    domain: str = "",
    **more: Any,
) -> Callable[[T], T]:
    """Register the site builder of one or more operators; see `OpEntry`."""

    def register(build: T) -> T:
        for name in names:
            entry = OpEntry(name, domain, kind, family or kind, data, factors, build, _summary(build), **more)
            _add(OPS, (domain, name), entry)
        return build

    return register


def without_site(kind: Kind, *names: str, reason: str, domain: str = "", **more: Any) -> None:
    """Register operators that are no linear map: those of kind barrier (integers, booleans, shapes), expanded
    or refuse."""
    for name in names:
        _add(OPS, (domain, name), OpEntry(name, domain, kind, kind, (), (), None, reason, **more))


def rule(name: str, *, direction: Callable[..., Any] | None = None) -> Callable[[T], T]:
    """Register a rule under the name used by methods, `--rules` files and results."""

    def register(make: T) -> T:
        _add(RULES, name, RuleEntry(name, make, _summary(make), direction))
        return make

    return register


def method(
    name: str,
    *,
    seed: Literal["value", "positive", "one"] = "value",
    bias: Literal["absorb", "redistribute"] = "absorb",
    finish: Finish = "",
    **more: Any,
) -> Callable[[T], T]:
    """Register a method; see `MethodEntry`."""

    def register(assign: T) -> T:
        _add(METHODS, name, MethodEntry(name, assign, seed, bias, finish, _summary(assign), **more))
        return assign

    return register


def many_passes(name: str, *, base: str = "gradient", adds_up: bool = False) -> Callable[[T], T]:
    """Register a method of many passes; its keyword-only parameters, `progress` aside, are its options."""

    def register(explain: T) -> T:
        parameters = inspect.signature(explain).parameters.values()
        options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "progress")
        _add(PASSES, name, PassesEntry(name, explain, base, adds_up, options, _summary(explain)))
        return explain

    return register


def audit(
    name: str,
    *,
    cost: Literal["quick", "full"],
    source: str,
    findings: tuple[str, ...] = (),
    books: bool = False,
) -> Callable[[T], T]:
    """Register an audit, whose one finding has its name unless others are given; see `AuditEntry`."""

    def register(perform: T) -> T:
        _add(
            AUDITS,
            name,
            AuditEntry(name, perform, cost, source, findings or (name,), _summary(perform), books),
        )
        return perform

    return register


def metric(name: str, **about: Any) -> Callable[[T], T]:
    """Register a metric; see `MetricEntry`."""

    def register(measure: T) -> T:
        _add(METRICS, name, MetricEntry(name, measure, _summary(measure), **about))
        return measure

    return register


def _reduced(entry: OpEntry) -> tuple[Any, ...]:
    """An op's entry is pickled as its key and what differs from the registered one: declarations may be lambdas."""
    key = (entry.domain, entry.name)
    pairs = [(f.name, getattr(entry, f.name), getattr(OPS[key], f.name)) for f in fields(entry)]
    return _restored, (key, {name: own for name, own, registered in pairs if own is not registered})


def _restored(key: tuple[str, str], changes: dict[str, Any]) -> OpEntry:
    return replace(OPS[key], **changes)


copyreg.pickle(OpEntry, _reduced)


def autoload(package: str) -> None:
    """Import every module beside `package`'s `__init__`, so that their decorators run."""
    for module in pkgutil.iter_modules(sys.modules[package].__path__):
        importlib.import_module(f"{package}.{module.name}")


def _add(table: dict[Any, Any], key: Any, entry: Any) -> None:
    if table.setdefault(key, entry) is not entry:
        raise RuntimeError(f"{key!r} is registered twice")


def _summary(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().split("\n")[0]
