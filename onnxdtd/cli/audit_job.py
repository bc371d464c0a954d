"""The work of `audit`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from onnxdtd.audit import AUDITS, AuditReport, Finding, junit, run_audit, sarif
from onnxdtd.audit.report import MANIFEST, SCHEMA
from onnxdtd.audit.runner import check_method, chosen
from onnxdtd.cli import audit_many_job
from onnxdtd.cli.fail_on import shares
from onnxdtd.cli.job import ask
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.text import message, page, paragraph, say, screen, sections, table
from onnxdtd.errors import CheckError, UsageError
from onnxdtd.folder import check_folder
from onnxdtd.owned import check_owned, write_owned

HEAD = ("finding", "value", "fires", "")


def audit(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    target: str,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    against: str | None,
    only: Sequence[str] | None,
    quick: bool,
    fail_on: Sequence[str],
    junit_file: Path | None,
    sarif_file: Path | None,
    as_json: bool,
) -> str:
    """Explain, audit, write the folder, and tell of it. Raises CheckError if a finding of `fail_on` fired. Of many
    inputs each is audited, and each finding has a rate."""
    options = {**options, "engine": engine_for(options["engine"], only)}
    if audit_many_job.is_set(model, inputs, options, preprocess, image):
        for option, file in (("--junit", junit_file), ("--sarif", sarif_file)):
            if file is not None:
                raise UsageError(f"{option} writes the findings of one input: leave it out for many")
        return audit_many_job.audit(
            model, inputs, output, target, options, preprocess, image,
            check=partial(_known, fail_on, only, quick, options["method"]), against=against, only=only, quick=quick,
            fail_on=fail_on, as_json=as_json,
        )  # fmt: skip
    asked = ask(
        model, inputs[0], [target], options, preprocess, image,
        partial(check_folder, output, SCHEMA), partial(_known, fail_on, only, quick, options["method"]),
        *(
            partial(check_owned, file, mark, "is no audit of onnxdtd")
            for file, mark in ((junit_file, junit.MARK), (sarif_file, sarif.MARK)) if file is not None
        ),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        with Progress(quiet=as_json) as progress:
            explanation = asked.explainer.one_pass(asked.x, asked.targets[0])
            report = run_audit(
                asked.explainer, explanation, only, quick=quick, rival=against, progress=progress
            )
        folder = report.save(output)
    names = [name for name, share in shares(fail_on).items() if share < 1]
    if junit_file is not None:
        write_owned(junit_file, junit.junit(report))
    if sarif_file is not None:
        write_owned(sarif_file, sarif.sarif(report, names))
    written = json.loads((folder / MANIFEST).read_text("utf-8"))
    if as_json:
        message("\n".join(f"warning: {text}" for text in report.warnings))
        text = json.dumps({**written, "directory": str(folder)}, allow_nan=False)
    else:
        text = words_of(report, output, written["files"])
    failed = [f for f in report.fired if "any" in names or f.name in names]
    if failed:
        say(text)
        raise CheckError("\n".join(f"{f.name} fired: {_value(f)} is {_side(f)}" for f in failed))
    return text


def engine_for(engine: str, only: Sequence[str] | None) -> str:
    """What `auto` means where nodes' books are audited: no finding depends on what pays on a machine."""
    books = any(entry.books for name, entry in AUDITS.items() if only is None or name in only)
    return "numpy" if engine == "auto" and books else engine


def words_of(report: AuditReport, directory: Path, files: Sequence[str]) -> str:
    """A table, a sentence for each finding, and the honest one."""
    rows = [(f.name, _value(f), _side(f), "fired" if f.fired else "") for f in report.findings]
    facts = [
        ("method", [report.method]),
        ("target", [*report.target[:3], *(["..."] if len(report.target) > 3 else [])]),
        ("warning", list(report.warnings)),
        ("written", [f"{directory}: {', '.join(files)}"]),
    ]
    parts = [
        table(HEAD, rows, screen()),
        sections([(f.name, [f.sentence]) for f in report.findings], page()),
        sections([fact for fact in facts if fact[1]], page()),
        paragraph(report.sentence),
    ]
    return "\n\n".join(parts)


def _known(fail_on: Sequence[str], only: Sequence[str] | None, quick: bool, method: str) -> None:
    check_method(method)
    check_names(fail_on, only, quick)


def check_names(fail_on: Sequence[str], only: Sequence[str] | None, quick: bool) -> None:
    """UsageError for a finding of `--fail-on` that is none of these audits."""
    names = [name for entry in chosen(only, quick) for name in entry.findings]
    for name in shares(fail_on):
        if name not in (*names, "any"):
            raise UsageError(f"--fail-on {name}: no such finding here; there are {', '.join(names)}, any")


def _value(finding: Finding) -> str:
    return "-" if finding.value is None else f"{finding.value:.3g}"


def _side(finding: Finding) -> str:
    return f"{finding.fires} {finding.threshold:.3g}"
