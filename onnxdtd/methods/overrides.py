"""`--rules FILE.toml`: the user's own rules for chosen nodes, on top of a method.

    [[rule]]
    op = "Conv"            # any of: op, kind, family, name (a glob), first = true, last = true
    use = "gamma"          # a rule by name, its parameters beside it
    gamma = 0.1

All conditions of an entry must hold; where several entries match, the last one counts. `use = "stop"` (with op and
name only) takes what a node computes as a constant: no relevance goes through it. In Python, `use` may also be a rule
itself: {"op": "Conv", "use": gamma(0.1)}.
"""

from __future__ import annotations

import fnmatch
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from onnxdtd.disk import read_toml
from onnxdtd.errors import UsageError
from onnxdtd.methods.place import Place
from onnxdtd.model.graph import Node
from onnxdtd.registry import RULES
from onnxdtd.rules import Rule
from onnxdtd.rules.rule import is_rule
from onnxdtd.rules.terms import Bias

BIASES: tuple[str, ...] = get_args(Bias)
CONDITIONS = {"op": str, "kind": str, "family": str, "name": str, "first": bool, "last": bool}


@dataclass(frozen=True)
class Override:
    """One entry of the file: conditions and the rule for what they match (None: stop). written: the entry as the user
    wrote it; None where it holds a rule that is made already."""

    conditions: Mapping[str, Any]
    rule: Rule | None
    written: Mapping[str, Any] | None = None

    def described(self) -> str:
        """The conditions as the user wrote them."""
        return ", ".join(f"{key} = {value!r}" for key, value in self.conditions.items())

    def stops(self, node: Node) -> bool:
        """Whether relevance is to stop at the node."""
        name, op = self.conditions.get("name", "*"), self.conditions.get("op", node.op)
        return self.rule is None and fnmatch.fnmatchcase(node.name, name) and op == node.op

    def matches(self, place: Place) -> bool:
        """Whether every condition holds."""
        facts = {
            "op": place.node.op,
            "kind": place.op.kind,
            "family": place.op.family,
            "first": place.first,
            "last": place.last,
        }
        name = self.conditions.get("name", "*")
        others = {k: v for k, v in self.conditions.items() if k != "name"}
        return fnmatch.fnmatchcase(place.node.name, name) and all(facts[k] == v for k, v in others.items())


def read_overrides(path: str | os.PathLike[str]) -> tuple[Override, ...]:
    """Read the file. Raises UsageError with every fault of it, a line each."""
    try:
        document = read_toml(path)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # TOMLDecodeError, or bytes that are no UTF-8
        raise UsageError(f"'{path}' is not valid TOML: {error}") from None
    entries = document.get("rule")
    if set(document) != {"rule"} or not isinstance(entries, list):
        raise UsageError(f"'{path}' must hold [[rule]] tables and nothing else")
    return parse_overrides(entries, str(path))


def parse_overrides(
    entries: Sequence[Mapping[str, Any] | Override], where: str = "rules"
) -> tuple[Override, ...]:
    """The same from dicts, as Python callers pass them; what is an `Override` already stays as it is."""
    overrides, faults = [], []
    for i, entry in enumerate(entries, 1):
        try:
            overrides.append(entry if isinstance(entry, Override) else _parse(entry))
        except UsageError as error:
            faults.append(f"{where}: rule {i}: {error}")
    if faults:
        raise UsageError("\n".join(faults))
    return tuple(overrides)


def _parse(table: Mapping[str, Any]) -> Override:
    if not isinstance(table, Mapping):
        raise UsageError(f"a table of conditions and a rule is wanted, not {table!r}")
    entry = dict(table)
    conditions = {key: entry.pop(key) for key in CONDITIONS if key in entry}
    for key, value in conditions.items():
        if not isinstance(value, CONDITIONS[key]):
            raise UsageError(f"{key} must be a {CONDITIONS[key].__name__}, not {value!r}")
    name = entry.pop("use", None)
    if not conditions:
        raise UsageError(f"no condition; give at least one of {', '.join(CONDITIONS)}")
    if name == "stop":
        if entry or set(conditions) - {"op", "name"}:
            raise UsageError('use = "stop" goes with op and name only')
        return Override(conditions, None, dict(table))
    if is_rule(name):
        if entry:
            raise UsageError(f"{', '.join(sorted(entry))} beside a rule that is made already")
        return Override(conditions, name)
    if not isinstance(name, str) or name not in RULES:
        raise UsageError(f"use = {name!r} is not a rule; the rules are {', '.join(sorted(RULES))}, stop")
    parameters = inspect.signature(RULES[name].make).parameters
    surplus = sorted(set(entry) - set(parameters))
    if surplus:
        raise UsageError(
            f"{name} has no parameter {', '.join(surplus)}; it takes {', '.join(parameters) or 'none'}"
        )
    wrong = [
        f"{key} = {value!r} {fault}"
        for key, value in entry.items()
        if (fault := _fault(parameters[key], value))
    ]
    if wrong:
        raise UsageError(f"{name}: {', '.join(wrong)}")
    return Override(conditions, RULES[name].make(**entry), dict(table))


def _fault(parameter: inspect.Parameter, value: Any) -> str:
    """What is wrong with a rule's parameter, judged by its default."""
    if isinstance(parameter.default, bool):
        return "" if isinstance(value, bool) else "is not true or false"
    if isinstance(parameter.default, str):
        return "" if value in BIASES else f"is not one of {', '.join(BIASES)}"
    many = isinstance(value, list) and "ArrayLike" in str(parameter.annotation)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return "is no array"
    if (
        array.size == 0
        or array.dtype.kind not in "iuf"
        or not (array.ndim == 0 or many)
        or not np.isfinite(array).all()
    ):
        return "is not a number"
    return ""
