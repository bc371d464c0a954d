"""An input that shows what others are like: given as arrays, or as the file that holds it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from onnxdtd.inputs.arrays import check_inputs
from onnxdtd.inputs.files import read_inputs
from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.model.graph import Graph
from onnxdtd.types import Array, Inputs

Like = str | os.PathLike[str] | Inputs | None


def read_like(like: str | os.PathLike[str] | Inputs, graph: Graph) -> Mapping[str, Array]:
    """The checked inputs of the model by name; an image is prepared as its metadata say. Raises InputError."""
    values = {name: graph.value(name) for name in graph.inputs}
    if isinstance(like, (str, os.PathLike)):
        return read_inputs(os.fspath(like), values, Preprocess.from_metadata(graph.metadata))
    return check_inputs(like, values)
