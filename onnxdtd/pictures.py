"""The way from a result to its pictures, which lie above it: the front door says what loads them, so that matplotlib
is imported with the first picture and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_loaders: list[Callable[[], Any]] = []


def drawn_by(load: Callable[[], Any]) -> None:
    """load: returns the room that draws, with `fill`, `picture` and `page`."""
    _loaders[:] = [load]


def drawing_room() -> Any:
    """The room that draws."""
    return _loaders[0]()
