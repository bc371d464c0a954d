"""A node at the point of the forward pass: what an op's site builder is given."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Claim, LinearMap, Site, ignore
from onnxdtd.model.graph import Graph, Node
from onnxdtd.primitives import at_hand, entries


@dataclass(frozen=True, slots=True)
class Point:
    """Node, graph and values. slots: the data inputs through which relevance goes on. which: the output from which it
    comes.

    kept, lost and sums are handed on to the site.
    """

    node: Node
    graph: Graph
    slots: tuple[int, ...]
    values: Mapping[str, Any]
    kept: MutableMapping[Any, Any] = field(default_factory=dict)
    lost: Claim = ignore
    sums: MutableMapping[Any, Any] | None = None
    which: int = 0

    def has(self, slot: int) -> bool:
        """Whether the input is given (an empty name leaves it out)."""
        return slot < len(self.node.inputs) and self.node.inputs[slot] != ""

    def value(self, slot: int) -> Any:
        """The input's value: activation or constant."""
        name = self.node.inputs[slot]
        return self.graph.constants[name] if name in self.graph.constants else self.values[name]

    def is_constant(self, slot: int) -> bool:
        """Whether the input is part of the model."""
        return self.node.inputs[slot] in self.graph.constants

    def constant(self, slot: int) -> npt.NDArray[Any]:
        """An input that must be known without running the model (axes, pads, bounds)."""
        if not self.is_constant(slot):
            raise UnsupportedError(
                f"{self.node}: input {slot} ('{self.node.inputs[slot]}') must be a constant; simplify the model "
                "(constant folding) before explaining it"
            )
        return self.graph.constants[self.node.inputs[slot]]

    def integers(self, attribute: str, slot: int, default: Sequence[int] | None = None) -> list[int] | None:
        """Axes and the like: an attribute in older opsets, an input in newer ones."""
        if attribute in self.node.attributes:
            return [int(i) for i in np.atleast_1d(self.node.attributes[attribute])]
        if self.has(slot):
            value = self.value(slot)
            array = value if isinstance(value, np.ndarray) else self.constant(slot)
            return [int(i) for i in np.atleast_1d(array)]
        return None if default is None else list(default)

    def sizes(self, attribute: str, slot: int, count: int) -> list[Any] | None:
        """As `integers`; those that the graph computes, `count` of them, as sizes (see `primitives.sizes`)."""
        if attribute in self.node.attributes or not self.has(slot) or at_hand(self.value(slot)):
            return self.integers(attribute, slot)
        return entries(self.value(slot), count)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute or its default."""
        return self.node.attributes.get(name, default)

    def is_fixed(self, slot: int, *axes: int) -> bool:
        """Whether the model itself fixes these lengths of an input, so that other inputs have no others."""
        shape = self.graph.value(self.node.inputs[slot]).shape
        return shape is not None and all(isinstance(shape[axis], int) for axis in axes)

    @property
    def x(self) -> Any:
        """The value of the first data input."""
        return self.value(self.slots[0])

    @property
    def output(self) -> Any:
        """The output from which relevance comes."""
        return self.values[self.node.outputs[self.which]]

    @property
    def opset(self) -> int:
        """The version of the node's domain in the model."""
        return self.graph.opsets.get(self.node.domain, 1)

    def site(
        self,
        *maps: LinearMap,
        bias: Any = None,
        jacobian: tuple[LinearMap, ...] = (),
        spread_dead: bool = False,
        fills: bool = False,
    ) -> Site:
        """The node's site: one map per data slot, in the order of `slots`; see `Site`."""
        inputs = tuple(self.value(slot) for slot in self.slots)
        if self.node.bias:
            name = self.node.bias
            more = self.graph.constants[name] if name in self.graph.constants else self.values[name]
            own = bias  # made when it is asked for, if it is a function
            if callable(own):

                def bias() -> Any:
                    return own() + more
            else:
                bias = more if own is None else own + more
        return Site(
            f"{self.node.name}:{self.which}" if self.which else self.node.name,
            maps,
            inputs,
            bias,
            self.output,
            jacobian,
            spread_dead,
            fills,
            self.kept,
            self.lost,
            self.sums,
        )
