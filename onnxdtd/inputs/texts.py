"""Arrays of texts, for inputs such as a table's column of categories."""

from __future__ import annotations

import numpy as np

from onnxdtd.types import Array


def as_texts(array: Array) -> Array:
    """Texts as the objects that onnxruntime takes; bytes are read as UTF-8. Raises ValueError for what is no text,
    naming the first."""
    if array.dtype.kind in "UT":
        return array.astype(object)
    if array.dtype.kind not in "SO":
        raise ValueError(
            f"holds {array.dtype.name} where the model takes texts: convert it with x.astype(str), as the model "
            "was trained"
        )
    texts = np.empty(array.shape, object)
    for index, value in np.ndenumerate(array):
        if isinstance(value, bytes):
            value = value.decode("utf-8")
        if not isinstance(value, str):
            place = ", ".join(map(str, index))
            raise ValueError(
                f"holds a {type(value).__name__} where the model takes texts, the first {value!r} at x[{place}]; "
                "write a missing one as the text that the model was trained with, such as ''"
            )
        texts[index] = value
    return texts
