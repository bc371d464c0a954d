"""`--set NAME=VALUE`: the settings of a method of many passes, read by what its signature says of them."""

from __future__ import annotations

import inspect
import json
from typing import Any

import onnxdtd
from onnxdtd.errors import UsageError

WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def setting(method: str, text: str) -> dict[str, Any]:
    """`steps=128` as {"steps": 128}. UsageError where the method takes no such name, or no such value."""
    name, _, written = text.partition("=")
    taken = onnxdtd.PASSES[method].options if method in onnxdtd.PASSES else ()
    if name not in taken:
        raise UsageError(
            f"--set {text}: {method} takes {', '.join(f'{n}=...' for n in taken) or 'no settings'}"
        )
    parameter = inspect.signature(onnxdtd.PASSES[method].explain).parameters[name]
    if isinstance(parameter.default, str) or "str" in parameter.annotation:
        return {name: written}
    kind = _kind(parameter)
    try:
        value = json.loads(written)
    except ValueError:
        value = None
    several = isinstance(value, list) and parameter.default is None  # such as a patch of [8, 16]
    for number in value if several else [value]:
        if type(number) is not kind and not (kind is float and type(number) is int):
            raise UsageError(f"--set {text}: {name} is {WORDS[kind]}")
    return {name: tuple(value) if several else value}


def _kind(parameter: inspect.Parameter) -> type:
    """bool, int or float: what is neither a switch nor a fraction by its default is a count."""
    if isinstance(parameter.default, bool | float):
        return type(parameter.default)
    return int
