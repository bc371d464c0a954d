"""What a result's folder holds, as the fields of an `Explanation`, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.conservation import NodeReport
from onnxdtd.errors import InputError
from onnxdtd.folder import MANIFEST, plain, read_manifest
from onnxdtd.npz import describe, read_arrays

SCHEMA = "onnxdtd.explanation/1"
ARRAYS = ("relevance", "inputs", "outputs", "kept")


def document_of(fields: Mapping[str, Any], conservation: Any) -> dict[str, Any]:
    """The content of `explanation.json`: everything but the arrays, of which it holds the digests."""
    c, document = conservation, dict(fields)
    for group in ARRAYS:
        document[group] = {name: describe(array) for name, array in fields[group].items()}
    for group in ("relevance", "kept"):
        for name, r in fields[group].items():
            document[group][name]["sum"] = np.sum(r, dtype=np.float64)
    document["nodes"] = [node.document() for node in fields["nodes"]]
    total = {"target": c.target, "relevance": c.relevance, "lost": c.lost, "causes": c.causes}
    document["conservation"] = {**total, "error": c.error, "relative": c.relative}
    return dict(plain(document))


def read_fields(directory: str | Path, names: Sequence[str]) -> dict[str, Any]:
    """The fields of these names from a folder; InputError where it is missing, damaged or of another schema."""
    document = read_manifest(directory, SCHEMA)
    try:
        document = {"past": [], "features": None, **document}  # results of versions that did not tell
        fields = {name: document[name] for name in names}
        for group in [group for group in ARRAYS if document[group] or group != "kept"]:
            fields[group] = read_arrays(Path(directory) / f"{group}.npz", document[group])
        fields["target"] = tuple(tuple(map(tuple, indices)) for indices in document["target"])
        for name in ("target_value", "seed"):
            fields[name] = np.array([float(value) for value in document[name]])
        fields["nodes"] = tuple(NodeReport.read(node) for node in document["nodes"])
        fields.update(
            {name: tuple(document[name]) for name in ("notes", "warnings", "findings", "start", "past")}
        )
        fields["corners"] = tuple(None if box is None else tuple(box) for box in document["corners"])
        for name in ("labels", "features"):
            fields[name] = None if document[name] is None else tuple(document[name])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else f"is not as documented: {error}"
        raise InputError(f"'{Path(directory) / MANIFEST}' {problem}") from None
    return fields
