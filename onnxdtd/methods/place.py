"""What a method knows of a node when it picks the node's rule, and what the user has asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onnxdtd.domains.box import Box
from onnxdtd.domains.propagation import Domain
from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Node


@dataclass(frozen=True)
class Place:
    """One node's place in the graph.

    op: its entry. first: a convolution or dense op with the model's input upstream and no other such op between.
    last: no such op downstream. depth: convolutions and dense ops on the longest path from the input, this one
    included. layers: that number over the whole path. domain: of the data inputs together. box: of the first
    data input, elementwise, if `first`. units: it only says in which unit an input is written, see `model.units`.
    """

    node: Node
    op: OpEntry
    first: bool
    last: bool
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
    """What the user has set on top of the method. bias: the method's default, or the user's choice."""

    bias: Literal["absorb", "redistribute"]
