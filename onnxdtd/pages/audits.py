"""The page of an audit of many explanations: how often each finding fires, and at which inputs."""

from __future__ import annotations

import math
from pathlib import Path

from onnxdtd.audit import AuditSet
from onnxdtd.audit.many import Rate
from onnxdtd.audit.report import AuditReport
from onnxdtd.pages.audit import target
from onnxdtd.pages.intervals import Dot, intervals
from onnxdtd.pages.made import called, settings
from onnxdtd.report.document import Page, Section
from onnxdtd.report.markup import Markup, sentence, tag
from onnxdtd.report.tables import MOST, lines, table


def page(folder: Path) -> Page:
    """Of the folder of an audit of many inputs. Raises InputError."""
    audits = AuditSet.load(folder)
    first, count = next(iter(audits.reports.values())), len(audits.reports)
    faults = [f"{name}: {fault}" for name, fault in audits.faults.items()]
    failed = (
        [Section("faults", "What could not be audited", [lines(faults)], "not audited")] if faults else []
    )
    return Page(
        f"audit of {count} explanations",
        f"{called(first.model)} · {first.method}",
        f"How far to trust {count} explanations",
        [
            Section("answer", "What the audit says", _answer(audits), "answer"),
            Section("rates", "How often each finding fires", _rates(audits), "rates"),
            Section("findings", "Every finding", [_findings(audits.rates)], "findings"),
            Section("inputs", "Every input", [_inputs(audits)], "inputs"),
            *failed,
            settings(first.model, first.versions, _about(first, count)),
        ],
    )


def _answer(audits: AuditSet) -> list[Markup]:
    warned = sum(bool(report.warnings) for report in audits.reports.values())
    pieces = [tag("p", sentence(audits.sentence), class_="lead")]
    if audits.faults:
        words = (
            f"{len(audits.faults)} of {len(audits.faults) + len(audits.reports)} inputs could not be audited."
        )
        pieces.append(tag("p", words, class_="warning"))
    if warned:
        words = f"{warned} of {len(audits.reports)} explanations have warnings."
        pieces.append(tag("p", words, class_="warning"))
    return pieces


def _rates(audits: AuditSet) -> list[Markup]:
    words = "The share of the inputs to which a finding applies, with Wilson's 95 % interval."
    return [tag("p", words), tag("figure", intervals([*map(_dot, audits.rates[:MOST])], (0.0, 1.0)))]


def _dot(rate: Rate) -> Dot:
    name = rate.name.replace("_", " ")
    if rate.share is None or rate.interval is None:
        return Dot(name, None, words="applies to none")
    return Dot(name, rate.share, *rate.interval, f"{rate.count} of {rate.of}", "fired" if rate.count else "")


def _findings(rates: tuple[Rate, ...]) -> Markup:
    """Each with its sentence; those that fire most often first."""
    ordered = sorted(rates, key=lambda rate: -(rate.share or 0.0))
    rows = [
        tag("li", tag("span", "fired" if rate.count else "quiet" if rate.of else "n/a",
                      class_=f"chip {'fired' if rate.count else 'quiet'}"),
            tag("div", tag("strong", rate.name.replace("_", " ")), tag("p", sentence(rate.sentence))))
        for rate in ordered[:MOST]
    ]  # fmt: skip
    return tag("ul", *rows, class_="findings")


def _inputs(audits: AuditSet) -> Markup:
    """Those at which most fires first."""
    ordered = sorted(audits.reports.items(), key=lambda pair: -len(pair[1].fired))
    rows = (
        [name, target(report), len(report.fired), ", ".join(f.name for f in report.fired), report.sentence]
        for name, report in ordered
    )
    return table(("input", "target", "fired", "which", "in words"), rows, len(ordered))


def _about(first: AuditReport, count: int) -> list[tuple[str, object]]:
    spent = math.fsum(first.seconds.values())
    return [
        ("method", first.method),
        ("inputs", str(count)),
        ("audits", "the quick ones" if first.quick else "all"),
        ("seconds of the first input", f"{spent:.2g}"),
    ]
