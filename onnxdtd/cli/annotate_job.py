"""The work of `annotate`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from onnxdtd.cli.job import ask
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.text import message, page, sections
from onnxdtd.explanation import Explanation
from onnxdtd.passes import PASSES
from onnxdtd.reading import asked as question_of
from onnxdtd.report import check_annotated, save_annotated
from onnxdtd.report.annotated import no_books


def annotate(
    model: Path,
    input: Path,
    output: Path,
    target: str,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    as_json: bool,
) -> str:
    """Explain, write the file and tell of it: a summary, or one JSON object."""
    checks = (partial(check_annotated, output, model), partial(_check_method, options["method"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy
        asked = ask(model, input, [target], options, preprocess, image, *checks)
        explainer = asked.explainer.at(asked.x)
        with Progress(quiet=as_json) as progress:
            e = explainer(asked.x, asked.targets[0], progress=progress)
        files = save_annotated(e, explainer.plan(e.output).graph, output, model)
    if as_json:
        message("\n".join(f"warning: {text}" for text in e.warnings))
        return json.dumps({"files": list(map(str, files)), "nodes": len(e.nodes), "method": e.method})
    return _told(e, files)


def _check_method(method: str) -> None:
    if method in PASSES:
        raise no_books(method)


def _told(e: Explanation, files: list[Path]) -> str:
    rows = [
        ("explains", [question_of(e)]),
        ("method", [e.method + (f", picked by auto: {e.reason}" if e.reason else "")]),
        ("graph", [f"{len(e.nodes)} nodes with rule, relevance and losses", *e.notes]),
        ("warning", list(e.warnings)),
        ("written", [", ".join(map(str, files))]),
    ]
    return sections([row for row in rows if row[1]], page())
