"""One node of the walk, with its rule."""

from __future__ import annotations

from dataclasses import dataclass

from onnxdtd.entries import OpEntry
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Site
from onnxdtd.methods import Place
from onnxdtd.model.graph import Node
from onnxdtd.model.point import Point
from onnxdtd.rules import Rule


@dataclass(frozen=True)
class Step:
    """One node of the walk: the slots through which relevance goes on, its rule, and the rule without work that
    is known to be zero."""

    node: Node
    op: OpEntry
    slots: tuple[int, ...]
    place: Place
    rule: Rule
    pruned: Rule

    def build(self, point: Point) -> Site:
        """The node's site at a point."""
        if self.op.site is None:
            raise UnsupportedError(f"{self.node}: a {self.op.kind} carries no relevance")
        site: Site = self.op.site(point)
        return site
