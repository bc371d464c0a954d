"""The books of one explanation: what started, what arrived, what was lost and to which cause."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onnxdtd.errors import TargetError
from onnxdtd.node_report import NodeReport, Numbers, together


@dataclass(frozen=True)
class Growth:
    """By how much the sum of |relevance| grew between the target and its largest sum on the way, and at which node it
    grew most; "" where no node is looked into. Amounts of both signs cancel where it did."""

    factor: float
    node: str = ""


@dataclass(frozen=True)
class Conservation:
    """target = relevance + lost + error: where the relevance that started went, summed over the batch.

    target: what started at the output. relevance: what arrived at the inputs. lost: what nodes report lost, or what
    all of them together gave to constants. targets, relevances: the first two of each sample. size, sizes: the sum of
    |relevance| that arrived at the inputs, in all and of each sample. kinds: what the constants of each kind took, of
    each sample, by an engine that looks into no node.
    """

    target: float
    relevance: float
    lost: float
    nodes: tuple[NodeReport, ...]
    targets: Numbers = ()
    relevances: Numbers = ()
    size: float = 0.0
    sizes: Numbers = ()
    kinds: Mapping[str, Numbers] = field(default_factory=dict)

    def sample(self, i: int) -> Conservation:
        """The books of one sample, counted from 0 (or -1 from the end). Raises TargetError where there is none."""
        if not -len(self.targets) <= i < len(self.targets):
            raise TargetError(f"sample {i} is not in a batch of {len(self.targets)}: count from 0")
        nodes = tuple(node.sample(i) for node in self.nodes)
        kinds = {kind: (amounts[i],) for kind, amounts in self.kinds.items()}
        size = self.sizes[i] if self.sizes else 0.0
        return Conservation(
            self.targets[i], self.relevances[i], lost(nodes, kinds), nodes, size=size, kinds=kinds
        )

    @property
    def growth(self) -> Growth:
        """How far |relevance| grew on its way. Without nodes, as far as target and inputs tell."""
        steps = [(n.arrived_size, n.left_size, n) for n in self.nodes]
        sizes = [(a, b, n) for a, b, n in steps if a is not None and b is not None and math.isfinite(a + b)]
        started = math.fsum(a for a, _, n in sizes if n.depth == 0) if sizes else abs(self.target)
        if not started > 0:
            return Growth(1.0)
        largest = max([self.size, *(b for _, b, _ in sizes)])
        where = max(sizes, key=lambda step: step[1] - step[0])[2].name if sizes else ""
        return Growth(max(1.0, largest / started), where)

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

    @property
    def constants(self) -> dict[str, float]:
        """The amount that each kind of constant took (bias, norm shift, position embedding, padding ...), the largest
        first: what is lost to the causes `bias` and `border`, told apart."""
        amounts = {kind: math.fsum(each) for kind, each in self.kinds.items()}
        for node in self.nodes:
            amounts = together(amounts, node.constants)
        shown = ((kind, amount) for kind, amount in amounts.items() if amount)
        return dict(sorted(shown, key=lambda item: (-abs(item[1]), item[0])))

    @property
    def rounding(self) -> dict[str, float]:
        """Of what was handed on, the part owed to rounding, by the node that rounds: the largest first. It is lost
        to none: relevance stays with what was rounded."""
        parts = {node.name: node.rounding for node in self.nodes if node.rounding is not None}
        return dict(sorted(parts.items(), key=lambda item: (-abs(item[1]), item[0])))

    def lost_to(self, cause: str) -> float:
        """The amount lost to one cause, 0 where no node names it."""
        return math.fsum(node.lost.get(cause, 0.0) for node in self.nodes)

    def __str__(self) -> str:
        arrived = f"{self.target:.4g} = {self.relevance:.4g} relevance"
        if not self.nodes:  # the onnx engine looks into no node
            constants = f" + {self.lost:.3g} constants" if self.kinds else ""
            return f"{arrived}{constants} + {self.error:.3g} not accounted for"
        causes = ", ".join(f"{cause} {amount:.3g}" for cause, amount in self.causes.items())
        return f"{arrived} + {self.lost:.3g} lost{f' ({causes})' if causes else ''}, error {self.error:.1g}"


def lost(nodes: Iterable[NodeReport], kinds: Mapping[str, Numbers]) -> float:
    """All that was lost, as nodes report it or as it was told of all nodes together."""
    by_nodes = (amount for node in nodes for amount in node.lost.values())
    return math.fsum((*by_nodes, *(amount for each in kinds.values() for amount in each)))
