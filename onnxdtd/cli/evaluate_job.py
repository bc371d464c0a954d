"""The work of `evaluate`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxdtd.cli.pictures import NAMES, asked_fields, preparing
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.settings import fixed_inputs
from onnxdtd.cli.stopping import TimeIsOver
from onnxdtd.cli.text import message, page, sections
from onnxdtd.inputs import IMAGE_SUFFIXES, Preprocess
from onnxdtd.loaded import Loaded
from onnxdtd.metrics import Evaluation
from onnxdtd.metrics import evaluate as evaluated
from onnxdtd.metrics.journal import FILES
from onnxdtd.passes import Explainer

LEGEND = "mean [95 % interval]; * best, = not told apart from it (paired difference, 95 %)"

OF_MODEL = ("max_steps", "cache_dir", "mask", "positions", "tokenizer")
"""What is the explainer's, whatever the method."""


def evaluate(
    model: Path,
    data: Sequence[Path],
    output: Path,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    as_json: bool,
) -> str:
    """Evaluate, leave the folder, and tell of it: tables, or one JSON object."""
    chosen = dict(options)
    for name in ("methods", "metrics", "fills"):
        chosen[name] = [word.strip() for word in chosen[name].split(",")]
    chosen["metrics"] = "all" if chosen["metrics"] == ["all"] else chosen["metrics"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        with Progress(quiet=as_json) as progress:
            names = {name: image[name] for name in NAMES}
            own: dict[str, Any] = {name: chosen.pop(name) for name in OF_MODEL}
            explainer = Explainer(model, fixed=fixed_inputs(chosen.pop("fixed")), **own, **names)
            prepare = _prepared(explainer.loaded, data, preprocess, image)
            try:
                result = evaluated(
                    explainer,
                    data[0] if len(data) == 1 else [*data],
                    **chosen,
                    out=output,
                    progress=progress,
                    preprocess=prepare,
                    layout=image["layout"],
                )
            except (KeyboardInterrupt, TimeIsOver):
                message(f"what was found is kept in '{output}': the same command goes on from there")
                raise
        document = result.to_json() if as_json else words_of(result, output)
    if not as_json:
        return document
    message("\n".join(f"warning: {note}" for note in result.notes))
    return json.dumps({**json.loads(document), "directory": str(result.folder)}, allow_nan=False)


def words_of(result: Evaluation, directory: Path) -> str:
    """Tables, what was left out and why, and the files."""
    facts = [
        ("inputs", [str(result.inputs)]),
        ("skipped", [f"{method}: {why}" for method, why in result.skipped.items()]),
        ("left out", [f"{metric}: {why}" for metric, why in result.left_out.items()]),
        ("note", list(result.notes)),
        ("legend", [LEGEND]),
        ("written", [f"{directory}: {', '.join(FILES)}"]),
    ]
    return f"{result.table()}\n\n{sections([fact for fact in facts if fact[1]], page())}"


def _prepared(
    loaded: Loaded, data: Sequence[Path], preprocess: Path | None, image: Mapping[str, Any]
) -> Preprocess | None:
    """How images are prepared; of arrays, only the layout may be told."""
    pictures = any(path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES for path in data)
    flags = image if pictures else {**image, "layout": None}
    return preparing(loaded, asked_fields(preprocess, flags, data))
