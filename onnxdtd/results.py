"""What a walk found out, as an `Explanation`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from onnxdtd.domains.propagation import Range
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import spelled
from onnxdtd.loaded import VERSIONS, Loaded
from onnxdtd.node_report import CLAIMS, NodeReport
from onnxdtd.plan.focus import Focus
from onnxdtd.plan.masks import counted, masks, texts
from onnxdtd.plan.past import past
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import start_of
from onnxdtd.plan.target import Target
from onnxdtd.remarks import remarks
from onnxdtd.scaling import scaling
from onnxdtd.types import Arrays, OnProgress
from onnxdtd.walk.finite import refuse_not_finite
from onnxdtd.walk.ledger import Ledger
from onnxdtd.walk.outcome import Asked, Outcome, Snapshot
from onnxdtd.walk.run import Walker


def explanations(
    run: Walker,
    plan: Plan,
    feeds: Arrays,
    targets: Sequence[Target],
    focus: Focus,
    loaded: Loaded,
    progress: OnProgress,
    snapshot: Snapshot | None,
    *,
    verify: bool,
    notes: Mapping[str, str],
    **facts: Any,
) -> list[Explanation]:
    """Several targets of one batch explained by one run, each with books of its own; facts: as of `explanation_of`.

    progress: of the last of them, with which the others go. verify: see `FirstInput`. notes: of engines, by output.
    """
    ledgers = [Ledger(plan, feeds, progress if i == len(targets) else None) for i, _ in enumerate(targets, 1)]
    asked = [Asked(target, ledger) for target, ledger in zip(targets, ledgers, strict=True)]
    outcomes = run(feeds, asked, snapshot, focus)
    loaded.first_input(loaded.graph, feeds, outcomes[0].outputs, verify)
    return [
        explanation_of(
            run, plan, feeds, outcome, ledger, loaded, focus.only, note=notes.get(plan.output), **facts
        )
        for outcome, ledger in zip(outcomes, ledgers, strict=True)
    ]


def explanation_of(
    run: Walker,
    plan: Plan,
    feeds: Mapping[str, npt.NDArray[Any]],
    outcome: Outcome,
    ledger: Ledger,
    loaded: Loaded,
    only: Mapping[str, Mapping[int, tuple[int, ...]]],
    *,
    stated: Range,
    provider: str,
    note: str | None,
) -> Explanation:
    """The explanation of one batch. run: of the plan, perhaps in a newer opset. only: where
    it was restricted. stated: the range of the input. note:
    which engine was taken, and why. Raises InputError where the explained value is not finite."""
    seed = outcome.seed
    refuse_not_finite(loaded.graph, feeds, outcome.logits[seed.mask])
    value = started = outcome.begun
    if value is None or started is None:
        value = seed.per_sample(start_of("value", seed, outcome.logits))
        started = seed.per_sample(start_of(plan.seed, seed, outcome.logits))
    reports = tuple(reversed(ledger.reports))
    return Explanation(
        inputs=feeds,
        outputs=outcome.outputs,
        relevance=outcome.relevance,
        kept=outcome.kept,
        only={
            name: {str(axis): list(places) for axis, places in axes.items()} for name, axes in only.items()
        },
        start=plan.inside.starts,
        masks=masks(loaded.graph),
        texts=spelled(
            loaded.reader,
            texts(loaded.graph, loaded.features, outcome.relevance),
            feeds,
            [
                here
                for name in masks(loaded.graph)
                if (here := counted(loaded.graph, name, feeds[name])) is not None
            ],
        ),
        past=tuple(name for name in past(loaded.graph) if name in outcome.relevance),
        output=plan.output,
        target=seed.elements,
        question=seed.said,
        batch_axis=seed.axis,
        class_axis=seed.class_axis,
        corners=seed.corners,
        target_value=value,
        seed=started,
        method=plan.method,
        reason=plan.reason,
        engine=run.engine,
        provider=provider,
        nodes=reports,
        constants=outcome.constants,
        model=loaded.facts,
        notes=(*run.plan.graph.notes, *filter(None, (note, loaded.first_input.note))),
        warnings=(
            *remarks(plan, feeds, stated, started, outcome.relevance, _causes(reports, outcome.constants)),
            *scaling(plan, loaded, feeds, stated, outcome.logits),
            *ledger.alarm(started),
        ),
        labels=loaded.labels,
        features=loaded.features,
        versions=VERSIONS,
    )


def _causes(reports: Iterable[NodeReport], constants: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """What was lost to each cause, at all nodes; constants by what they are called."""
    lost = Counter({kind: sum(amounts) for kind, amounts in constants.items()})
    for report in reports:
        lost.update({cause: amount for cause, amount in report.lost.items() if cause not in CLAIMS})
        lost.update(report.constants)
    return dict(lost)
