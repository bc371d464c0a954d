"""An audit as JUnit XML, which CI systems show as a list of tests: a finding is a test, one that fired has failed."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from onnxdtd.audit.report import AuditReport
from onnxdtd.disk import open_regular
from onnxdtd.errors import UsageError
from onnxdtd.printing import printable

_HEAD = 512


def junit(report: AuditReport) -> bytes:
    """One suite; a finding that does not apply is skipped, with its reason."""
    counts = {
        "tests": len(report.findings),
        "failures": len(report.fired),
        "skipped": sum(finding.value is None for finding in report.findings),
        "errors": 0,
    }
    numbers = {name: str(count) for name, count in counts.items()}
    model = printable(os.path.basename(report.model.get("path") or "") or report.model.get("name") or "model")
    suites = ElementTree.Element("testsuites", {"name": "onnxdtd audit", **numbers})
    seconds = f"{sum(report.seconds.values()):.3f}"
    suite = ElementTree.SubElement(suites, "testsuite", {"name": model, "time": seconds, **numbers})
    for finding in report.findings:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"onnxdtd.audit.{model}", "name": finding.name}
        )
        sentence = printable(finding.sentence)
        if finding.value is None:
            ElementTree.SubElement(case, "skipped", {"message": sentence})
        elif finding.fired:
            words = f"{finding.value:.3g} is {finding.fires} {finding.threshold:.3g}"
            ElementTree.SubElement(case, "failure", {"message": words, "type": finding.name}).text = sentence
        else:
            ElementTree.SubElement(case, "system-out").text = sentence
    ElementTree.indent(suites)
    return bytes(ElementTree.tostring(suites, "utf-8", xml_declaration=True)) + b"\n"


def write_junit(report: AuditReport, path: Path) -> None:
    """Write the file. Raises UsageError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(junit(report))
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror or error}") from None


def check_junit(path: Path | None) -> None:
    """UsageError unless the file may be written: it is new, or an earlier one of these."""
    if path is None or not path.exists():
        return
    try:
        with open_regular(path) as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if b'<testsuites name="onnxdtd audit"' not in head:
        raise UsageError(f"'{path}' exists and is no audit of onnxdtd: name another file, or remove it")
