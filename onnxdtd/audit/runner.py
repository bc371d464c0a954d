"""Runs chosen audits over one explanation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

from onnxdtd.audit import class_similarity, conservation, gradient_x_input, input_blind, quantisation, seeds
from onnxdtd.audit.finding import Finding, honest
from onnxdtd.audit.probe import Probe, at_once, few
from onnxdtd.audit.report import AuditReport
from onnxdtd.calls import by_output, grouped
from onnxdtd.entries import AuditEntry
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.folder import plain
from onnxdtd.plan.focus import Asks
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.target import Function, Target
from onnxdtd.printing import is_whole
from onnxdtd.registry import AUDITS, METHODS, PASSES
from onnxdtd.runs.progress import Ticker
from onnxdtd.settings import passes_entry
from onnxdtd.types import Inputs, OnProgress
from onnxdtd.walk.forward import is_quantised
from onnxdtd.walk.outcome import Snapshot
from onnxdtd.walk.parted import beside
from onnxdtd.walk.run import samples


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
    if isinstance(index, str) and is_whole(index):
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
    return quick_each(explainer, [explanation], snapshot)[0]


def quick_each(
    explainer: Explainer, explanations: Sequence[Explanation], snapshot: Snapshot | None = None
) -> list[list[Finding]]:
    """The same for explanations of one input and output: what they ask alike is walked at once."""
    first = explanations[0]
    if first.method in PASSES:
        return [[] for _ in explanations]
    explainer, inside = explainer.at(first.inputs), snapshot or Snapshot()
    plan = explainer.plan(first.output)
    probes = at_once([Probe.of(explainer, e, inside) for e in explanations])
    with beside(partial(_at_shuffled, probes)) as others:  # the longest walk, on a core of its own
        by_gradient = probes[0].by("gradient_x_input")
        gradients = at_once([by_gradient.asking(p) for p in probes])
        alike = class_similarity.against_far_class(explanations, probes)
    each = []
    for e, probe, other, gradient, far in zip(
        explanations, probes, others.result(), gradients, alike, strict=True
    ):
        findings = {
            "conservation": conservation.conservation(plan, e),
            "class_similarity": far,
            "input_blind": input_blind.beside(probe, other),
            "gradient_x_input": gradient_x_input.beside(plan, e, probe, gradient),
        }
        if is_quantised(plan.graph):
            findings["quantisation"] = quantisation.quantisation(plan, e, probe)
        each.append([_signed(AUDITS[name], finding) for name, finding in findings.items()])
    return each


def _at_shuffled(probes: Sequence[Probe]) -> Sequence[Probe | None]:
    shuffled = input_blind.shuffled(probes[0])
    return [None] * len(probes) if shuffled is None else at_once([shuffled.asking(p) for p in probes])


def audited(explainer: Explainer, x: Inputs, target: Any = None, **ways: Any) -> Explanation:
    """The explanation of x with its `quick` findings, as documents, and the honest sentence that follows from them.

    A walk that is restricted (`only`) or starts inside has no findings: audits speak of whole ones. ways: as of a
    call of the explainer.
    """
    return audited_each(explainer, x, [target], **ways)[0]


def audited_each(
    explainer: Explainer,
    x: Inputs,
    targets: Sequence[Any],
    *,
    progress: OnProgress = None,
    **inside: Unpack[Asks],
) -> list[Explanation]:
    """The same for several targets. The forward pass, the plan and the sums that rules make are those of the
    explanations, and those of one output share their walks: three more, one of them at another input.
    """
    feeds = explainer.feeds(x)
    here = explainer.at(feeds)

    def explained(targets: Sequence[Target]) -> list[Explanation]:
        weighs = isinstance(targets[0].form, Function)
        if weighs or passes_entry(here.method) or here.plan(targets[0].output).passes:
            asked = [None if target == Target() else target for target in targets]
            return [here(feeds, target, progress=progress, **inside) for target in asked]
        snapshot = Snapshot() if few(here.graph, samples(feeds)) else None
        made = here.one_walk(feeds, targets, progress=progress, snapshot=snapshot, **inside)
        return with_findings_each(here, made, snapshot)

    return by_output([*map(here.loaded.question, targets)], explained)


def with_findings(explainer: Explainer, explanation: Explanation) -> Explanation:
    """An explanation with its `quick` findings, if it can have any, and the honest sentence."""
    return with_findings_each(explainer, [explanation])[0]


def with_findings_each(
    explainer: Explainer, explanations: Sequence[Explanation], snapshot: Snapshot | None = None
) -> list[Explanation]:
    """The same for explanations of one input; those of one output share their walks. snapshot: as of `quick`, where
    all are of one output."""

    def of_one_output(some: Sequence[Explanation]) -> list[Explanation]:
        first = some[0]
        if first.only or first.start or first.method in PASSES:
            return [*some]
        made = quick_each(explainer, some, snapshot)
        return [
            dataclasses.replace(
                e, findings=tuple(plain(f.document()) for f in findings), sentence=honest(findings)
            )
            for e, findings in zip(some, made, strict=True)
        ]

    return grouped([e.output for e in explanations], explanations, of_one_output)


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
        sentence = f"{plan.method} does not claim what {entry.name} asks for, so this does not apply to it."
        return [_signed(entry, Finding(name, None, 0.0, "above", sentence)) for name in entry.findings]
    findings = entry.perform(plan, explanation, probe)
    return [_signed(entry, f) for f in ([findings] if isinstance(findings, Finding) else findings)]


def _signed(entry: AuditEntry, finding: Finding) -> Finding:
    return dataclasses.replace(finding, audit=entry.name, source=entry.source)
