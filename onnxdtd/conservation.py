"""The books of one explanation: what started, what arrived, what each node lost and to which cause."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxdtd.errors import TargetError, UsageError

Numbers = tuple[float, ...]
PADDING = "padding"
CLAIMS = ("bias", "border")
"""The causes of loss that are constants: summands, and what stands in the place of an input."""
AMOUNTS = ("arrived", "left", "arrived_size", "left_size", "rounding")


@dataclass(frozen=True)
class Samples:
    """The amounts of a node for each sample, in the order of the batch.

    NaN where a value is not told apart by sample: all samples share it, or no axis of it can be named the batch's.
    sizes empty in a result that an earlier version wrote.
    """

    arrived: Numbers
    left: Numbers
    lost: Mapping[str, Numbers]
    arrived_size: Numbers = ()
    left_size: Numbers = ()
    rounding: Numbers = ()

    def plus(self, other: Samples) -> Samples:
        """Both together."""
        none = (0.0,) * len(self.arrived)
        lost = {c: _added(self.lost.get(c, none), other.lost.get(c, none)) for c in (*self.lost, *other.lost)}
        return Samples(
            _added(self.arrived, other.arrived), _added(self.left, other.left), lost,
            _added(self.arrived_size, other.arrived_size), _added(self.left_size, other.left_size),
            _added(self.rounding, other.rounding),
        )  # fmt: skip

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
    "border" (padding, or a constant in the place of an input). Rules and ops claim each where it arises.
    constant: what the node's is called: "bias", "norm shift", "softmax constant", "position embedding" ... rule: as
    printed. depth: longest path from the explained output, in nodes. samples: the same amounts for each sample, None
    in a result that an earlier version wrote. arrived_size, left_size: the sums of |relevance|, which tell where
    amounts of both signs grow while they cancel; None where an earlier version wrote the result. rounding: of what
    left, the part owed to rounding: r e / v at each value v = x + e; None of a node that does not round. handed: of
    what left, the part of each input value, by its name; outputs: the values that the node makes. Both are empty
    where an earlier version wrote the result.
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
    arrived_size: float | None = None
    left_size: float | None = None
    rounding: float | None = None
    handed: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    constant: str = ""

    @property
    def constants(self) -> dict[str, float]:
        """Of what was lost, the part of constants, by what they are called: `bias` and `border` together."""
        called = self.constant or "bias"
        own = {called: self.lost["bias"]} if "bias" in self.lost else {}
        # What a window has where it meets no input is padding, whatever its weights' bias is.
        place = called if self.kind in ("route", "select") and self.constant else PADDING
        return _together(own, {place: self.lost["border"]}) if "border" in self.lost else own

    def with_more(self, other: NodeReport) -> NodeReport:
        """The sum of two reports of one node, whose outputs are reported one by one."""
        lost, handed = _together(self.lost, other.lost), _together(self.handed, other.handed)
        samples = self.samples and other.samples and self.samples.plus(other.samples)
        amounts: dict[str, Any] = {n: _sum(getattr(self, n), getattr(other, n)) for n in AMOUNTS}
        return dataclasses.replace(self, lost=lost, handed=handed, samples=samples, **amounts)

    @property
    def error(self) -> float:
        """What neither left nor is claimed as lost: rounding, unless an op or a rule is wrong; by a rule that does
        not conserve (gradient), all that it adds or takes."""
        return self.arrived - self.left - math.fsum(self.lost.values())

    def sample(self, i: int) -> NodeReport:
        """The same node with the amounts of one sample; `handed`, which is known of the batch only, is empty."""
        if self.samples is None:
            raise UsageError("the result has no amounts of each sample, since an earlier version wrote it")
        s = self.samples
        lost = {cause: amounts[i] for cause, amounts in s.lost.items()}
        amounts = {name: getattr(s, name)[i] for name in AMOUNTS if getattr(s, name)}
        return dataclasses.replace(self, lost=lost, samples=None, handed={}, **amounts)

    def document(self) -> dict[str, Any]:
        """The entry in explanation.json."""
        samples = self.samples and {**vars(self.samples), "error": self.samples.error}
        return {**vars(self), "error": self.error, "samples": samples}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> NodeReport:
        """The report of an entry in explanation.json; what older results of this schema lack stays unknown."""
        words: dict[str, Any] = {name: fields[name] for name in ("name", "op", "kind", "rule", "depth")}
        words |= {name: float(fields[name]) for name in AMOUNTS if fields.get(name) is not None}
        lost = {cause: float(amount) for cause, amount in fields["lost"].items()}
        words["handed"] = {value: float(amount) for value, amount in fields.get("handed", {}).items()}
        words["outputs"] = tuple(fields.get("outputs", ()))
        words["constant"] = str(fields.get("constant", ""))
        samples = fields.get("samples")
        if not samples:
            return cls(**words, lost=lost)
        each = {name: tuple(map(float, samples.get(name, ()))) for name in AMOUNTS}
        lost_each = {cause: tuple(map(float, amounts)) for cause, amounts in samples["lost"].items()}
        return cls(**words, lost=lost, samples=Samples(lost=lost_each, **each))


@dataclass(frozen=True)
class Growth:
    """By how much the sum of |relevance| grew between the target and its largest sum on the way, and at which node it
    grew most; "" where no node is looked into. Amounts of both signs cancel where it did."""

    factor: float
    node: str = ""


@dataclass(frozen=True)
class Conservation:
    """target = relevance + lost + error: where the relevance that started went, summed over the batch.

    target: what started at the output. relevance: what arrived at the inputs. lost: what nodes report lost.
    targets, relevances: the first two of each sample. size, sizes: the sum of |relevance| that arrived at the inputs,
    in all and of each sample.
    """

    target: float
    relevance: float
    lost: float
    nodes: tuple[NodeReport, ...]
    targets: Numbers = ()
    relevances: Numbers = ()
    size: float = 0.0
    sizes: Numbers = ()

    def sample(self, i: int) -> Conservation:
        """The books of one sample, counted from 0 (or -1 from the end). Raises TargetError where there is none."""
        if not -len(self.targets) <= i < len(self.targets):
            raise TargetError(f"sample {i} is not in a batch of {len(self.targets)}: count from 0")
        nodes = tuple(node.sample(i) for node in self.nodes)
        lost = math.fsum(amount for node in nodes for amount in node.lost.values())
        size = self.sizes[i] if self.sizes else 0.0
        return Conservation(self.targets[i], self.relevances[i], lost, nodes, size=size)

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
        amounts: dict[str, float] = {}
        for node in self.nodes:
            amounts = _together(amounts, node.constants)
        return dict(sorted(amounts.items(), key=lambda item: (-abs(item[1]), item[0])))

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
            return f"{arrived} + {self.error:.3g} not accounted for"
        causes = ", ".join(f"{cause} {amount:.3g}" for cause, amount in self.causes.items())
        return f"{arrived} + {self.lost:.3g} lost{f' ({causes})' if causes else ''}, error {self.error:.1g}"


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def _together(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: a.get(name, 0.0) + b.get(name, 0.0) for name in (*a, *b)}


def _added(a: Numbers, b: Numbers) -> Numbers:
    return tuple(map(operator.add, a, b))
