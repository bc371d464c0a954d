"""What an audit finds: a number, the threshold it is held against, and what both mean in the user's words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# The most telling first: which fired finding the honest sentence quotes.
GRAVITY = (
    "input_blind", "conservation", "class_similarity", "cascading_randomisation", "convergence", "rank",
    "independent_randomisation", "roots_region", "roots_domain", "stability", "gradient_x_input", "quantisation",
    "consistency", "positivity",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One number about one explanation.

    name: as `--fail-on` knows it. value: None where the audit does not apply, which the sentence explains.
    fires: on which side of the threshold the value speaks against the explanation. details: plain numbers, lists
    and names behind it, for tables and pictures. audit, source: of the registry's entry.
    """

    name: str
    value: float | None
    threshold: float
    fires: Literal["above", "below"]
    sentence: str
    details: Mapping[str, Any] = field(default_factory=dict)
    audit: str = ""
    source: str = ""

    @property
    def fired(self) -> bool:
        """Whether the value is beyond its threshold; one that is not a number is."""
        if self.value is None:
            return False
        within = self.value <= self.threshold if self.fires == "above" else self.value >= self.threshold
        return not within

    def document(self) -> dict[str, Any]:
        """The entry in audit.json."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**fields, "fired": self.fired}


def honest(findings: Sequence[Finding]) -> str:
    """One sentence for the reader of the heatmap: the gravest finding that fired, or that none did."""
    fired = sorted((f for f in findings if f.fired), key=lambda f: gravity(f.name))
    applied = sum(f.value is not None for f in findings)
    if not fired:
        return (
            f"None of {applied} findings speaks against this heatmap, which is no proof that it is right."
            if applied
            else "No audit applies to this explanation."
        )
    return fired[0].sentence


def middle(values: npt.ArrayLike) -> float | None:
    """The median of the numbers among the values, None where there is none."""
    array = np.asarray(values, np.float64).ravel()
    numbers = array[~np.isnan(array)]
    half = np.sort(numbers)[(numbers.size - 1) // 2 : numbers.size // 2 + 1]
    return float(half.mean()) if numbers.size else None


def percent(share: float) -> str:
    """A share in words: 12 %, 0.4 %, below 0.1 %."""
    if 0 < abs(share) < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.2g} %" if abs(share) < 0.1 else f"{100 * share:.0f} %"


def interval(count: int, of: int, population: int | None = None) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; a sample of the whole population is exact. Source: Wilson 1927."""
    z, share = 1.959964, count / of
    if of == population:
        return share, share
    centre, spread = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def likeness(cosine: float) -> str:
    """A similarity in words; what is not quite the same is not called 1.00."""
    return f"{cosine:.3f}" if 0.995 <= cosine < 0.9995 else f"{cosine:.2f}"


def listed(words: Iterable[str]) -> str:
    """a, b and c."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def gravity(name: str) -> int:
    """The place of a finding among all, the gravest first."""
    return GRAVITY.index(name) if name in GRAVITY else len(GRAVITY)
