"""How far an explanation can be trusted: one file per audit, each asking one question about one explanation.

An audit is a function (plan, explanation, probe) -> finding; `probe` walks again from other seeds, with other rules,
on other inputs, on other weights. Read `finding` (what comes out), `probe` (what audits are given), `conservation`
(the simplest audit), `runner`.
"""

from onnxdtd.audit.finding import Finding, honest
from onnxdtd.audit.many import AuditSet, Rate
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.report import AuditReport
from onnxdtd.audit.runner import (
    audited,
    audited_each,
    quick,
    quick_each,
    run_audit,
    with_findings,
    with_findings_each,
)
from onnxdtd.registry import AUDITS, autoload

autoload(__name__)

__all__ = [
    "AUDITS",
    "AuditReport",
    "AuditSet",
    "Finding",
    "Probe",
    "Rate",
    "audited",
    "audited_each",
    "honest",
    "quick",
    "quick_each",
    "run_audit",
    "with_findings",
    "with_findings_each",
]
