"""What the plans of one graph have in common, whatever the output and the method: worked out once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from onnxdtd.domains.box import Boxes
from onnxdtd.domains.propagation import Domain, Range, domains
from onnxdtd.methods.overrides import Override
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.units import units
from onnxdtd.plan.carry import Carried, carry
from onnxdtd.plan.masks import numbered


class Ground:
    """A graph, the range of its inputs, and what the user lets relevance stop at."""

    def __init__(self, graph: Graph, input_range: Range = None, overrides: Sequence[Override] = ()) -> None:
        self.graph, self._input_range, self._overrides = graph, input_range, tuple(overrides)
        self._carried: dict[tuple[bool, bool], Carried] = {}

    def carried(self, holds_weights: bool = False, credits: bool = False) -> Carried:
        """What relevance can go along; holds_weights: see `MethodEntry`; credits: inputs of positions get none of
        their own, since tokens do."""
        if (key := (holds_weights, credits)) not in self._carried:
            aside = numbered(self.graph) if credits else ()
            self._carried[key] = carry(self.graph, self._stops, holds_weights, aside)
        return self._carried[key]

    def _stops(self, node: Node) -> bool:
        return any(override.stops(node) for override in self._overrides)

    @cached_property
    def ranges(self) -> dict[str, Domain]:
        """Where every value lies."""
        return domains(self.graph, self._input_range)

    @cached_property
    def boxes(self) -> Boxes:
        """The same elementwise, of the values that a first layer reads."""
        return Boxes(self.graph, self._input_range, self.ranges)

    @cached_property
    def units(self) -> frozenset[str]:
        """The steps that say in which unit an input is written."""
        return units(self.graph)
