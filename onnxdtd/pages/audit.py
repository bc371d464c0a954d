"""The page of an audit of one explanation: the sentence, every finding, and what changes on the way to the input."""

from __future__ import annotations

from pathlib import Path

from onnxdtd.audit import AuditReport
from onnxdtd.pages.made import called, settings
from onnxdtd.pages.series import books, convergence, randomisation, roots
from onnxdtd.report.document import Page, Section
from onnxdtd.report.facts import listed
from onnxdtd.report.markup import Markup, joined, sentence, tag
from onnxdtd.report.tables import MOST, lines


def page(folder: Path) -> Page:
    """Of an audit's folder. Raises InputError."""
    report = AuditReport.load(folder)
    return Page(
        f"audit of {target(report)}",
        f"{called(report.model)} · {report.method}",
        joined("How far to trust ", tag("em", target(report))),
        [
            Section("answer", "What the audit says", _answer(report), "answer"),
            Section("findings", "Every finding", [listed(f.document() for f in report.findings)], "findings"),
            *layer_by_layer(report),
            settings(report.model, report.versions, about(report)),
        ],
    )


def layer_by_layer(report: AuditReport) -> list[Section]:
    """The numbers behind the findings, where they have such."""
    by_name = {finding.name: finding for finding in report.findings if finding.value is not None}
    series = {
        "convergence": ("Does relevance forget what it explains?", convergence(by_name), "convergence"),
        "random": ("Does it depend on what was learnt?", randomisation(by_name), "random weights"),
        "roots": ("Where the roots lie", roots(by_name), "roots"),
        "books": ("Where relevance was lost on the way", books(by_name), "losses"),
    }
    return [Section(place, title, made, link) for place, (title, made, link) in series.items() if made]


def target(report: AuditReport) -> str:
    """What is explained, of several samples in the first."""
    first, *others = report.target or ("the explanation",)
    return f"{first} and {len(others)} more samples" if others else first


def about(report: AuditReport) -> list[tuple[str, object]]:
    """What was asked, and what it took."""
    seconds = sorted(report.seconds.items(), key=lambda pair: -pair[1])
    return [
        ("method", report.method),
        ("target", lines(report.target)),
        ("samples that were walked again", str(report.samples)),
        ("audits", "the quick ones" if report.quick else "all"),
        ("seconds", ", ".join(f"{name} {spent:.2g}" for name, spent in seconds)),
    ]


def _answer(report: AuditReport) -> list[Markup]:
    applied = sum(finding.value is not None for finding in report.findings)
    count = (
        f"{len(report.fired)} of {applied} findings that apply speak against the heatmap. A finding is a number held "
        "against a threshold; it says that a sentence which a reader might think is true of the heatmap is not."
    )
    warnings = [tag("p", sentence(f"warning: {text}"), class_="warning") for text in report.warnings[:MOST]]
    return [tag("p", sentence(report.sentence), class_="lead"), tag("p", count), *warnings]
