"""Whether what was read from a file is of the type that a field of a dataclass says."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np


def misfit(fields: Mapping[str, Any], of: type) -> str:
    """The name of the first field whose value is not of its annotated type, "" where all are. Numbers that are whole
    are floats, too, and truth values are no numbers."""
    hints = get_type_hints(of)
    return next((name for name, value in fields.items() if not fits(value, hints.get(name, Any))), "")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type: a class, Any, None, a union, a mapping, a list or a tuple of such."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    if origin is not None and isinstance(origin, type):
        return isinstance(value, origin) and _inside(value, parts)
    if hint in (None, type(None)):
        return value is None
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _inside(value: Any, parts: tuple[Any, ...]) -> bool:
    if isinstance(value, Mapping):
        return all(fits(key, parts[0]) and fits(entry, parts[1]) for key, entry in value.items())
    if isinstance(value, tuple) and parts[-1:] != (Ellipsis,):
        return len(value) == len(parts) and all(map(fits, value, parts))
    return all(fits(entry, parts[0]) for entry in value)
