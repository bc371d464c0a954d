"""Runs chosen audits over one explanation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Unpack

from onnxdtd.audit import class_similarity, conservation, gradient_x_input, input_blind, quantisation, seeds
from onnxdtd.audit.finding import Finding, honest
from onnxdtd.audit.probe import Probe, few
from onnxdtd.audit.report import AuditReport
from onnxdtd.entries import AuditEntry
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.folder import plain
from onnxdtd.plan.focus import Asks
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import AUDITS, METHODS, PASSES
from onnxdtd.runs.progress import Ticker
from onnxdtd.settings import passes_entry
from onnxdtd.types import Inputs, OnProgress
from onnxdtd.walk.forward import is_quantised
from onnxdtd.walk.run import Snapshot, samples


def run_audit(
    explainer: Explainer,
    explanation: Explanation,
    only: Sequence[str] | None = None,
    *,
    quick: bool = False,
    rival: int | str | None = None,
    progress: OnProgress = None,
) -> AuditReport:
    """Audit an explanation that the explainer has made.

    only: audits by name, all by default. quick: only those of a few walks. rival: the class whose heatmap
    `class_similarity` compares with, by its index or name; a far one by default. progress: told (done, total).
    Raises UsageError for an unknown name or class, or for a method of many passes, which no rule of a node stands
    behind.
    """
    entries = chosen(only, quick)
    check_method(explanation.method)
    if explanation.only or explanation.start:
        raise UsageError("audits speak of whole walks: explain without only= and start=")
    ticker = Ticker(len(entries), progress, 1000)
    explainer = explainer.at(explanation.inputs)
    probe = Probe.of(explainer, explanation)
    probe = dataclasses.replace(probe, tick=ticker, rival=_index(rival, explanation, probe))
    plan = explainer.plan(explanation.output)
    findings: list[Finding] = []
    seconds: dict[str, float] = {}
    for ticker.index, entry in enumerate(entries):
        ticker(0, 1)
        began = time.monotonic()
        findings += perform(entry, plan, explanation, probe)
        seconds[entry.name] = round(time.monotonic() - began, 3)
    ticker(1, 1)
    return AuditReport(
        findings=tuple(findings),
        model=explanation.model,
        method=explanation.method,
        target=tuple(explanation.label(i) for i in range(len(explanation.target))),
        samples=probe.samples,
        quick=quick,
        seconds=seconds,
        warnings=explanation.warnings,
        versions=explanation.versions,
    )


def _index(rival: int | str | None, explanation: Explanation, probe: Probe) -> int | None:
    """A class, given by index or name, as an index. Raises UsageError where there is none, or it is the explained."""
    if rival is None:
        return None
    labels, count = list(explanation.labels or ()), seeds.classes(probe)
    index = labels.index(rival) if rival in labels else rival
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    if isinstance(index, str) or not 0 <= index < count:
        raise UsageError(
            f"no class {rival!r} to compare with: give a name, or an index from 0 to {count - 1}"
        )
    if (probe.mask & seeds.class_seed(probe, probe.first_class + index)).any():
        raise UsageError(f"class {rival!r} is explained itself: compare with another one")
    return index


def quick(explainer: Explainer, explanation: Explanation, snapshot: Snapshot | None = None) -> list[Finding]:
    """The four cheapest findings: conservation, similarity with a far class, with another input, and with gradient x
    input; of a quantised model also what rounding does. None for a method of many passes, which gives no node a
    rule. snapshot: of the pass that made the explanation."""
    if explanation.method in PASSES:
        return []
    explainer = explainer.at(explanation.inputs)
    plan, probe = explainer.plan(explanation.output), Probe.of(explainer, explanation, snapshot)
    findings = {
        "conservation": conservation.conservation(plan, explanation),
        "class_similarity": class_similarity.against_far_class(explanation, probe),
        "input_blind": input_blind.input_blind(plan, explanation, probe),
        "gradient_x_input": gradient_x_input.gradient_x_input(plan, explanation, probe),
    }
    if is_quantised(plan.graph):
        findings["quantisation"] = quantisation.quantisation(plan, explanation, probe)
    return [_signed(AUDITS[name], finding) for name, finding in findings.items()]


def audited(
    explainer: Explainer,
    x: Inputs,
    target: Any = None,
    *,
    progress: OnProgress = None,
    **inside: Unpack[Asks],
) -> Explanation:
    """The explanation of x with its `quick` findings, as documents, and the honest sentence that follows from them.

    The forward pass, the plan and the sums that rules make are those of the explanation: three walks more, one of
    them at another input.
    A walk that is restricted (`only`) or starts inside has no findings: audits speak of whole ones.
    """
    feeds = explainer.feeds(x)
    explainer = explainer.at(feeds)
    snapshot = Snapshot() if few(explainer.graph, samples(feeds)) else None
    output = explainer.loaded.question(target).output
    if passes_entry(explainer.method) or explainer.at(feeds).plan(output).passes:
        return explainer(feeds, target, progress=progress, **inside)
    explanation = explainer.one_pass(feeds, target, progress=progress, snapshot=snapshot, **inside)
    return with_findings(explainer, explanation, snapshot)


def with_findings(
    explainer: Explainer, explanation: Explanation, snapshot: Snapshot | None = None
) -> Explanation:
    """An explanation with its `quick` findings, if it can have any, and the honest sentence."""
    if explanation.only or explanation.start or explanation.method in PASSES:
        return explanation
    findings = quick(explainer.at(explanation.inputs), explanation, snapshot)
    documents = tuple(plain(finding.document()) for finding in findings)
    return dataclasses.replace(explanation, findings=documents, sentence=honest(findings))


def check_method(method: str) -> None:
    """Raise UsageError for a method of many passes: no rule of a node stands behind it."""
    if method in PASSES:
        names = ", ".join(sorted(METHODS))
        raise UsageError(
            f"method {method!r} gives no node a rule, so there is nothing to audit; choose among {names}"
        )


def chosen(only: Sequence[str] | None = None, quick: bool = False) -> list[AuditEntry]:
    """The audits by these names, all by default. Raises UsageError for an unknown name."""
    unknown = [name for name in only or () if name not in AUDITS]
    if unknown:
        raise UsageError(f"no audit {', '.join(unknown)}; the audits are {', '.join(AUDITS)}")
    entries = [
        e for e in AUDITS.values() if (only is None or e.name in only) and (not quick or e.cost == "quick")
    ]
    if not entries:
        raise UsageError(f"none of the audits {', '.join(only or ())} is quick: leave out --quick")
    return sorted(entries, key=lambda e: (e.cost == "full", e.name))


def perform(entry: AuditEntry, plan: Plan, explanation: Explanation, probe: Probe) -> list[Finding]:
    """One audit's findings, with its name and source; no value where the method does not claim what is asked."""
    if plan.method in METHODS and entry.name in METHODS[plan.method].waives:
        told = f"{plan.method} does not claim what {entry.name} asks for, so this does not apply to it."
        return [_signed(entry, Finding(name, None, 0.0, "above", told)) for name in entry.findings]
    found = entry.perform(plan, explanation, probe)
    return [_signed(entry, f) for f in ([found] if isinstance(found, Finding) else found)]


def _signed(entry: AuditEntry, finding: Finding) -> Finding:
    return dataclasses.replace(finding, audit=entry.name, source=entry.source)
