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

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

Kind = Literal[
    "linear", "route", "select", "elementwise", "gate", "norm", "recurrent", "barrier", "expanded", "refuse"
]
Finish = Literal["", "times_input", "square"]


@dataclass(frozen=True, slots=True)
class OpEntry:
    """One operator: what kind of map it is and the function that builds its site.

    kind: linear (weighted sums) · route (moves or copies values) · select (max, top-k) · elementwise
    (activations) · gate (product of two data inputs) · norm · recurrent · barrier (integer, boolean, shape:
    carries no relevance) · expanded (into the nodes of its ONNX definition, when the model is read) · refuse.
    family refines the kind for methods: convolution, dense, sum, pool, scale. data: the input slots that carry
    relevance, None for all. factors: slots that the op multiplies: where more than one of them carries relevance,
    the op is a gate. otherwise: the kind where just these slots carry. variants: kind and family, by the value of an
    attribute. embeds: slots whose integers it turns into floats. since: the oldest opset whose meaning it knows.
    compiles: whether the walk can be traced through it. range(at): where the outputs lie if the inputs lie in their
    domains, None for anywhere. work(at): its multiplications for one sample, where they count.
    """

    name: str
    domain: str
    kind: Kind
    family: str
    data: tuple[int, ...] | None
    factors: tuple[int, ...]
    site: Callable[..., Any] | None
    doc: str
    otherwise: Mapping[tuple[int, ...], Kind] = field(default_factory=dict)
    variants: Mapping[tuple[str, Any], tuple[Kind, str]] = field(default_factory=dict)
    embeds: tuple[int, ...] = ()
    since: int = 1
    compiles: bool = True
    range: Callable[..., Any] | None = None
    work: Callable[..., int] | None = None

    def at(self, slots: tuple[int, ...], attributes: Mapping[str, Any]) -> OpEntry:
        """The entry of a node with these attributes, at which relevance goes on through these slots."""
        chosen = [v for (key, value), v in self.variants.items() if attributes.get(key) == value]
        if chosen:
            return replace(self, kind=chosen[0][0], family=chosen[0][1])
        if slots in self.otherwise:
            return replace(self, kind=self.otherwise[slots], family=self.otherwise[slots])
        multiplies = sum(slot in self.factors for slot in slots) > 1
        return replace(self, kind="gate", family="gate") if multiplies else self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its key and what differs from the registered entry: declarations may be lambdas."""
        own = OPS[self.domain, self.name]
        each = [(f.name, getattr(self, f.name), getattr(own, f.name)) for f in fields(self)]
        changes = {name: mine for name, mine, registered in each if mine is not registered}
        return _entry, ((self.domain, self.name), changes)


def _entry(key: tuple[str, str], changes: Mapping[str, Any]) -> OpEntry:
    return replace(OPS[key], **changes)


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One rule: `make(**parameters)` returns it."""

    name: str
    make: Callable[..., Any]
    doc: str


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """One method: `assign(context, node)` returns the rule of a node.

    seed: where relevance starts: `value` (the target logit), `positive` (max(0, logit)) or `one`.
    bias: the default of the switch, `absorb` or `redistribute`. finish: what is done last to what arrives at an
    input: nothing, `times_input` or `square`.
    """

    name: str
    assign: Callable[..., Any]
    seed: Literal["value", "positive", "one"]
    bias: Literal["absorb", "redistribute"]
    finish: Finish
    doc: str


@dataclass(frozen=True, slots=True)
class PassesEntry:
    """One method of many passes: `explain(explainer, x, target, *, progress, **options)` returns an explanation.

    base: the method of one walk that its gradient passes take. adds_up: relevance is meant to sum to what the
    seed says. options: the names of what may be set.
    """

    name: str
    explain: Callable[..., Any]
    base: str
    adds_up: bool
    options: tuple[str, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audit: `perform(plan, explanation, rerun)` returns its findings.

    cost: `quick` (a few walks) or `full` (many). source: where the test and its threshold come from. findings:
    the names of what it returns.
    """

    name: str
    perform: Callable[..., Any]
    cost: Literal["quick", "full"]
    source: str
    findings: tuple[str, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """One metric: `measure(case)` returns its scores. better: of each, by the last part of its name. needs: what it
    cannot do without, else it is left out."""

    name: str
    measure: Callable[..., Any]
    doc: str
    better: Mapping[str, Literal["higher", "lower"]]
    source: str
    needs: Literal["", "places", "probability", "another explanation", "another class"] = ""


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


def rule(name: str) -> Callable[[T], T]:
    """Register a rule under the name used by methods, `--rules` files and results."""

    def register(make: T) -> T:
        _add(RULES, name, RuleEntry(name, make, _summary(make)))
        return make

    return register


def method(
    name: str,
    *,
    seed: Literal["value", "positive", "one"] = "value",
    bias: Literal["absorb", "redistribute"] = "absorb",
    finish: Finish = "",
) -> Callable[[T], T]:
    """Register a method; see `MethodEntry`."""

    def register(assign: T) -> T:
        _add(METHODS, name, MethodEntry(name, assign, seed, bias, finish, _summary(assign)))
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
    name: str, *, cost: Literal["quick", "full"], source: str, findings: tuple[str, ...] = ()
) -> Callable[[T], T]:
    """Register an audit, whose one finding has its name unless others are given; see `AuditEntry`."""

    def register(perform: T) -> T:
        _add(AUDITS, name, AuditEntry(name, perform, cost, source, findings or (name,), _summary(perform)))
        return perform

    return register


def metric(name: str, **about: Any) -> Callable[[T], T]:
    """Register a metric; see `MetricEntry`."""

    def register(measure: T) -> T:
        _add(METRICS, name, MetricEntry(name, measure, _summary(measure), **about))
        return measure

    return register


def autoload(package: str) -> None:
    """Import every module beside `package`'s `__init__`, so that their decorators run."""
    for found in pkgutil.iter_modules(sys.modules[package].__path__):
        importlib.import_module(f"{package}.{found.name}")


def _add(table: dict[Any, Any], key: Any, entry: Any) -> None:
    if table.setdefault(key, entry) is not entry:
        raise RuntimeError(f"{key!r} is registered twice")


def _summary(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().split("\n")[0]
