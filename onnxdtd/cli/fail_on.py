"""What `--fail-on` says: findings, and at how large a share of the inputs each may fire."""

from __future__ import annotations

from collections.abc import Sequence

from onnxdtd.errors import UsageError


def shares(texts: Sequence[str]) -> dict[str, float]:
    """`FINDING`, which may fire nowhere, or `FINDING:SHARE`, as in rank:0.1 or rank:10%. Raises UsageError."""
    result = {}
    for text in texts:
        name, colon, number = text.partition(":")
        try:
            share = (float(number[:-1]) / 100 if number.endswith("%") else float(number)) if colon else 0.0
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise UsageError(
                f"--fail-on {text}: behind the colon stands a share of the inputs, as 0.1 or 10%"
            )
        result[name] = share
    return result
