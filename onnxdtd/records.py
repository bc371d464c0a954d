"""What a result's folder holds, as the fields of an `Explanation`, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.conservation import NodeReport
from onnxdtd.errors import InputError
from onnxdtd.folder import MANIFEST, plain, read_manifest
from onnxdtd.npz import describe, read_arrays
from onnxdtd.tokens import Spelling

SCHEMA = "onnxdtd.explanation/1"
TUPLES = ("notes", "warnings", "findings", "start", "past", "masks")
ARRAYS = ("relevance", "inputs", "outputs", "kept")


def document_of(fields: Mapping[str, Any], conservation: Any) -> dict[str, Any]:
    """The content of `explanation.json`: everything but the arrays, of which it holds the digests."""
    c, document = conservation, dict(fields)
    for group in ARRAYS:
        document[group] = {name: describe(array) for name, array in fields[group].items()}
    for group in ("relevance", "kept"):
        for name, r in fields[group].items():
            document[group][name]["sum"] = np.sum(r, dtype=np.float64)
    document["texts"] = {name: [vars(s) for s in spelled] for name, spelled in fields["texts"].items()}
    document["nodes"] = [node.document() for node in fields["nodes"]]
    total = {
        "target": c.target,
        "relevance": c.relevance,
        "lost": c.lost,
        "causes": c.causes,
        "constants": c.constants,
    }
    document["conservation"] = {**total, "error": c.error, "relative": c.relative}
    return dict(plain(document))


def read_fields(directory: str | Path, names: Sequence[str]) -> dict[str, Any]:
    """The fields of these names from a folder; InputError where it is missing, damaged or of another schema."""
    document = read_manifest(directory, SCHEMA)
    try:
        document = {
            "past": [],
            "masks": [],
            "texts": {},
            "features": None,
            **document,
        }  # results of versions that did not tell
        fields = {name: document[name] for name in names}
        for group in [group for group in ARRAYS if document[group] or group != "kept"]:
            fields[group] = read_arrays(Path(directory) / f"{group}.npz", document[group])
        fields["target"] = tuple(tuple(map(tuple, indices)) for indices in document["target"])
        for name in ("target_value", "seed"):
            fields[name] = np.array([float(value) for value in document[name]])
        fields["nodes"] = tuple(NodeReport.read(node) for node in document["nodes"])
        fields.update({name: tuple(document[name]) for name in TUPLES})
        fields["texts"] = {
            name: tuple(map(Spelling.read, spelled)) for name, spelled in document["texts"].items()
        }
        fields["corners"] = tuple(None if box is None else tuple(box) for box in document["corners"])
        for name in ("labels", "features"):
            fields[name] = None if document[name] is None else tuple(document[name])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else f"is not as documented: {error}"
        raise InputError(f"'{Path(directory) / MANIFEST}' {problem}") from None
    return fields


def printed(e: Any) -> str:
    """An `Explanation` in lines, as Python prints it."""
    model = Path(e.model.get("path") or e.model.get("name", "")).name
    lines = [f"Explanation of '{model}' by {e.method}"]
    lines[0] += f" ({e.reason})" if e.reason else ""
    for i, value in list(enumerate(e.target_value))[:4]:
        where = "" if e.start else f" of '{e.output}'"
        lines.append(f"  target        sample {i}: {e.label(i)}{where} = {value:.4g}")
    if len(e.target) > 4:
        lines.append(f"                ... {len(e.target)} samples")
    for name, r in e.relevance.items():
        total = np.sum(r, dtype=np.float64)
        spread = f"from {r.min():.3g} to {r.max():.3g}, sum {total:.4g}" if r.size else "empty"
        lines.append(f"  relevance     '{name}' {r.dtype} {r.shape}: {spread}")
    lines += [f"  mask          '{name}' says what counts" for name in e.masks]
    lines.append(f"  conservation  {e.conservation}")
    if e.nodes:
        rules = Counter(e.rules.values()).most_common(6)
        lines.append("  rules         " + ", ".join(f"{rule} x{count}" for rule, count in rules))
    lines.append(f"  engine        {e.engine}, {e.provider}")
    return "\n".join([*lines, *(f"  warning       {warning}" for warning in e.warnings)])
