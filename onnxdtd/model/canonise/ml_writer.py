"""Writes nodes in the place of one node of ai.onnx.ml."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.model.canonise.draft import Draft, free
from onnxdtd.model.graph import Node, Value
from onnxdtd.types import Array

POST = {"SOFTMAX": ("Softmax", {"axis": 1}), "LOGISTIC": ("Sigmoid", {})}
"""What a post_transform is as a node; what stands for none of these keeps the node as it is."""


class Writer:
    """The node, its graph as a draft, and the nodes that are put beside it."""

    def __init__(self, draft: Draft, node: Node) -> None:
        self.draft, self.node = draft, node

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node, or its default; a text where it is one."""
        return self.node.attributes.get(name, default)

    def array(self, name: str, dtype: type = np.float32) -> Array:
        """A list of numbers among the attributes, empty where it is not there."""
        return np.array(self.attribute(name, ()), dtype)

    def classes(self) -> int:
        """The number of class labels."""
        kinds = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
        return max(len(self.attribute(name, ())) for name in kinds)

    def takes_rows(self) -> bool:
        """Whether the input is (N, features), as far as is known."""
        return self.draft.rank(self.node.inputs[0]) in (2, None)

    def single(self, slot: int = 0, kept: tuple[int, ...] = (TensorProto.FLOAT,)) -> str:
        """An input in float32: cast, unless its type is among those kept, or is not known."""
        x = self.node.inputs[slot]
        kind = self.draft.value(x).elem_type
        if not kind or kind in kept:
            return x
        shape = self.draft.value(x).shape
        return self.emit("Cast", x, shape=shape, attributes={"to": int(TensorProto.FLOAT)})

    def emit(
        self,
        op: str,
        *inputs: str | Array,
        out: str = "",
        shape: Any = None,
        attributes: dict[str, Any] | None = None,
        domain: str = "",
        kind: int = TensorProto.FLOAT,
    ) -> str:
        """Put a node that makes one tensor, and say its name: `out`, or one of its own. Arrays among the inputs
        become constants."""
        draft = self.draft
        names = [v if isinstance(v, str) else draft.constant(f"{self.node.name}/constant", v) for v in inputs]
        name = free(f"{self.node.name}/{op}", draft.nodes)
        out = out or self.fresh(name)
        stated = draft.value(out).shape
        if shape is not None and stated is not None and len(stated) == len(shape):
            shape = [a if a is not None else b for a, b in zip(stated, shape, strict=True)]
        draft.values[out] = Value(out, kind, stated if shape is None else tuple(shape))
        draft.put(Node(name, op, tuple(names), (out,), attributes or {}, domain), at=self.node)
        return out

    def fresh(self, name: str) -> str:
        """A name that no value has."""
        made = {value for node in self.draft.nodes.values() for value in node.outputs}
        return free(name, made | self.draft.values.keys())

    def shape(self, width: int) -> tuple[Any, int]:
        """(N, width), with the N of the input."""
        return (self.draft.value(self.node.inputs[0]).shape or (None,))[0], width

    def score(self, width: int, post: str, op: str, *inputs: str | Array, **more: Any) -> None:
        """Put a node for the scores (N, width), and post_transform behind it, under the old name of the scores."""
        out, shape = self.node.outputs[-1], self.shape(width)
        raw = self.emit(op, *inputs, shape=shape, out="" if post in POST else out, **more)
        if post in POST:
            transform, attributes = POST[post]
            self.emit(transform, raw, out=out, shape=shape, attributes=attributes)

    def linear(self, weight: Array, bias: Array, post: str) -> None:
        """post(x W' + b): weight (targets, features), bias (targets,)."""
        weight, bias = weight.astype(np.float32), bias.astype(np.float32)
        self.score(len(weight), post, "Gemm", self.single(), weight, bias, attributes={"transB": 1})

    def keep_labels(self) -> None:
        """A classifier stays for its first output where that is read; its scores are read no more."""
        labels, scores = self.node.outputs
        self.draft.remove(self.node)
        if self.draft.users(labels) or self.draft.is_end(labels):
            unread = self.fresh(f"{scores}/unread")
            name = free(f"{self.node.name}/labels", self.draft.nodes)
            self.draft.put(replace(self.node, name=name, outputs=(labels, unread)), at=self.node)
