"""An audit as JUnit XML, which CI systems show as a list of tests: a finding is a test, one that fired has failed."""

from __future__ import annotations

import os
from xml.etree import ElementTree

from onnxdtd.audit.report import AuditReport
from onnxdtd.printing import printable

MARK = b'<testsuites name="onnxdtd audit"'


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
