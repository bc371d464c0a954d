"""What every rule is: how relevance is shared through any linear map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from onnxdtd.entries import OpEntry
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Site
from onnxdtd.primitives import quotient


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a node's signs from the graph alone, so that terms that are zero can be left out.

    inputs_nonnegative: every data input is >= 0. vanishes_below_zero: no relevance arrives where the output is
    <= 0 (it feeds ReLUs whose own consumers share relevance as R = x * c).
    """

    inputs_nonnegative: bool = False
    vanishes_below_zero: bool = False


class Rule(Protocol):
    """(site, r) -> one relevance per data input, each shaped like its input; r is shaped like the output.

    A class that derives from it says what differs from what is written here.
    """

    @property
    def product(self) -> bool:
        """Whether R = x * c: relevance vanishes where the input does."""
        return False

    @property
    def one_sided(self) -> bool:
        """Whether no input <= 0 is given relevance, where no weight is negative."""
        return False

    @property
    def claims(self) -> frozenset[str]:
        """What holds by construction: `conserves`, `nonnegative` (for r >= 0)."""
        return frozenset()

    @property
    def passes(self) -> bool:
        """Whether each value keeps what relevance it has: none comes from where none arrives."""
        return False

    @property
    def differentiates(self) -> bool:
        """Whether it hands on the derivative, so that nothing comes through an op that is piecewise constant."""
        return False

    @property
    def products(self) -> int:
        """How often it applies a node's map or its adjoint; a sum that the forward pass made is not made again."""
        return 2

    @property
    def derived(self) -> int:
        """How many other weights it makes of a linear op's own."""
        return 0

    @property
    def accounts(self) -> bool:
        """Whether it tells `site.lost` of all relevance that it does not hand on, so that books can be kept."""

    def serves(self, op: OpEntry) -> bool:
        """Whether the rule means something at such an op."""
        return True

    def prune(self, facts: Facts) -> Rule:
        """The same rule, without work that the facts show to be zero."""
        return self

    @property
    def divides(self) -> bool:
        """Whether it divides relevance by the output first, so that it had rather be handed the ratio."""
        return False

    def carries(self, site: Site) -> bool:
        """Whether it can hand on relevance over value, R_i / x_i, at this site: see `through`."""
        return False

    def ratio(self, site: Site, r: Any) -> Any:
        """r_j / z_j, stabilised, of a rule that divides: how relevance becomes a ratio."""
        return quotient(r, site.output)

    def through(self, site: Site, q: Any) -> tuple[Any, ...]:
        """R_i / x_i of each data input, from q_j = r_j / z_j: the same shares, without a division where the formula
        divides by just what it multiplied by before. Asked only where `carries` says so."""
        raise UnsupportedError(f"rule {self} hands on relevance, and no ratio of it")

    def multiplies(self, site: Site) -> bool:
        """Whether R_i = x_i c_i at this site, and `factors` makes the c_i."""
        return False

    def factors(self, site: Site, r: Any) -> tuple[Any, ...]:
        """R_i / x_i of each data input, from the relevance r. Asked only where `multiplies` says so."""
        raise UnsupportedError(f"rule {self} hands on relevance, and no ratio of it")

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        """Share the relevance r."""


def is_rule(thing: Any) -> bool:
    """Whether it has what a rule has. A class is none: it makes rules."""
    parts = ("product", "claims", "passes", "differentiates", "products", "derived", "serves", "prune")
    return callable(thing) and not isinstance(thing, type) and all(hasattr(thing, part) for part in parts)
