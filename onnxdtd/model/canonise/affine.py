"""y = W x + b per channel: what Conv, ConvTranspose, Gemm and MatMul with constant weights have in common.

Seen as W[group, out, in, tap], their weights obey one algebra (a, c: scale and shift per channel):

    after:   a y + c        = (a W) x + (a b + c)                 scales the out axis
    before:  W (a x + c)    = (W a) x + (b + sum_in,tap W c)      scales the in axis; the sum needs every tap
                                                                  to meet data, so no padding unless c = 0
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import helper

from onnxdtd.evaluator import evaluator
from onnxdtd.model.canonise.draft import Draft
from onnxdtd.model.graph import Node
from onnxdtd.types import Array

REFERENCE = 17
"""The opset in which Conv and ConvTranspose are evaluated; none of theirs means another thing."""
_FLOATS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class Affine:
    """A node read as an affine map. bias: float64 [channels], Gemm's beta included; factor: Gemm's alpha."""

    node: Node
    weight: Array
    bias: Array
    factor: float

    @classmethod
    def read(cls, node: Node | None, draft: Draft) -> Affine | None:
        """The node's map, or None if it has none: another op, a weight or bias that is not constant."""
        if node is None or node.domain or node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            return None
        weight = draft.array(node, 1)
        if weight is None or weight.dtype not in _FLOATS or not weight.size or node.attributes.get("transA"):
            return None
        if node.op == "MatMul" and draft.rank(node.inputs[0]) != 2:
            return None  # of a higher rank the channels are not axis 1, and Gemm does not take it
        convolves, groups = node.op.startswith("Conv"), node.attributes.get("group", 1)
        if (weight.ndim < 3 if convolves else weight.ndim != 2) or groups < 1 or weight.shape[0] % groups:
            return None
        bare = cls(node, weight, np.zeros(0), node.attributes.get("alpha", 1.0))
        if not any(node.inputs[2:]):
            return replace(bare, bias=np.zeros(bare.channels))
        stored = draft.array(node, 2)
        rank = 1 if convolves else 2
        bias = None if stored is None else per_channel(stored, bare.channels, rank, rank - 1)
        return None if bias is None else replace(bare, bias=node.attributes.get("beta", 1.0) * bias)

    @property
    def rank(self) -> int:
        """The rank of x and y, with the channels on axis 1."""
        return self.weight.ndim

    @property
    def channels(self) -> int:
        """The number of channels of y."""
        return math.prod(self._seen(self.weight).shape[:2])

    @property
    def channels_in(self) -> int:
        """The number of channels of x."""
        return math.prod(self._seen(self.weight).shape[:3:2])

    @property
    def pads(self) -> bool:
        """Whether some tap may meet no data, so that a shift of x is not one shift of y."""
        if self.node.op == "ConvTranspose":
            return True
        auto = self.node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        return auto or any(self.node.attributes.get("pads", ()))

    @property
    def is_finite(self) -> bool:
        """Whether weight and bias can be stored in the weight's type."""
        with np.errstate(over="ignore"):
            stored = self.bias.astype(self.weight.dtype)
        return bool(np.isfinite(stored).all() and np.isfinite(self.weight).all())

    def after(self, scale: Array, shift: Array) -> Affine:
        """scale * y + shift."""
        groups = self._seen(self.weight).shape[0]
        weight = self._times(scale.reshape(groups, -1, 1, 1))
        return replace(self, weight=weight, bias=scale * self.bias + shift)

    def before(self, scale: Array, shift: Array) -> Affine:
        """W (scale * x + shift) + b."""
        seen = self._seen(self.weight)
        groups = seen.shape[0]
        moved = np.einsum(
            "goit,gi->go", seen, shift.reshape(groups, -1), dtype=np.float64, casting="same_kind"
        )
        weight = self._times(scale.reshape(groups, 1, -1, 1))
        return replace(self, weight=weight, bias=self.bias + self.factor * moved.reshape(-1))

    def moved(self, shift: Array, sizes: tuple[int, ...]) -> Array | None:
        """W c at every position [1, out, *spatial], where x has these spatial sizes: padding has no c. shift: by
        channel, or any array of another rank that broadcasts to x. None where onnx cannot compute it.
        """
        place, weight = dict(self.node.attributes), np.asarray(self.weight, np.float64)
        if shift.ndim == 1:
            place["group"], x, weight = 1, np.ones((1, 1, *sizes)), self.taps(shift)
        else:
            x = np.broadcast_to(shift, (1, self.channels_in, *sizes))
        alone = helper.make_graph(
            [helper.make_node(self.node.op, ["x", "w"], ["y"], **place)],
            "moved",
            [helper.make_empty_tensor_value_info(name) for name in "xw"],
            [helper.make_empty_tensor_value_info("y")],
        )
        try:
            run: Any = evaluator(alone, opsets={"": REFERENCE})
            [y] = run.run(None, {"x": x, "w": weight})
            return np.asarray(y, self.weight.dtype)
        except Exception:  # the reference implementation lacks this form of the op
            return None

    def taps(self, shift: Array) -> Array:
        """The weights by which one channel of ones is mapped to W c, c by channel: a tap's weights are summed."""
        seen = self._seen(np.asarray(self.weight, np.float64))
        summed = np.einsum("goit,gi->got", seen, shift.reshape(len(seen), -1))
        taps = summed.reshape(self.channels, 1, *self.weight.shape[2:])
        return np.asarray(taps.swapaxes(0, 1) if self.node.op == "ConvTranspose" else taps)

    def written(self, draft: Draft) -> Node:
        """The node with new constants (other nodes may share the old ones); a MatMul becomes a Gemm."""
        x, w = self.node.inputs[:2]
        if self.weight is not draft.constants[w]:
            w = draft.constant(f"{w}/folded", self.weight)
        b = draft.constant(f"{self.node.name}/bias", self.bias.astype(self.weight.dtype))
        attributes = {key: value for key, value in self.node.attributes.items() if key != "beta"}
        op = "Gemm" if self.node.op == "MatMul" else self.node.op
        return replace(self.node, op=op, inputs=(x, w, b), attributes=attributes)

    def _seen(self, weight: Array) -> Array:
        """The weight as a view [group, out, in, tap]."""
        if self.node.op in ("Gemm", "MatMul"):
            rows = weight if self.node.attributes.get("transB") else weight.T
            return rows[None, :, :, None]
        groups = self.node.attributes.get("group", 1)
        first, second = weight.shape[:2]
        split = weight.reshape(groups, first // groups, second, -1)
        return split.swapaxes(1, 2) if self.node.op == "ConvTranspose" else split

    def _times(self, factors: Array) -> Array:
        """The weight times factors that broadcast to [group, out, in, tap], computed in float64."""
        scaled = np.empty(self.weight.shape, self.weight.dtype)
        seen, out = self._seen(self.weight), self._seen(scaled)
        with np.errstate(over="ignore"):
            np.multiply(seen, factors, out=out, dtype=np.float64, casting="same_kind")
        return scaled


def per_channel(array: Array, channels: int, rank: int, axis: int = 1) -> Array | None:
    """An array that broadcasts to y along the channel axis only, as float64 [channels]; else None."""
    if array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    if shape[axis] not in (1, channels) or any(size != 1 for i, size in enumerate(shape) if i != axis):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), channels)
