"""The names of types that many modules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
"""Arrays by the name of the value that each is: inputs, activations, relevance."""
Inputs = npt.ArrayLike | Mapping[str, npt.ArrayLike]
"""What a user gives to be explained: an array for the one input, or arrays by input name."""
Rows = npt.NDArray[np.intp]
"""Places along the batch axis."""
Dimension = int | str | None
"""The length of an axis: a number, the name of a symbolic one, or not known."""
OnProgress = Callable[[int, int], None] | None
"""Progress is told to it: (done, total)."""
