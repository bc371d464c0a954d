"""An audit as SARIF 2.1.0, which code scanning shows: a finding is a rule, one that fired is a result.

Format: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from onnxdtd.audit.finding import Finding
from onnxdtd.audit.report import AuditReport
from onnxdtd.printing import printable
from onnxdtd.version import __version__

VERSION = "2.1.0"
TOOL = "onnxdtd audit"
MARK = f'"name": "{TOOL}"'.encode()
SCHEMA_ADDRESS = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(report: AuditReport, failing: Collection[str] = ()) -> bytes:
    """One run. failing: the findings, or `any`, that are errors where they fire; others are warnings."""
    levels = {f.name: "error" if {f.name, "any"} & {*failing} else "warning" for f in report.findings}
    place = _place(report)
    results = [
        {
            "ruleId": finding.name,
            "ruleIndex": index,
            "level": levels[finding.name],
            "message": {"text": printable(finding.sentence)},
            "locations": [{"physicalLocation": {"artifactLocation": place}}],
            "properties": _numbers(finding),
        }
        for index, finding in enumerate(report.findings)
        if finding.fired
    ]
    driver = {
        "name": TOOL,
        "version": __version__,
        "rules": [_rule(finding, levels[finding.name]) for finding in report.findings],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [{"location": place, **_digest(report)}],
        "results": results,
        "properties": {"method": printable(report.method), "target": [printable(t) for t in report.target]},
    }
    document = {"$schema": SCHEMA_ADDRESS, "version": VERSION, "runs": [run]}
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


def _rule(finding: Finding, level: str) -> dict[str, Any]:
    fires = f"{finding.name} fires {finding.fires} {finding.threshold:.3g}"
    source = {"help": {"text": printable(finding.source)}} if finding.source else {}
    return {
        "id": finding.name,
        "shortDescription": {"text": fires},
        "defaultConfiguration": {"level": level},
        **source,
    }


def _numbers(finding: Finding) -> dict[str, Any]:
    """Value and threshold; JSON has no number for what is not finite."""
    value = finding.value
    finite = value is not None and math.isfinite(value)
    return {"value": value if finite else str(value), "threshold": finding.threshold, "fires": finding.fires}


def _place(report: AuditReport) -> dict[str, str]:
    """The model's file, as a path relative to where the command ran, if it lies there; else its address."""
    path = report.model.get("path")
    if not path:
        return {"uri": quote(report.model.get("name") or "model", safe="")}
    file = Path(path).absolute()
    here = Path.cwd()
    return {"uri": quote(file.relative_to(here).as_posix()) if file.is_relative_to(here) else file.as_uri()}


def _digest(report: AuditReport) -> dict[str, Any]:
    digest = report.model.get("sha256")
    return {"hashes": {"sha-256": digest}} if digest else {}
