"""The work of `audit` on many inputs: every finding with the share of inputs at which it fires."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.audit import AuditReport, AuditSet, Rate, run_audit
from onnxdtd.audit.finding import percent
from onnxdtd.audit.many import MANIFEST, SCHEMA
from onnxdtd.cli.fail_on import shares
from onnxdtd.cli.faults import Fault, Wrong, fault_lines
from onnxdtd.cli.job import AskedOfMany, ask_many, explainer_for, rows_of
from onnxdtd.cli.many_job import are_many
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.text import page, paragraph, say, screen, sections, table
from onnxdtd.errors import CheckError, Faults, OnnxdtdError, PartialError
from onnxdtd.folder import check_folder
from onnxdtd.inputs.files import ARRAYS, TABLES

HEAD = ("finding", "fires at", "share", "95 % interval", "median")


def is_set(
    model: Path,
    inputs: Sequence[Path],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
) -> bool:
    """Whether rows are audited one by one: of several paths, a folder, or a file whose rows stand apart."""
    if are_many(model, inputs, None):
        return True
    if inputs[0].suffix.lower() not in (*ARRAYS, *TABLES):
        return False
    faults = Faults()
    explainer = explainer_for(faults, model, preprocess=preprocess, image=image, inputs=inputs, **options)
    if explainer is None:
        return False  # which is told with all other faults
    try:
        explainer = explainer.batched
        first = list(islice(rows_of(explainer, inputs), 2))
        return len(first) == 2 and len(list(onnxdtd.explain_each(explainer, first))) == 2
    except OnnxdtdError:
        return False


def audit(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    target: str,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    check: Callable[[], object],
    against: str | None,
    only: Sequence[str] | None,
    quick: bool,
    fail_on: Sequence[str],
    as_json: bool,
) -> str:
    """Audit every row of every input, write one folder, and tell of it. Raises CheckError if a finding fires at more
    than its share of `fail_on`; PartialError, when all is written, for inputs that could not be audited."""
    asked = ask_many(
        model, inputs, [target], options, preprocess, image, partial(check_folder, output, SCHEMA), check
    )
    wrong = Wrong([target])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy
        with Progress(quiet=as_json) as progress:
            reports = _reports(asked, wrong, progress, only, quick, against)
        if not reports:
            raise wrong.error()
        audits = AuditSet(dict(reports), {fault.input: fault.text for fault in wrong.faults})
        folder = audits.save(output)
    if as_json:
        text = json.dumps({**json.loads((folder / MANIFEST).read_text("utf-8")), "directory": str(folder)})
    else:
        text = words_of(audits, output)
    _judge(audits, shares(fail_on), text)
    return text


def words_of(audits: AuditSet, directory: Path) -> str:
    """A table of shares, a sentence for each finding, and one for all."""
    method = next(iter(audits.reports.values())).method
    warned = sum(bool(report.warnings) for report in audits.reports.values())
    facts = [("method", [method])]
    if warned:
        facts.append(("warning", [f"{warned} of {len(audits.reports)} explanations have warnings"]))
    facts.append(("written", [f"{directory}: {MANIFEST}, audits.csv, rates.csv"]))
    return "\n\n".join(
        [
            table(HEAD, [_row(rate) for rate in audits.rates], screen()),
            sections([(rate.name, [rate.sentence]) for rate in audits.rates], page()),
            sections(facts, page()),
            paragraph(audits.sentence),
        ]
    )


def _reports(
    asked: AskedOfMany, wrong: Wrong, progress: Progress, only: Sequence[str] | None, quick: bool, rival: str | None,
) -> list[tuple[str, AuditReport]]:  # fmt: skip
    """The audit of each row, by its name; in `wrong` what stands against the others."""
    reports = []
    made = onnxdtd.explain_each(
        asked.explainer, asked.data.each(wrong.whole), asked.questions[0], faulty=wrong.whole
    )
    for done, (row, explanation) in enumerate(made, 1):
        try:
            reports.append((row.id, run_audit(asked.explainer, explanation, only, quick=quick, rival=rival)))
        except OnnxdtdError as error:
            wrong.whole(row.id, error)
        progress(done, asked.data.count)
    return reports


def _judge(audits: AuditSet, limits: Mapping[str, float], text: str) -> None:
    """Raise where a finding fires at more than its share, or where inputs are missing."""
    total = {rate.name: rate.of for rate in audits.rates} | {"any": len(audits.reports)}
    lines = []
    for name, most in limits.items():
        count, of = len(audits.fired(name)), total[name]
        if of and count / of > most:
            lines.append(f"{name} fired at {count} of {of} inputs, more than {percent(most)}")
    failed = bool(lines)
    if audits.faults:
        count = len(audits.faults)
        lines.append(f"{count} of {count + len(audits.reports)} inputs could not be audited:")
        lines += fault_lines([Fault(name, fault) for name, fault in audits.faults.items()])
    if lines:
        say(text)
        raise (CheckError if failed else PartialError)("\n".join(lines))


def _row(rate: Rate) -> tuple[str, ...]:
    if rate.share is None or rate.interval is None:
        return (rate.name, "-", "-", "-", "-")
    low, high = map(percent, rate.interval)
    median = "-" if rate.median is None else f"{rate.median:.3g}"
    return (rate.name, f"{rate.count} of {rate.of}", percent(rate.share), f"{low} to {high}", median)
