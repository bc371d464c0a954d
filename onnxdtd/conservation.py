"""The books of one explanation: what started, what arrived, what each node lost and to which cause."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass

from onnxdtd.errors import TargetError, UsageError

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Samples:
    """The amounts of a node for each sample, in the order of the batch.

    NaN where a value is not told apart by sample: all samples share it, or no axis of it can be named the batch's.
    """

    arrived: Numbers
    left: Numbers
    lost: Mapping[str, Numbers]

    def plus(self, other: Samples) -> Samples:
        """Both together."""
        none = (0.0,) * len(self.arrived)
        lost = {c: _added(self.lost.get(c, none), other.lost.get(c, none)) for c in (*self.lost, *other.lost)}
        return Samples(_added(self.arrived, other.arrived), _added(self.left, other.left), lost)

    @property
    def error(self) -> Numbers:
        """What neither left nor is accounted for, of each sample."""
        lost = list(self.lost.values())
        return tuple(
            a - b - math.fsum(amounts[i] for amounts in lost)
            for i, (a, b) in enumerate(zip(self.arrived, self.left, strict=True))
        )


@dataclass(frozen=True)
class NodeReport:
    """What one node did with the relevance that reached it, summed over the batch.

    arrived = left + Σ lost + error. left: handed to its data inputs and to nothing else. lost: by cause: "bias",
    "dead" (no contribution of the right sign: only the bias keeps the neuron active), "epsilon" (the stabiliser),
    "border" (padding, or a constant in the place of an input). Rules and ops claim each where it arises. rule: as
    printed. depth: longest path from the explained output, in nodes. samples: the same amounts for each sample, None
    in a result that an earlier version wrote.
    """

    name: str
    op: str
    kind: str
    rule: str
    arrived: float
    left: float
    lost: Mapping[str, float]
    depth: int
    samples: Samples | None = None

    def with_more(self, other: NodeReport) -> NodeReport:
        """The sum of two reports of one node, whose outputs are reported one by one."""
        lost = {c: self.lost.get(c, 0.0) + other.lost.get(c, 0.0) for c in (*self.lost, *other.lost)}
        samples = self.samples and other.samples and self.samples.plus(other.samples)
        arrived, left = self.arrived + other.arrived, self.left + other.left
        return dataclasses.replace(self, arrived=arrived, left=left, lost=lost, samples=samples)

    @property
    def error(self) -> float:
        """What neither left nor is claimed as lost: rounding, unless an op or a rule is wrong; by a rule that does
        not conserve (gradient), all that it adds or takes."""
        return self.arrived - self.left - math.fsum(self.lost.values())

    def sample(self, i: int) -> NodeReport:
        """The same node with the amounts of one sample."""
        if self.samples is None:
            raise UsageError("the result has no amounts of each sample, since an earlier version wrote it")
        s = self.samples
        lost = {cause: amounts[i] for cause, amounts in s.lost.items()}
        return dataclasses.replace(self, arrived=s.arrived[i], left=s.left[i], lost=lost, samples=None)


@dataclass(frozen=True)
class Conservation:
    """target = relevance + lost + error: where the relevance that started went, summed over the batch.

    target: what started at the output. relevance: what arrived at the inputs. lost: what nodes report lost.
    targets, relevances: the first two of each sample.
    """

    target: float
    relevance: float
    lost: float
    nodes: tuple[NodeReport, ...]
    targets: Numbers = ()
    relevances: Numbers = ()

    def sample(self, i: int) -> Conservation:
        """The books of one sample, counted from 0 (or -1 from the end). Raises TargetError where there is none."""
        if not -len(self.targets) <= i < len(self.targets):
            raise TargetError(f"sample {i} is not in a batch of {len(self.targets)}: count from 0")
        nodes = tuple(node.sample(i) for node in self.nodes)
        lost = math.fsum(amount for node in nodes for amount in node.lost.values())
        return Conservation(self.targets[i], self.relevances[i], lost, nodes)

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


def _added(a: Numbers, b: Numbers) -> Numbers:
    return tuple(map(operator.add, a, b))
