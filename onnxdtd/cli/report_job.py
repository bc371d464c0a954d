"""The work of `report`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from onnxdtd.audit import audited_each, with_findings_each
from onnxdtd.cli.faults import Wrong, fault_lines
from onnxdtd.cli.job import ask, ask_many
from onnxdtd.cli.many_job import are_many
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.run_job import picture_shown
from onnxdtd.cli.text import message, say, sections
from onnxdtd.cli.text import page as text_width
from onnxdtd.each import explain_targets
from onnxdtd.errors import Faults, InputError, PartialError, UsageError
from onnxdtd.pages import folder_page
from onnxdtd.reading import asked as question_of
from onnxdtd.report import Entry, check_report, save_report
from onnxdtd.report.file import write_page


def report(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    targets: Sequence[str],
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
    wrong = Wrong(targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        if not inputs and not model.exists():
            raise UsageError(f"'{model}' is not there")
        if not inputs:
            raise UsageError(f"'{model}' is to be explained, and no INPUT is given")
        else:
            with Progress(quiet=as_json) as progress:
                arguments = (model, inputs, output, targets, options, preprocess, image, audit, progress)
                several = are_many(model, inputs, None)
                entries = [*(_many(*arguments, wrong) if several else _one(*arguments))]
        if not entries:
            raise wrong.error() if wrong.errors else InputError("there are no inputs")
        path = save_report(entries, output).resolve()
    size = path.stat().st_size
    if as_json:
        message("\n".join(f"warning: {text}" for e in entries for text in e.explanation.warnings))
        text = json.dumps({"file": str(path), "size": size, "explanations": len(entries)})
    else:
        text = _told(entries, output, size)
    if wrong.faults:
        say(text)
        count = sum(len(e.explanation.target) for e in entries)
        raise PartialError("\n".join([f"{wrong.count(count)}:", *fault_lines(wrong.faults)]))
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
    model: Path, inputs: Sequence[Path], output: Path, targets: Sequence[str], options: Mapping[str, Any],
    preprocess: Path | None, image: Mapping[str, Any], audit: bool, progress: Any,
) -> Iterator[Entry]:  # fmt: skip
    """Every target of one input."""
    (input,) = inputs
    asked = ask(model, input, targets, options, preprocess, image, lambda: check_report(output))
    make = partial(audited_each, asked.explainer) if audit else asked.explainer
    made = make(asked.x, targets=asked.targets, progress=progress)
    picture = picture_shown(asked.prepare, input)
    yield from (Entry(e, _name(input.name, targets, i), picture) for i, e in enumerate(made))


def _many(
    model: Path, inputs: Sequence[Path], output: Path, targets: Sequence[str], options: Mapping[str, Any],
    preprocess: Path | None, image: Mapping[str, Any], audit: bool, progress: Any, wrong: Wrong,
) -> Iterator[Entry]:  # fmt: skip
    """Every target of every row of every input; in `wrong` those that cannot be explained."""
    asked = ask_many(model, inputs, targets, options, preprocess, image, partial(check_report, output))
    stream = asked.data.each(wrong.whole)
    made = explain_targets(asked.explainer, stream, asked.questions, faulty=wrong.add)
    for done, (row, each) in enumerate(made, 1):
        picture = row.picture() if row.picture else None
        results = with_findings_each(asked.explainer, [*each.values()]) if audit else each.values()
        for number, e in zip(each, results, strict=True):
            yield Entry(e, _name(row.id, targets, number), picture)
        progress(done, asked.data.count)


def _name(input: str, targets: Sequence[str], number: int) -> str:
    """What an explanation is called on the page: by its input, and by its target where there are several."""
    return f"{input}, {targets[number]}" if len(targets) > 1 else input


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
