"""What a method knows of a node when it picks the node's rule, and what the user has asked for."""

from __future__ import annotations

from dataclasses import dataclass

from onnxdtd.domains.box import Box
from onnxdtd.domains.propagation import Domain
from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Node
from onnxdtd.rules.terms import Bias


@dataclass(frozen=True)
class Place:
    """One node's place in the graph.

    op: its entry. first: a convolution or dense op with the model's input upstream and no other such op between.
    last: no such op downstream. head: a dense op with no convolution, attention or recurrence downstream, or, in a
    graph that has none, a last one. depth: convolutions and dense ops on the longest path from the input, this one
    included. layers: that number over the whole path. domain: of the data inputs together. box: of the first
    data input, elementwise, if `first`. units: it only says in which unit an input is written, see `model.units`.
    """

    node: Node
    op: OpEntry
    first: bool
    last: bool
    head: bool
    depth: int
    layers: int
    domain: Domain
    box: Box | None = None
    units: bool = False

    @property
    def shares(self) -> bool:
        """Whether there is something to share: several inputs per output."""
        return self.op.kind == "linear" and self.op.family != "scale"


@dataclass(frozen=True)
class Options:
    """What the user has set on top of the method. bias: the user's choice if it is `chosen`, else the method's
    default."""

    bias: Bias
    chosen: bool = False

    def bias_or(self, usual: Bias) -> Bias:
        """The user's choice, and where there is none what a rule usually takes at its place."""
        return self.bias if self.chosen else usual


@dataclass(frozen=True)
class Network:
    """What a method may know of all that lies between the inputs and the output.

    convolves, attends, recurs: it has a convolution, attention (a Softmax whose result multiplies another value),
    a recurrent op. trees: it has tree ensembles. adds: it is a sum of functions of single input elements. tree_sum:
    it is such a sum, and one of trees. counted: the samples at the nodes of all of them are counted. embeds: it reads
    nothing but tokens, whose vectors it looks up.
    """

    convolves: bool
    attends: bool
    recurs: bool
    trees: bool
    adds: bool
    tree_sum: bool = False
    counted: bool = False
    embeds: bool = False
