"""The work of `compile`, loaded when it runs."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.cli.job import explainer_for, target_for
from onnxdtd.cli.text import message, page, sections
from onnxdtd.compiled.explainer_model import STARTS, WEIGHTS, CompiledModel
from onnxdtd.compiled.export import check_path
from onnxdtd.errors import Faults, UsageError
from onnxdtd.folder import plain


def compile(
    model: Path,
    path: Path,
    target: str,
    output: str | None,
    options: Mapping[str, Any],
    weights: Any,
    like: Path | None,
    constants: bool,
    *,
    as_json: bool,
) -> str:
    """Write the file and tell of it: a summary, or one JSON object."""
    faults = Faults()
    explainer = explainer_for(faults, model, like=like, **options)
    with faults:
        check_path(path, model)
    with faults:
        if weights not in WEIGHTS:
            raise UsageError(f"no weights '{weights}'; choose among {', '.join(WEIGHTS)}")
    question: Any = target
    settled = explainer is not None and not explainer.graph.open_branches
    if target not in STARTS and settled and options["method"] not in onnxdtd.PASSES:
        with faults:
            question = target_for(explainer, target)
    faults.stop()
    assert explainer is not None  # or there was a fault
    settings = {name: value for name, value in options.items() if name not in ("fixed", "background")}
    settings |= {"weights": weights, "constants": constants}
    made = onnxdtd.compile(explainer.graph, path, target=question, output=output, **settings)
    if not as_json:
        return _summary(made)
    message("\n".join(f"warning: {text}" for text in made.warnings))
    facts = {f.name: getattr(made, f.name) for f in dataclasses.fields(made)}
    return json.dumps(plain({**facts, "files": list(map(str, made.files))}))


def _summary(made: CompiledModel) -> str:
    own, added = made.nodes
    used = ", ".join(f"{rule} x{count}" for rule, count in Counter(made.rules.values()).most_common())
    starts = {
        "runtime": "one index per sample, or -1 for the arg-max",
        "coefficients": "one for each element of the explained value",
        "seed": "the relevance that starts",
    }
    takes = f" ('{made.inputs[-1]}': {starts[made.target]})" if made.target in starts else ""
    fixed = "" if made.target in starts else f", for target {made.target}"
    times = (
        f", {made.nbytes / made.source_nbytes:.2f} times the model's weights" if made.source_nbytes else ""
    )
    rows = [
        ("takes", [", ".join(made.inputs) + takes]),
        ("returns", [", ".join(made.outputs)]),
        ("explains", [f"'{made.explained}' of output '{made.output}'{fixed}"]),
        ("method", [made.method + (f", picked by auto: {made.reason}" if made.reason else "")]),
        ("rules", [used]),
        ("graph", [f"{own} nodes of the model, {added} added, opset {made.opset}"]),
        ("warning", list(made.warnings)),
        ("written", [f"{', '.join(str(file) for file in made.files)}: {_size(made.nbytes)}{times}"]),
    ]
    return sections([row for row in rows if row[1]], page())


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
