"""Operators that stand for other nodes: the model is read with those in their place."""

from __future__ import annotations

from onnxdtd.model.definitions.table import DEFINITIONS, DOMAIN, INTEGERS, STANDARD_INTEGERS, UNCHECKED
from onnxdtd.model.functions import EXPANDED
from onnxdtd.registry import without_site

without_site(
    "expanded", *EXPANDED,
    reason="expanded into the nodes of its ONNX definition when the model is read",
)  # fmt: skip
without_site(
    "expanded", *(name for name in DEFINITIONS if name not in (*UNCHECKED, *INTEGERS)),
    reason="onnxruntime's own; written out in standard operators when the model is read", domain=DOMAIN,
)  # fmt: skip
_STEPS = "on integers; written out as dequantise, the operator on floats and quantise when the model is read"
without_site("expanded", *INTEGERS, reason=_STEPS, domain=DOMAIN)
without_site("expanded", *STANDARD_INTEGERS, reason=_STEPS)
without_site(
    "expanded", *UNCHECKED,
    reason="onnxruntime's own; written out in standard operators when the model is read, which its CPU provider, "
    "without a kernel of it, cannot confirm", domain=DOMAIN,
)  # fmt: skip
without_site(
    "refuse", "NhwcMaxPool", "SparseAttention",
    reason="onnxruntime's own; save the model with ORT_ENABLE_BASIC, which keeps to standard operators",
    domain=DOMAIN,
)  # fmt: skip
without_site(
    "barrier", "BlackmanWindow", "HammingWindow", "HannWindow",
    reason="depends on a length, not on values",
)  # fmt: skip
without_site(
    "expanded", "If",
    reason="a branch: written out once an input says which one is taken; give one (--like INPUT, Explainer.at), or "
    "fix what decides (--fixed NAME=VALUE); where iterations of a loop differ, both must make one and the same shape",
)  # fmt: skip
