"""The named maps of x, w and b that term tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.primitives import expand_like, negative_part, ones_like, relu


def identity(x: Any) -> Any:
    """x itself."""
    return x


def zero(b: Any) -> Any:
    """No bias column."""
    return 0.0 * b


def positive(x: Any) -> Any:
    """x+ = max(x, 0)."""
    return relu(x)


def negative(x: Any) -> Any:
    """x- = min(x, 0)."""
    return negative_part(x)


def square(w: Any) -> Any:
    """w^2."""
    return w * w


def ones(x: Any) -> Any:
    """1 for each element of an input, and for each structural weight that is not zero by construction."""
    return ones_like(x)


MOST_GAMMA = 1e6
"""From there on it is z+, and its products overflow."""


@dataclass(frozen=True, slots=True)
class Boosted:
    """w + gamma w+ (sign = 1) or w + gamma w- (sign = -1); the same for b."""

    gamma: float
    sign: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= MOST_GAMMA:
            raise UsageError(f"gamma is a number from 0 to {MOST_GAMMA:g}, not {self.gamma!r}")

    def __call__(self, w: Any) -> Any:
        """The boosted weights (or bias)."""
        return w + self.gamma * (relu(w) if self.sign > 0 else negative_part(w))


@dataclass(frozen=True, slots=True, repr=False)
class Bound:
    """A bound of the input domain, broadcast to the input: one number, or one per channel or pixel.

    Kept as bytes (float64), so that rules compare, hash and pickle.
    """

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, bound: npt.ArrayLike) -> Bound:
        """From a number or an array that broadcasts to the input."""
        array = np.asarray(bound, np.float64)
        return cls(array.shape, array.tobytes())

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The bound as an array."""
        return np.frombuffer(self.data, np.float64).reshape(self.shape)

    def __repr__(self) -> str:
        low, high = self.values.min(), self.values.max()
        return f"{low:g}" if low == high else f"{low:g}..{high:g}"

    def __call__(self, x: Any) -> Any:
        """The bound in the shape and dtype of x."""
        try:
            return expand_like(self.values.astype(x.dtype), x)
        except ValueError:
            raise UsageError(
                f"a bound of shape {self.shape} does not broadcast to an input of shape {x.shape}: give one number, "
                "or one per channel, as in an array of shape (3, 1, 1)"
            ) from None
