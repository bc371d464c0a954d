"""The entry of a method, which is named, or is a function of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxdtd.entries import MethodEntry
from onnxdtd.errors import UsageError
from onnxdtd.methods.place import Options, Place
from onnxdtd.registry import METHODS, PASSES
from onnxdtd.rules import Rule
from onnxdtd.rules.rule import is_rule

Method = str | Callable[[Place, Options], Rule]
"""A method by name, or any callable (place, options) -> rule."""


def method_entry(method: Method) -> MethodEntry:
    """The registered entry of a name or of a function that `@method` registered; for any other callable one that
    starts from the target's value and is called as the callable is. Raises UsageError for an unknown name."""
    if isinstance(method, str):
        if method not in METHODS:
            names = ", ".join(sorted({*METHODS, *PASSES}))
            raise UsageError(f"no method {method!r}; the methods are auto, {names}")
        return METHODS[method]
    for entry in METHODS.values():
        if entry.assign is method:
            return entry
    summary = (getattr(method, "__doc__", None) or "").strip().split("\n")[0]
    return MethodEntry(method_name(method), _checked(method), "value", "absorb", "", summary)


def method_name(method: Method) -> str:
    """The name that results bear; a callable that is named as a registered method has its module before it."""
    if isinstance(method, str):
        return method
    for entry in METHODS.values():
        if entry.assign is method:
            return entry.name
    function: Any = method
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    if not hasattr(function, "__name__"):
        function = type(function)
    taken = function.__name__ in {"auto", *METHODS, *PASSES}
    return f"{function.__module__}.{function.__name__}" if taken else str(function.__name__)


def _checked(method: Callable[[Place, Options], Rule]) -> Callable[[Place, Options], Rule]:
    def assign(place: Place, options: Options) -> Rule:
        rule = method(place, options)
        if not is_rule(rule):
            raise UsageError(f"method {method_name(method)} gives {place.node} no rule but {rule!r}")
        return rule

    return assign
