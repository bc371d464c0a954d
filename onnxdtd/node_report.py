"""What one node did with the relevance that reached it: what left, what was lost and to which cause."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxdtd.errors import UsageError

Numbers = tuple[float, ...]
PADDING = "padding"
CLAIMS = ("bias", "border")
"""The causes of loss that are constants: summands, and what stands in the place of an input."""
AMOUNTS = ("arrived", "left", "arrived_size", "left_size", "rounding")


def called(cause: str, kind: str, constant: str) -> str:
    """What the constant is called that took what is lost to one of `CLAIMS`. kind: of the op; constant: what its
    site's is called. What a window has where it meets no input is padding, whatever its weights' bias is."""
    if cause == "border" and not (kind in ("route", "select") and constant):
        return PADDING
    return constant or "bias"


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
        amounts: dict[str, float] = {}
        for cause in CLAIMS:
            if cause in self.lost:
                kind = called(cause, self.kind, self.constant)
                amounts = together(amounts, {kind: self.lost[cause]})
        return amounts

    def with_more(self, other: NodeReport) -> NodeReport:
        """The sum of two reports of one node, whose outputs are reported one by one."""
        lost, handed = together(self.lost, other.lost), together(self.handed, other.handed)
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


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def together(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """The amounts of both, by name."""
    return {name: a.get(name, 0.0) + b.get(name, 0.0) for name in (*a, *b)}


def _added(a: Numbers, b: Numbers) -> Numbers:
    return tuple(map(operator.add, a, b))
