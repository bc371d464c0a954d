"""Examples of every op, a file for each group: what the registry-driven tests run over. An op without one fails by
name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

import pytest

from onnxdtd.entries import OpEntry
from onnxdtd.ops import OPS
from tests.support.single_op import Example, X

EXAMPLES: list[Example] = []
for module in pkgutil.iter_modules(__path__):
    EXAMPLES += importlib.import_module(f"{__name__}.{module.name}").EXAMPLES


def entry_of(example: Example) -> OpEntry:
    """The op's entry where just the example's data inputs carry relevance."""
    carrying = tuple(i for i, x in enumerate(example.inputs) if isinstance(x, X))
    return OPS[example.domain, example.op].at(carrying, example.attributes)


def once(examples: Iterable[Example]) -> list[Any]:
    """Examples as parameters of a test, the first of each op marked as quick."""
    ops: set[tuple[str, str]] = set()
    parameters = []
    for example in examples:
        key = example.domain, example.op
        parameters.append(
            pytest.param(example, id=str(example), marks=[] if key in ops else [pytest.mark.quick])
        )
        ops.add(key)
    return parameters
