"""The work of `report`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.audit import audited, with_findings
from onnxdtd.cli.job import ask, ask_many
from onnxdtd.cli.many_job import are_many
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.run_job import picture_shown
from onnxdtd.cli.text import message, say, sections
from onnxdtd.cli.text import page as text_width
from onnxdtd.errors import Faults, InputError, OnnxdtdError, PartialError, UsageError
from onnxdtd.pages import folder_page
from onnxdtd.reading import asked as question_of
from onnxdtd.report import Entry, check_report, save_report
from onnxdtd.report.file import write_page


def report(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    target: str,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    of_explaining: Sequence[str],
    audit: bool,
    as_json: bool,
) -> str:
    """Write the page and tell of it. of_explaining: options that were typed and say how to explain. Raises
    PartialError, when the page of the others is written, for inputs that could not be explained."""
    if model.is_dir():
        return _of_folder(model, [*map(str, inputs), *of_explaining], output, as_json)
    wrong: list[tuple[str, OnnxdtdError]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        if not inputs and not model.exists():
            raise UsageError(f"'{model}' is not there")
        if not inputs:
            raise UsageError(f"'{model}' is to be explained, and no INPUT is given")
        else:
            with Progress(quiet=as_json) as progress:
                arguments = (model, inputs, output, target, options, preprocess, image, audit, progress)
                several = are_many(model, inputs, None)
                entries = [*_many(*arguments, wrong)] if several else [_one(*arguments)]
        if not entries:
            raise wrong[0][1] if wrong else InputError("there are no inputs")
        path = save_report(entries, output).resolve()
    size = path.stat().st_size
    if as_json:
        message("\n".join(f"warning: {text}" for e in entries for text in e.explanation.warnings))
        text = json.dumps({"file": str(path), "size": size, "explanations": len(entries)})
    else:
        text = _told(entries, output, size)
    if wrong:
        say(text)
        lines = [f"'{name}': {error}" for name, error in wrong]
        count = len(wrong) + len(entries)
        raise PartialError("\n".join([f"{len(wrong)} of {count} inputs could not be explained:", *lines]))
    return text


def _of_folder(folder: Path, strays: Sequence[str], output: Path, as_json: bool) -> str:
    """The page of what an earlier command has left."""
    faults = Faults()
    with faults:
        if strays:
            told = ", ".join(strays)
            raise UsageError(
                f"'{folder}' is the folder of a result, which is shown as it is: leave out {told}"
            )
    with faults:
        check_report(output)
    with faults, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy
        page, html = folder_page(folder)
    faults.stop()
    path = write_page(html, output).resolve()
    size = path.stat().st_size
    if as_json:
        return json.dumps({"file": str(path), "size": size, "title": page.title})
    rows = [
        ("shows", [page.title]),
        ("remark", [page.remark]),
        ("written", [f"{output}: {size / 1e3:.0f} kB"]),
    ]
    return sections([row for row in rows if any(row[1])], text_width())


def _one(
    model: Path, inputs: Sequence[Path], output: Path, target: str, options: Mapping[str, Any],
    preprocess: Path | None, image: Mapping[str, Any], audit: bool, progress: Any,
) -> Entry:  # fmt: skip
    (input,) = inputs
    asked = ask(model, input, [target], options, preprocess, image, lambda: check_report(output))
    make = (lambda *a, **k: audited(asked.explainer, *a, **k)) if audit else asked.explainer
    e = make(asked.x, asked.targets[0], progress=progress)
    return Entry(e, input.name, picture_shown(asked.prepare, input))


def _many(
    model: Path, inputs: Sequence[Path], output: Path, target: str, options: Mapping[str, Any],
    preprocess: Path | None, image: Mapping[str, Any], audit: bool, progress: Any,
    wrong: list[tuple[str, OnnxdtdError]],
) -> Iterator[Entry]:  # fmt: skip
    """Every row of every input; in `wrong` those that cannot be explained."""
    asked = ask_many(model, inputs, target, options, preprocess, image, partial(check_report, output))
    stream = asked.data.each(lambda name, error: wrong.append((name, error)))
    made = onnxdtd.explain_each(
        asked.explainer, stream, asked.question, faulty=lambda name, error: wrong.append((name, error))
    )
    for done, (row, e) in enumerate(made, 1):
        picture = row.picture() if row.picture else None
        yield Entry(with_findings(asked.explainer, e) if audit else e, row.id, picture)
        progress(done, asked.data.count)


def _told(entries: Sequence[Entry], output: Path, size: int) -> str:
    first = entries[0].explanation
    questions = [question_of(e.explanation, i) for e in entries for i in range(len(e.explanation.target))]
    rows = [
        ("explains", questions[:5] + [f"and {len(questions) - 5} more"] * (len(questions) > 5)),
        ("method", [first.method + (f", picked by auto: {first.reason}" if first.reason else "")]),
        ("warning", list(first.warnings) if len(entries) == 1 else []),
        ("written", [f"{output}: {size / 1e3:.0f} kB"]),
    ]
    return sections([row for row in rows if row[1]], text_width())
