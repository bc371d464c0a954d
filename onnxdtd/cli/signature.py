"""What typer reads of a command: its parameters, which decorators may add to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

Command = Callable[..., str]


def parameters_of(command: Command) -> list[inspect.Parameter]:
    """A command's own parameters, keyword-only, with their annotations resolved."""
    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters.values()
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in own]


def option(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """A parameter that a decorator adds."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def shown_with(parameters: Sequence[inspect.Parameter], call: Command) -> Command:
    """The function, which typer takes for one with these parameters."""
    function: Any = call
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    return call
