"""What options say in a text of their own: `--set NAME=VALUE`, the settings of a method of many passes, read by what
its signature says of them; `--fixed NAME=VALUE`, inputs; `--only VALUE=3,17`, channels of values inside the model."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.errors import Faults, UsageError
from onnxdtd.plan.focus import CHANNELS
from onnxdtd.printing import is_whole

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


def fixed_inputs(texts: Sequence[str]) -> dict[str, Any]:
    """What several `--fixed NAME=VALUE` say: a number, true or false, a list, or a file. UsageError."""
    fixed, faults = dict[str, Any](), Faults()
    for text in texts:
        with faults:
            name, _, value = text.partition("=")
            if not name or not value:
                raise UsageError(f"--fixed {text}: give an input and its value, such as sr=16000")
            if name in fixed:
                raise UsageError(f"--fixed {text}: '{name}' is fixed twice")
            fixed[name] = _constant(text, value)
    faults.stop()
    return fixed


def _constant(text: str, value: str) -> Any:
    if Path(value).suffix in (".npy", ".pb"):
        return Path(value)
    try:
        return json.loads(value.lower())
    except ValueError:
        raise UsageError(
            f"--fixed {text}: a value is a number, true, false, a list such as [1,2], or a file .npy or .pb"
        ) from None


def restrictions(texts: Sequence[str]) -> dict[str, dict[int, list[int]]]:
    """What several `--only` say together: channels by value and axis."""
    only: dict[str, dict[int, list[int]]] = {}
    for text in texts:
        value, axis, channels = restriction(text)
        only.setdefault(value, {}).setdefault(axis, []).extend(channels)
    return only


def restriction(text: str) -> tuple[str, int, list[int]]:
    """Value, axis and channels of `VALUE=3,17`, or of `VALUE=3,17@-1` for another axis than 1. Raises UsageError."""
    value, _, rest = text.rpartition("=")
    channels, at, axis = rest.partition("@")
    parts = [part.strip() for part in channels.split(",")]
    if not value or not all(map(is_whole, parts)) or (at and not is_whole(axis.removeprefix("-"))):
        raise UsageError(
            f"--only {text}: give a value and channels, such as conv5=3,17, or conv5=3,17@-1 on the last axis"
        )
    return value, int(axis) if at else CHANNELS, [int(part) for part in parts]
