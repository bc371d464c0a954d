"""What the search for roots returns: one root, and the roots of a node's neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnxdtd.theory.regions import Verdict
from onnxdtd.types import Array

Neuron = tuple[int, ...]
Patch = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Root:
    """The root of one neuron.

    neuron: its index in the node's output, behind the batch axis. relevance: what the walk brings to it. z, bias:
    its pre-activation and the bias in it. t: the step, which is at most 1 where a z+ or z-box root stays in the
    domain. at: for each data input of the node the patch that the neuron reads; x, v, point: the input, the search
    direction and the root there (elsewhere the root is x). residual: z at the root. distance: |x - root|.
    in_domain: whether the root lies in the domain of the node's input. region: of the network around x.
    """

    neuron: Neuron
    relevance: float
    z: float
    bias: float
    t: float
    at: tuple[Patch, ...]
    x: tuple[Array, ...]
    v: tuple[Array, ...]
    point: tuple[Array, ...]
    residual: float
    distance: float
    in_domain: bool
    region: Verdict | None = None


@dataclass(frozen=True, eq=False)
class Roots(Sequence[Root]):
    """The roots of a node's neurons, by its rule.

    values: the node's data inputs. domains: theirs, as printed. active: how many neurons of the node have relevance.
    without: the neurons asked for that have no root, with the reason.
    """

    node: str
    op: str
    rule: str
    values: tuple[str, ...]
    domains: tuple[str, ...]
    active: int
    roots: tuple[Root, ...]
    without: tuple[tuple[Neuron, str], ...]

    def __getitem__(self, index: Any) -> Any:
        return self.roots[index]

    def __len__(self) -> int:
        return len(self.roots)

    def __iter__(self) -> Iterator[Root]:
        return iter(self.roots)

    @property
    def asked(self) -> int:
        """How many neurons were looked at."""
        return len(self.roots) + len(self.without)

    @property
    def in_domain(self) -> float:
        """The share of the neurons looked at whose root exists and lies in the domain; nan without neurons."""
        return _share(sum(root.in_domain for root in self.roots), self.asked)

    @property
    def in_region(self) -> float | None:
        """The share whose root exists and lies in the linear region; None where region does not apply."""
        verdicts = [root.region for root in self.roots]
        if any(v is None or v.status == "smooth" for v in verdicts):
            return None
        return _share(sum(v is not None and v.status == "inside" for v in verdicts), self.asked)

    @property
    def opposed(self) -> int:
        """Neurons whose bias has the sign of z, for which the theory does not promise a root in the domain."""
        return sum(root.bias * root.z > 0 for root in self.roots)

    def __str__(self) -> str:
        lines = [
            f"{self.node} ({self.op}), {self.rule}: {len(self.roots)} roots of {self.active} active neurons"
        ]
        for r in self.roots:
            where = "in domain" if r.in_domain else "out of domain"
            region = "" if r.region is None else f"  {r.region}"
            lines.append(
                f"{list(r.neuron)}  z={r.z:.4g}  t={r.t:.4g}  distance={r.distance:.4g}  {where}{region}"
            )
        lines += [f"{list(neuron)}  no root: {reason}" for neuron, reason in self.without]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Everything but the arrays, for JSON."""
        return {
            "node": self.node,
            "op": self.op,
            "rule": self.rule,
            "inputs": dict(zip(self.values, self.domains, strict=True)),
            "active": self.active,
            "asked": self.asked,
            "in_domain": _number(self.in_domain),
            "in_region": _number(self.in_region),
            "bias_opposed": self.opposed,
            "roots": [_document(root) for root in self.roots],
            "without": [{"neuron": list(neuron), "reason": reason} for neuron, reason in self.without],
        }


def _document(root: Root) -> dict[str, Any]:
    region: dict[str, Any] | None = None
    if root.region is not None:
        region = {"status": root.region.status, "remainder": _number(root.region.remainder)}
        if root.region.leaves is not None:
            left = root.region.leaves
            region |= {"t": left.t, "node": left.node, "unit": list(left.unit)}
    numbers = ("relevance", "z", "bias", "t", "residual", "distance")
    measures: dict[str, Any] = {name: _number(getattr(root, name)) for name in numbers}
    return {"neuron": list(root.neuron), **measures, "in_domain": root.in_domain, "region": region}


def _number(value: float | None) -> float | None:
    """JSON has no infinities."""
    return None if value is None or not math.isfinite(value) else value


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
