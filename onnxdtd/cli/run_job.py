"""The work of `run` on one input, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.audit import audited_each
from onnxdtd.cli import many_job
from onnxdtd.cli.audit_job import check_names
from onnxdtd.cli.coloured import coloured, shows_colour
from onnxdtd.cli.faults import named
from onnxdtd.cli.job import ask
from onnxdtd.cli.many_results import ManyResults
from onnxdtd.cli.places import places_of
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.settings import restriction, restrictions
from onnxdtd.cli.summary import SHOWN, summary
from onnxdtd.cli.text import message, page, say, sections
from onnxdtd.errors import CheckError, InputError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.folder import MANIFEST, check_folder, plain, write_folder
from onnxdtd.inputs import IMAGE_SUFFIXES, Preprocess
from onnxdtd.records import SCHEMA


def explain(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    texts: Sequence[Any] = (),
    sample: str | None,
    keep: Sequence[str],
    only: Sequence[str],
    audit: bool,
    fail_on: Sequence[str],
    parquet: bool,
    as_json: bool,
) -> str:
    """Explain one input or many, write the folder, and tell of it: a summary, or one JSON object. Of several targets
    each has a folder of its own in `output`, beside pages of all, and the JSON object lists them as `results`. Raises
    CheckError if a finding of `fail_on` fired, when all is written."""
    if fail_on and not audit:
        raise UsageError("--fail-on looks at what the audit finds: leave --no-audit out")
    if any(":" in name for name in fail_on):
        raise UsageError(
            "--fail-on takes a share of the inputs in `onnxdtd audit` only: name the finding alone"
        )
    check_names(fail_on, None, quick=True)
    if not texts and many_job.are_many(model, inputs, sample):
        return many_job.explain(
            model, inputs, output, targets, options, preprocess, image,
            sample=sample, keep=keep, only=only, audit=audit, fail_on=fail_on, parquet=parquet, as_json=as_json,
        )  # fmt: skip
    input = [*texts] if texts else inputs[0]
    several = len(targets) > 1
    checks: list[Callable[[], object]] = [
        partial(check_folder, output, many_job.SCHEMA if several else SCHEMA),
        *(partial(restriction, text) for text in only),
    ]
    asked = ask(model, input, targets, options, preprocess, image, *checks)
    explainer, shown = asked.explainer, picture_shown(asked.prepare, input)
    x = asked.x if sample is None else _chosen(asked.x, sample)
    results, fired = list[Any](), list[str]()
    # NumPy and matplotlib warn of what does not matter to the user, who finds in e.warnings what does.
    with warnings.catch_warnings(), Progress(quiet=as_json) as progress:
        warnings.simplefilter("ignore")
        ways: dict[str, Any] = {"progress": progress, "keep": keep, "only": restrictions(only)}
        made = (
            audited_each(explainer, x, asked.targets, **ways)
            if audit
            else explainer(x, targets=asked.targets, **ways)
        )
    name = "text" if texts else inputs[0].name
    extras = many_job.parquet_of if parquet else None

    def fill(folder: Path) -> dict[str, Any]:
        pages = ManyResults([name], targets, as_json)
        pages.keep(folder, name, "", dict(enumerate(made)), shown, extras=extras)
        return pages.finish(folder, [], parquet)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if several:
            saved = write_folder(output, many_job.SCHEMA, fill)
        else:
            saved = made[0].save(output, picture=shown, extras=partial(extras, made[0]) if extras else None)
    for place, e, target in zip(places_of(targets) if several else [""], made, targets, strict=True):
        written = json.loads((saved / place / MANIFEST).read_text("utf-8"))
        for warning in unfitting(e):
            message(f"warning: {warning}")
        if as_json:
            message("\n".join(f"warning: {text}" for text in e.warnings))
            results.append({**written, "prediction": prediction(e), "directory": str(saved / place)})
        else:
            text = coloured(e) if shows_colour() else ""
            told = summary(e, output / place, written["files"])
            results.append(f"{text}\n\n{told}" if text else told)
        names = [finding["name"] for finding in e.findings if finding["fired"]]
        fired += many_job.named_findings(fail_on, names, named(name, target if several else ""))
    if as_json:
        all_results = {"results": results, "directory": str(saved)}
        text = json.dumps(all_results if several else results[0], allow_nan=False)
    else:
        text = "\n\n".join([*results, *([_of_all(output)] if several else [])])
    if fired:
        say(text)
        raise CheckError("\n".join(fired))
    return text


def prediction(e: Explanation) -> Any:
    """For each sample the largest elements of the explained output, for JSON."""
    keys = ("index", "label", "value")
    samples = range(len(e.target))
    return plain([[dict(zip(keys, best, strict=True)) for best in e.top(SHOWN, i)] for i in samples])


def unfitting(e: Explanation) -> list[str]:
    """Names of columns that are left out, since they are not as many as the columns."""
    size = sum(r[0].size for r in e.relevance.values() if r.ndim > 1)
    if e.features is None or len(e.features) == size:
        return []
    return [f"{len(e.features)} features are named, of {size}: left out"]


def _chosen(x: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The rows that `--sample` names."""
    count = min((len(array) for array in x.values() if np.ndim(array)), default=1)
    rows = many_job.rows_named(text)
    places = [i for i in range(count) if i in rows]
    if not places:
        raise InputError(f"--sample {text}: the input has {count} rows, 0 to {count - 1}")
    return {
        name: array[places] if np.ndim(array) and len(array) == count else array for name, array in x.items()
    }


def _of_all(output: Path) -> str:
    """Which pages of all targets are written."""
    files = ", ".join(sorted(path.name for path in output.iterdir() if path.is_file()))
    return sections([("written", [f"{output}: {files}, and a folder for each target"])], page())


def picture_shown(prepare: Preprocess | None, input: Any) -> Any:
    """The picture that the model is shown, where the input is one."""
    if not isinstance(input, Path):
        return None
    return prepare.picture(input) if prepare and input.suffix.lower() in IMAGE_SUFFIXES else None
