"""Hostile names and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

NAMES = (
    "", "x", "../../up", "/etc/passwd", "a\0b", "\x1b[31mRED\x1b]0;title\x07", "\u202eesrever", "line\nbreak",
    "[/bold]", "$\\frac{1}{0}$", "x" * 5_000, "é" * 300, "name with spaces", "CON", "%s%n", "{0}", "'", "\x9b2J",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 127, 255, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63), -(2**31), 10**6)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 3e38, float("inf"), float("-inf"), float("nan"), 0.5, 1e6)
TEXTS = (
    "top", "0", "-1", "99999", "²", "9" * 5_000, "a:b:c", "1,1,1", "x - y", ":", "score>nan", "box:0", "", "\x1b[2J",
    "1.5", "last", "[1", "{", "nan", "1e400", "=", "x=", "=1", "steps=0", "samples=999999999999", "steps=nan", "\0",
)  # fmt: skip
FIGURES = (
    "0", "-1", "1", "2", "1.5", "1e30", "-1e30", "99999999999999999999", "-99999999999999999999", "9" * 5_000, "nan",
    "inf", "-inf", "1e-300", "2147483648", "9223372036854775807", "²", "", "0x10", "1_000", "true",
)  # fmt: skip


def pick(rng: np.random.Generator, choices: Any) -> Any:
    """One of them."""
    return choices[int(rng.integers(len(choices)))]
