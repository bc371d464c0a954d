"""The page of a job over a data set: counts, classes, findings, what gets the relevance, some rows, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.audit.finding import interval, percent
from onnxdtd.datasets import Results
from onnxdtd.hints import made
from onnxdtd.pages.intervals import Dot, intervals
from onnxdtd.pages.made import settings, spelled
from onnxdtd.pages.parts import shares
from onnxdtd.pages.rows import some
from onnxdtd.pages.tally import Count, Tally, tally
from onnxdtd.registry import METHODS, PASSES
from onnxdtd.report.document import Page, Section
from onnxdtd.report.markup import Markup, tag
from onnxdtd.report.tables import pairs, table

CLASSES, FAILED = 60, 50


@dataclass(frozen=True)
class _Job:
    """What manifest.json says of it."""

    method: str
    model: Mapping[str, Any]
    versions: Mapping[str, Any]
    store: Mapping[str, Any]
    state: str = "running"
    engine: str = ""
    target: Any = None
    features: tuple[str, ...] | None = None
    preprocess: Any = None
    input_range: Any = None
    source: Mapping[str, Any] | None = None


def page(folder: Path) -> Page:
    """Of a job's folder; neither its model nor its data are looked for. Raises InputError; UsageError where pyarrow
    is missing."""
    results = Results(folder)
    job = made(_Job, results.manifest)
    counted, failed = tally(results, _adds_up(job.method)), results.failed
    about = [
        ("method", job.method),
        ("target", spelled(job.target)),
        ("preprocessing", spelled(job.preprocess)),
        ("range of the input", _range(job.input_range)),
        ("engine", job.engine),
        ("stored", spelled(job.store)),
    ]
    name = Path(str((job.source or {}).get("model") or "model")).name
    return Page(
        f"{len(results)} rows explained",
        f"{name} · {job.method} · batch",
        f"{len(results):,} rows explained",
        [
            Section("answer", "What became of the rows", [*_answer(counted, failed)], "answer"),
            *(
                [Section("classes", "Class by class", [_classes(counted)], "classes")]
                if counted.classes
                else []
            ),
            Section("findings", "How far to trust them", _findings(counted, job), "trust"),
            *shares(results, [*counted.classes], job.features),
            *some(results, job.features),
            *(
                [Section("failed", "What could not be explained", [*_failed(failed)], "failed")]
                if failed
                else []
            ),
            settings({**job.model, "name": name}, job.versions, about),
        ],
        "" if job.state == "finished" else "The job is not finished: this is what it has done so far.",
    )


def _adds_up(method: str) -> bool:
    """Whether a method means to hand all that starts at the target to the inputs."""
    if method in PASSES:
        return PASSES[method].adds_up
    return method not in METHODS or METHODS[method].seed != "one"


def _answer(counted: Tally, failed: Mapping[str, str]) -> Iterator[Markup]:
    whole, rows = counted.whole, list[tuple[str, object]]()
    words = f"{whole.rows:,} rows are explained" + (f", {len(failed):,} could not be" if failed else "")
    words += f"; they are of {len(counted.classes)} classes." if len(counted.classes) > 1 else "."
    yield tag("p", words, class_="lead")
    if whole.labelled:
        share = percent(whole.right / whole.labelled)
        rows.append(("the prediction is the label", f"{whole.right:,} of {whole.labelled:,}: {share}"))
    if whole.shares:
        rows.append(
            ("of what started, arrived at the inputs", f"{percent(whole.arrived / whole.shares)} on average")
        )
    rows.append(("rows at which a finding fired", f"{whole.with_any:,} of {whole.rows:,}"))
    yield pairs(rows)


def _classes(counted: Tally) -> Markup:
    labelled = bool(counted.whole.labelled)
    arrived = bool(counted.whole.shares)
    head = [
        "class",
        "rows",
        *["predicted right"] * labelled,
        "explained value",
        *["arrived"] * arrived,
        "fired at",
    ]
    rows = ([name, *_cells(count, labelled, arrived)] for name, count in counted.classes.items())
    return table(head, rows, len(counted.classes), CLASSES)


def _cells(count: Count, labelled: bool, arrived: bool) -> Iterator[object]:
    yield count.rows
    if labelled:
        yield percent(count.right / count.labelled) if count.labelled else None
    yield count.value / count.values if count.values else None
    if arrived:
        yield percent(count.arrived / count.shares) if count.shares else None
    yield count.with_any


def _findings(counted: Tally, job: _Job) -> list[Markup]:
    asked = (
        "All quick audits were made"
        if job.store.get("audit")
        else "Only conservation was audited (--audit asks more)"
    )
    if not counted.fired:
        return [tag("p", f"{asked}; nothing fired, which is no proof that the heatmaps are right.")]
    rows, dots = counted.whole.rows, list[Dot]()
    for name, count in counted.fired.most_common(CLASSES):
        words = f"{count:,} of {rows:,}"
        dots.append(Dot(name.replace("_", " "), count / rows, *interval(count, rows), words, "fired"))
    words = f"{asked}. The share of the rows at which each finding fired, with Wilson's 95 % interval."
    return [tag("p", words), tag("figure", intervals(dots, (0.0, 1.0)))]


def _range(written: Any) -> str:
    """The range of the input as the manifest spells it, which it does by digests where it is one of arrays."""
    text = spelled(written)
    return "" if text == "None" or "<" in text else text


def _failed(failed: Mapping[str, str]) -> Iterator[Markup]:
    reasons = Counter(failed.values())
    if 1 < len(reasons) < len(failed):
        yield table(("rows", "reason"), ([n, why] for why, n in reasons.most_common()), len(reasons), FAILED)
    yield table(("row", "reason"), failed.items(), len(failed), FAILED)
