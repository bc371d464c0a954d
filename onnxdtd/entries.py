"""What the entry of an op, a rule, a method, an audit or a metric says; `registry` has the tables of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal[
    "linear",
    "route",
    "select",
    "elementwise",
    "gate",
    "norm",
    "recurrent",
    "loop",
    "barrier",
    "expanded",
    "refuse",
]
Finish = Literal["", "times_input", "square"]
CONSTANTS: Mapping[str, str] = {
    "linear": "bias",
    "route": "joined constant",
    "select": "joined constant",
    "elementwise": "curve constant",
    "gate": "product constant",
    "norm": "curve constant",
    "recurrent": "bias",
    "loop": "loop constant",
}
"""By kind of op, what the constant of its site is called, unless the op says otherwise."""


@dataclass(frozen=True, slots=True)
class OpEntry:
    """One operator: what kind of map it is and the function that builds its site.

    kind: linear (weighted sums) · route (moves or copies values) · select (max, top-k) · elementwise
    (activations) · gate (product of two data inputs) · norm · recurrent · loop (relevance goes through its
    body, step by step) · barrier (integer, boolean, shape: carries no relevance) · expanded (into the nodes of its
    ONNX definition, when the model is read) · refuse.
    family refines the kind for methods: convolution, dense, sum, pool, scale. data: the input slots that carry
    relevance, None for all. factors: slots that the op multiplies: where more than one of them carries relevance,
    the op is a gate. otherwise: the kind where just these slots carry. variants: kind and family, by the value of
    an attribute. offset: with one data input it adds a constant, f(0), its site's bias. embeds: slots whose
    integers it turns into floats. encodes: it writes a category as a code or as a block, and the relevance of all
    that is written is the category's. since: the oldest opset whose meaning it knows. compiles: whether the walk
    can be traced through it. rectifies: where its outputs begin at 0, inputs <= 0 are 0. range(at): where the
    outputs lie if the inputs lie in their domains, None for anywhere. pieces(point): where it bends, as a switch
    (`domains.pieces`), None where it is straight; kinds gate, norm and recurrent are curves. work(at): its
    multiplications for one sample, where they count. outputs: the places of the outputs that carry relevance, None
    for all. own: the method of many passes that sharing through it is, whatever the rule. value(point): what it
    makes, of ops whose every piece is linear without a constant. flat: it is piecewise constant, so its derivative
    is zero wherever it exists. rounds: it steps between floats and integers, which go on carrying; its scale and zero
    point count as constants, whatever they are made of. normalises: what it makes are weights that sum to one.
    of_shape: of its input only the shape counts. chooses: its first input says which of the others stands where.
    periodic: it is a wave. constant: what its site's constant is called in results, where it is another thing than in
    its kind (`CONSTANTS`). adds: no structural weight is negative.
    """

    name: str
    domain: str
    kind: Kind
    family: str
    data: tuple[int, ...] | None
    factors: tuple[int, ...]
    site: Callable[..., Any] | None
    doc: str
    otherwise: Mapping[tuple[int, ...], Kind] = field(default_factory=dict)
    variants: Mapping[tuple[str, Any], tuple[Kind, str]] = field(default_factory=dict)
    outputs: tuple[int, ...] | None = (0,)
    offset: bool = False
    embeds: tuple[int, ...] = ()
    encodes: bool = False
    since: int = 1
    compiles: bool = True
    rectifies: bool = False
    flat: bool = False
    own: str = ""
    rounds: bool = False
    normalises: bool = False
    of_shape: bool = False
    chooses: bool = False
    periodic: bool = False
    constant: str = ""
    adds: bool = False
    range: Callable[..., Any] | None = None
    pieces: Callable[..., Any] | None = None
    work: Callable[..., int] | None = None
    value: Callable[..., Any] | None = None

    def at(self, slots: tuple[int, ...], attributes: Mapping[str, Any]) -> OpEntry:
        """The entry of a node with these attributes, at which relevance goes on through these slots."""
        chosen = [v for (key, value), v in self.variants.items() if attributes.get(key) == value]
        if chosen:
            return replace(self, kind=chosen[0][0], family=chosen[0][1])
        if slots in self.otherwise:
            return replace(self, kind=self.otherwise[slots], family=self.otherwise[slots])
        if self.family == "sum" and self.data is None and len(slots) == 1:  # a sum with constants only
            return replace(self, family="scale")
        multiplies = sum(slot in self.factors for slot in slots) > 1
        return replace(self, kind="gate", family="gate") if multiplies else self

    @property
    def called(self) -> str:
        """What its site's constant is called."""
        return self.constant or CONSTANTS.get(self.kind, "bias")

    def carried(self, outputs: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a node's outputs that carry relevance."""
        return tuple(v for i, v in enumerate(outputs) if v and (self.outputs is None or i in self.outputs))


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One rule: `make(**parameters)` returns it. direction: along which Deep Taylor looks for its root, see
    `rules.directions`; None for a rule that is not derived so."""

    name: str
    make: Callable[..., Any]
    doc: str
    direction: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """One method: `assign(context, node)` returns the rule of a node.

    seed: where relevance starts: `value` (the target logit), `positive` (max(0, logit)) or `one`.
    bias: the default of the switch, `absorb` or `redistribute`. finish: what is done last to what arrives at an
    input: nothing, `times_input` or `square`. needs_range: its first layer takes the rule of the input's range.
    covers: the kinds of op that its theory covers, None for a method that rests on none. waives: the audits of
    claims that it does not make. holds_weights: weights that an op has normalised (those of attention) are constants
    to it, so that what they weigh gets all.
    """

    name: str
    assign: Callable[..., Any]
    seed: Literal["value", "positive", "one"]
    bias: Literal["absorb", "redistribute"]
    finish: Finish
    doc: str
    needs_range: bool = False
    covers: tuple[Kind, ...] | None = None
    waives: tuple[str, ...] = ()
    holds_weights: bool = False


@dataclass(frozen=True, slots=True)
class PassesEntry:
    """One method of many passes: `explain(explainer, x, target, *, progress, **options)` returns an explanation.

    base: the method of one walk that its gradient passes take. adds_up: relevance is meant to sum to what the
    seed says. options: the names of what may be set.
    """

    name: str
    explain: Callable[..., Any]
    base: str
    adds_up: bool
    options: tuple[str, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audit: `perform(plan, explanation, probe)` returns its findings.

    cost: `quick` (a few walks) or `full` (many). source: where the test and its threshold come from. findings:
    the names of what it returns. books: whether it looks at the books of nodes, which only the NumPy engine keeps.
    """

    name: str
    perform: Callable[..., Any]
    cost: Literal["quick", "full"]
    source: str
    findings: tuple[str, ...]
    doc: str
    books: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """How a metric's curves are drawn: what is along the axes, up to which bounds the curve goes (None: as it comes),
    and the metrics whose panels stand in one row, by a word that they share ("": the metric has a row of its own)."""

    across: str = "removed share"
    up: str = "explained logit"
    bounds: tuple[float, float] | None = None
    row: str = ""


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """One metric: `measure(case)` returns its scores. better: of each, by the last part of its name. needs: what it
    cannot do without, else it is left out. order: its place among the metrics, which those of equal order take by
    name; metrics that share what they ask the model stand together. panel: of its curves, if it has any."""

    name: str
    measure: Callable[..., Any]
    doc: str
    better: Mapping[str, Literal["higher", "lower"]]
    source: str
    needs: Literal["", "places", "probability", "mask", "another explanation", "another class"] = ""
    order: int = 100
    panel: Panel = Panel()

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")
