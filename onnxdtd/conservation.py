"""The books of one explanation: what started, what arrived, what each node lost and to which cause."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class NodeReport:
    """What one node did with the relevance that reached it, summed over the batch.

    arrived = left + Σ lost + error. left: handed to its data inputs and to nothing else. lost: by cause, such
    as "bias", "dead" (no contribution of the right sign: only the bias keeps the neuron active), "epsilon".
    rule: as printed. depth: longest path from the explained output, in nodes.
    """

    name: str
    op: str
    kind: str
    rule: str
    arrived: float
    left: float
    lost: Mapping[str, float]
    depth: int

    def with_more(self, other: NodeReport) -> NodeReport:
        """The sum of two reports of one node, whose outputs are reported one by one."""
        lost = {c: self.lost.get(c, 0.0) + other.lost.get(c, 0.0) for c in (*self.lost, *other.lost)}
        return replace(self, arrived=self.arrived + other.arrived, left=self.left + other.left, lost=lost)

    @property
    def error(self) -> float:
        """What neither left nor is accounted for: rounding, unless a rule is wrong."""
        return self.arrived - self.left - math.fsum(self.lost.values())


@dataclass(frozen=True)
class Conservation:
    """target = relevance + lost + error: where the relevance that started went, summed over the batch.

    target: what started at the output. relevance: what arrived at the inputs. lost: what nodes report lost.
    """

    target: float
    relevance: float
    lost: float
    nodes: tuple[NodeReport, ...]

    @property
    def error(self) -> float:
        """What no node accounts for."""
        return self.target - self.relevance - self.lost

    @property
    def relative(self) -> float:
        """|error| / |target|; infinite where nothing started and yet something is missing."""
        if self.target == 0:
            return 0.0 if self.error == 0 else math.inf
        return abs(self.error / self.target)

    @property
    def causes(self) -> dict[str, float]:
        """The amount lost to each cause, the largest first."""
        names = {cause for node in self.nodes for cause in node.lost}
        return dict(sorted(((c, self.lost_to(c)) for c in names), key=lambda item: (-abs(item[1]), item[0])))

    def lost_to(self, cause: str) -> float:
        """The amount lost to one cause, 0 where no node names it."""
        return math.fsum(node.lost.get(cause, 0.0) for node in self.nodes)

    def __str__(self) -> str:
        arrived = f"{self.target:.4g} = {self.relevance:.4g} relevance"
        if not self.nodes:  # the onnx engine looks into no node
            return f"{arrived} + {self.error:.3g} not accounted for"
        causes = ", ".join(f"{cause} {amount:.3g}" for cause, amount in self.causes.items())
        return f"{arrived} + {self.lost:.3g} lost{f' ({causes})' if causes else ''}, error {self.error:.1g}"
