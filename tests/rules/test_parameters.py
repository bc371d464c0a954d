"""Parameters of rules that mean nothing are refused when the rule is made, from a file as from Python."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from onnxdtd.errors import UsageError
from onnxdtd.methods.overrides import parse_overrides
from onnxdtd.registry import RULES

STABILISED = sorted(
    name for name, entry in RULES.items() if "epsilon" in inspect.signature(entry.make).parameters
)
NOT = [-1, -1e-9, float("nan"), float("inf"), 1e-320, True, "a", [1.0], []]


@pytest.mark.parametrize("name", STABILISED)
@pytest.mark.parametrize("value", NOT, ids=repr)
def test_a_stabiliser_is_0_or_a_number_that_single_precision_holds(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match="epsilon"):
        parse_overrides([{"op": "Conv", "use": name, "epsilon": value}])


@pytest.mark.parametrize("name", ["gamma", "gamma_plain"])
@pytest.mark.parametrize("value", [*NOT[:4], 1e308, *NOT[5:]], ids=repr)
def test_gamma_is_0_or_more(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match="gamma"):
        parse_overrides([{"op": "Conv", "use": name, "gamma": value}])


@pytest.mark.parametrize("name", STABILISED)
def test_no_stabiliser_at_all_is_one(name: str) -> None:
    for value in (0, 0.0, -0.0, 1e-37):
        assert len(parse_overrides([{"op": "Conv", "use": name, "epsilon": value}])) == 1
