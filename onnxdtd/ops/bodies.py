"""Operators with a body that runs a number of times: relevance goes through its nodes, by the rules of each."""

from __future__ import annotations

from onnxdtd.registry import without_site

THROUGH = (
    "a loop: relevance goes through its body, but not where states are lists of tensors or of unknown type"
)

without_site("loop", "Loop", reason=THROUGH, outputs=None)
without_site("loop", "Scan", reason=THROUGH, outputs=None, since=9)
