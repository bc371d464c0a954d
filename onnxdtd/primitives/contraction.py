"""Sums of products by index letters."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives.seam import Array, primitive


@primitive("Einsum")
def einsum(*xs: Array, equation: str) -> Any:
    """np.einsum with the equation behind the operands, as in ONNX Einsum."""
    return np.einsum(equation, *xs, optimize=len(xs) > 2)
