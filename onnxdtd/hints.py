"""Whether what was read from a file is of the type that a field of a dataclass says, and the dataclass made of it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")
_NOT_FINITE = ("nan", "inf", "-inf")
"""What stands in JSON for a number that is not finite, see `folder.plain`."""


def made(of: Callable[..., T], document: Any) -> T:
    """An object of the dataclass `of` from an entry of JSON that has its fields, and perhaps others: lists become
    tuples or arrays, entries the dataclasses of their fields. Raises ValueError, which names the field that is
    missing or of another type."""
    if not isinstance(document, Mapping):
        raise ValueError("it is no object")
    hints, fields = get_type_hints(of), dict[str, Any]()
    dataclass: Any = of  # which types have no public name for
    for field in dataclasses.fields(dataclass):
        if field.name in document:
            try:
                fields[field.name] = converted(document[field.name], hints[field.name])
            except (ValueError, OverflowError) as error:
                inner = f": {error}" if str(error) else ""
                raise ValueError(f"'{field.name}' is of another type{inner}") from None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"it lacks '{field.name}'")
    return of(**fields)


def converted(value: Any, hint: Any) -> Any:
    """A value of JSON as one of a type that `fits` knows, as an array or a dataclass. ValueError where it is none."""
    hint = _spelled(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for part in parts:
            try:
                return converted(value, part)
            except ValueError:
                continue
        raise ValueError
    if hint is float and (value in _NOT_FINITE or fits(value, float)):
        return float(value)
    if origin is np.ndarray and isinstance(value, list):
        plain = {*map(type, value)} <= {int, float}  # as nearly all are
        return np.array(value if plain else [converted(number, float) for number in value], np.float64)
    if origin is tuple and isinstance(value, list):
        kinds = repeat(parts[0], len(value)) if parts[-1] is Ellipsis else parts
        return tuple(converted(entry, kind) for entry, kind in zip(value, kinds, strict=True))
    if origin is Literal and value in parts:
        return value
    if isinstance(value, Mapping) and isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return made(hint, value)
    if isinstance(value, Mapping) and isinstance(origin, type) and issubclass(origin, Mapping):
        return {converted(key, parts[0]): converted(entry, parts[1]) for key, entry in value.items()}
    if origin is Literal or not fits(value, hint):
        raise ValueError
    return value


def misfit(fields: Mapping[str, Any], of: type) -> str:
    """The name of the first field whose value is not of its annotated type, "" where all are. Numbers that are whole
    are floats, too, and truth values are no numbers."""
    hints = get_type_hints(of)
    return next((name for name, value in fields.items() if not fits(value, hints.get(name, Any))), "")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type: a class, Any, None, a union, a mapping, a list or a tuple of such."""
    hint = _spelled(hint)
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


def _spelled(hint: Any) -> Any:
    """What a name of a type stands for, as `NDArray` of newer versions of NumPy."""
    name = get_origin(hint) or hint
    return _spelled(name.__value__) if hasattr(name, "__value__") else hint


def _inside(value: Any, parts: tuple[Any, ...]) -> bool:
    if isinstance(value, Mapping):
        return all(fits(key, parts[0]) and fits(entry, parts[1]) for key, entry in value.items())
    if isinstance(value, tuple) and parts[-1:] != (Ellipsis,):
        return len(value) == len(parts) and all(map(fits, value, parts))
    return all(fits(entry, parts[0]) for entry in value)
