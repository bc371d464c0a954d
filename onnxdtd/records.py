"""What a result's folder holds, as the fields of an `Explanation`, and back."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.errors import InputError
from onnxdtd.folder import MANIFEST, plain, read_manifest
from onnxdtd.hints import misfit
from onnxdtd.node_report import NodeReport
from onnxdtd.npz import describe, read_arrays
from onnxdtd.tokens import Spelling

SCHEMA = "onnxdtd.explanation/1"
TUPLES = ("notes", "warnings", "findings", "start", "past", "masks")
LISTS = ("target", "target_value", "seed", "nodes", "corners", "labels", "features")
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


def read_fields(directory: str | Path, of: type) -> dict[str, Any]:
    """The fields of an `Explanation`, which is `of`, from a folder; InputError where it is missing, damaged or of
    another schema, or says what no explanation does."""
    document = read_manifest(directory, SCHEMA)
    try:
        document = {
            "past": [],
            "masks": [],
            "constants": {},
            "texts": {},
            "features": None,
            **document,
        }  # results of versions that did not tell
        fields = {field.name: document[field.name] for field in dataclasses.fields(of)}
        for name in (*LISTS, *TUPLES):
            if not isinstance(document[name], list | None):
                raise ValueError(f"'{name}' is no list")
        for group in [group for group in ARRAYS if document[group] or group != "kept"]:
            fields[group] = read_arrays(Path(directory) / f"{group}.npz", document[group])
        fields["target"] = tuple(tuple(map(tuple, indices)) for indices in document["target"])
        for name in ("target_value", "seed"):
            fields[name] = np.array([float(value) for value in document[name]])
        fields["constants"] = {
            kind: tuple(map(float, amounts)) for kind, amounts in document["constants"].items()
        }
        fields["nodes"] = tuple(NodeReport.read(node) for node in document["nodes"])
        fields.update({name: tuple(document[name]) for name in TUPLES})
        fields["texts"] = {
            name: tuple(map(Spelling.read, spelled)) for name, spelled in document["texts"].items()
        }
        fields["corners"] = tuple(None if box is None else tuple(box) for box in document["corners"])
        for name in ("labels", "features"):
            fields[name] = None if document[name] is None else tuple(document[name])
        _refuse(fields, of)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else f"is not as documented: {error}"
        raise InputError(f"'{Path(directory) / MANIFEST}' {problem}") from None
    return fields


def _refuse(fields: Mapping[str, Any], of: type) -> None:
    """ValueError where a field is not of its type, or does not go with the others."""
    parts = [(fields, of), *((vars(node), NodeReport) for node in fields["nodes"])]
    parts += [(vars(spelling), Spelling) for spelled in fields["texts"].values() for spelling in spelled]
    if name := next(filter(None, (misfit(part, kind) for part, kind in parts)), ""):
        raise ValueError(f"'{name}' is of another type")
    if not all(isinstance(fields["model"].get(name), str | None) for name in ("path", "name")):
        raise ValueError("'model' has no name")
    names = {"relevance": "inputs", "past": "inputs", "masks": "inputs", "texts": "inputs"}
    strange = [name for name, others in names.items() if not set(fields[name]) <= set(fields[others])]
    strange += [n for n, r in fields["relevance"].items() if r.shape != fields["inputs"].get(n, r).shape]
    if strange or fields["output"] not in fields["outputs"]:
        raise ValueError(f"'{(strange or ['output'])[0]}' is not among the arrays")
    count = len(fields["target"])
    if not {len(amounts) for amounts in fields["constants"].values()} <= {count}:
        raise ValueError("'constants' has another number of samples")
    if {len(fields["target_value"]), len(fields["seed"])} != {count} or len(fields["corners"]) not in (
        0,
        count,
    ):
        raise ValueError("'target' has another number of samples")
    sizes, axis = list(fields["outputs"][fields["output"]].shape), fields["batch_axis"]
    if axis is not None and sizes and not -len(sizes) <= axis < len(sizes):
        raise ValueError("'batch_axis' is no axis of the output")
    if axis is not None and sizes:
        sizes.pop(axis)
    indices = [index for sample in fields["target"] for index in sample]
    if not all(len(index) in (0, len(sizes)) for index in indices) or not all(
        -size <= place < size for index in indices for place, size in zip(index, sizes, strict=False)
    ):
        raise ValueError(f"'target' is not inside the output, {tuple(sizes)}")
    if not -max(len(sizes), 1) <= fields["class_axis"] < max(len(sizes), 1):
        raise ValueError("'class_axis' is no axis of the output")


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
