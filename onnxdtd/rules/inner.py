"""A loop's rules are those of the nodes of its body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from onnxdtd.entries import OpEntry
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Site
from onnxdtd.rules.rule import Facts, Rule


@dataclass(frozen=True)
class Inner(Rule):
    """What holds of all rules of a body; the walk goes through it step by step."""

    rules: tuple[Rule, ...]
    product: bool = False
    passes: bool = False
    products: int = 0
    derived: int = 0

    def __str__(self) -> str:
        return "those of its body"

    @property
    def claims(self) -> frozenset[str]:
        """What every rule claims."""
        return reduce(frozenset.intersection, (rule.claims for rule in self.rules), ALL)

    @property
    def differentiates(self) -> bool:
        """Whether any rule does."""
        return any(rule.differentiates for rule in self.rules)

    @property
    def accounts(self) -> bool:
        """Whether every rule does."""
        return all(rule.accounts for rule in self.rules)

    def serves(self, op: OpEntry) -> bool:
        """Loops."""
        return op.kind == "loop"

    def prune(self, facts: Facts) -> Inner:
        """The rules of the body are pruned by its own signs."""
        return self

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        """Raises UnsupportedError: a loop has no site of its own."""
        raise UnsupportedError(f"'{site.name}': relevance goes through a loop step by step")


ALL = frozenset({"conserves", "nonnegative"})
