"""`evaluate`: every metric of every method on every input of a data set."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy.typing as npt

from onnxdtd.calls import Engine
from onnxdtd.domains.propagation import Range
from onnxdtd.entries import MetricEntry
from onnxdtd.errors import TargetError, UsageError
from onnxdtd.inputs import DataSet, Preprocess, open_data
from onnxdtd.inputs.members import LABELS
from onnxdtd.metrics.case import Settings
from onnxdtd.metrics.journal import Journal
from onnxdtd.metrics.masks import digest_of, read_masks
from onnxdtd.metrics.methods import Methods, allowed, candidates
from onnxdtd.metrics.result import Evaluation, gather
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.metrics.survey import survey
from onnxdtd.metrics.work import Work
from onnxdtd.passes import PASSES, Explainer
from onnxdtd.plan.target import Target
from onnxdtd.registry import METRICS
from onnxdtd.runs.progress import Ticker
from onnxdtd.settings import Model
from onnxdtd.shortcuts import explainer_of
from onnxdtd.types import OnProgress
from onnxdtd.version import __version__

LABEL = "label"


def evaluate(
    model: Model | Explainer,
    data: Any,
    methods: Methods = ("auto", "random"),
    *,
    metrics: str | Sequence[str] = "all",
    labels: npt.ArrayLike | None = None,
    target: Any = "top",
    limit: int | None = None,
    batch: int = 16,
    seed: int = 0,
    out: str | Path | None = None,
    progress: OnProgress = None,
    engine: Engine | None = None,
    providers: Sequence[str] | str | None = None,
    input_range: Range = None,
    preprocess: Preprocess | None = None,
    masks: Any = None,
    **settings: Any,
) -> Evaluation:
    """Score explanations of a data set.

    model: as for `Explainer`, or an explainer, whose loaded model and settings are then taken; it is read once,
    however many the methods. data: a path (.npz by input name with optional `labels`, .npy, a folder of images)
    or arrays (N, ...). methods: names, `all`, the controls `random` and `constant`, Explainers, functions f(x,
    target) -> relevance, or a dict {name: any of these, or an array of relevance like the data}. metrics: names
    of `METRICS`. target: `top`, `label`, or an index, the same for all. limit: only the first inputs. batch: rows
    of one pass; it bounds the memory and changes numbers by rounding only. out: a folder; interrupted, the same
    call goes on where it stopped. settings: those of `Settings`. preprocess: of images, by default what the
    model's metadata say. masks: where the object is in each input, for `localisation`: (N, H, W), or a path
    (docs/evaluate.md). Raises UsageError, InputError, TargetError, and what `Explainer` raises for a method
    that was named.
    """
    chosen = Settings(**_checked(settings))
    if not (isinstance(batch, int) and batch >= 1 and isinstance(seed, int) and seed >= 0):
        raise UsageError(f"batch is at least 1 and seed at least 0, not {batch!r} and {seed!r}")
    if preprocess is not None and input_range is None:
        input_range = preprocess.input_range
    base = explainer_of(model, "gradient", engine=engine, providers=providers, input_range=input_range)
    prepare = preprocess or Preprocess.from_metadata(base.graph.metadata)

    def native(method: str) -> Explainer:
        names = PASSES[method].options if method in PASSES else ()
        known = {"layout": chosen.layout, "occlude": int(chosen.constant) if scorer.tokens else None}
        told = {name: value for name, value in known.items() if value is not None and name in names}
        return base.by(method, options=told)

    by_label = isinstance(target, str) and target == LABEL
    question = Target() if by_label else base.loaded.question(target)
    if question.form is not None:
        raise TargetError(
            f"target {target!r} is no class: an evaluation takes top, label, or one index for all inputs"
        )
    inputs = open_data(
        data, base.inputs, labels=labels, preprocess=prepare, features=base.loaded.features, limit=limit
    )
    if by_label and inputs.labels is None:
        raise UsageError(f"target label needs labels: an array '{LABELS}' in the .npz, or labels=")
    base = _one_way(base, inputs)
    scorer = Scorer(base, question.output, batch)
    if scorer.tokens and not float(chosen.constant).is_integer():
        raise UsageError(f"constant is the number of a token here, not {chosen.constant}")
    overview = survey(inputs, scorer.inputs, base.input_range, chosen.layout, scorer.tokens)
    where = read_masks(masks, inputs, prepare)
    work = Work(inputs, overview, scorer, chosen, seed, question, by_label, where)
    entries, left_out = work.applicable(_entries(metrics), named=metrics != "all")
    settled = {
        "onnxdtd": __version__,
        "model": base.graph.sha256,
        "output": scorer.output,
        "data": {"count": overview.count, "sha256": overview.sha256},
        "target": str(target),
        "input_range": str(base.input_range),
        "engine": base.engine,
        "seed": seed,
        "metrics": [entry.name for entry in entries],
        "settings": dataclasses.asdict(chosen),
        "masks": None if where is None else digest_of(where),
    }
    with ExitStack() as stack:
        folder = out if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        journal = Journal(folder, settled, durable=out is not None)
        stack.callback(journal.close)
        first = work.ask(next(work.chunks())[:1])[0]
        working, skipped, warned = allowed(candidates(methods, native, scorer), first, scorer.output)
        names = [candidate.name for candidate in working]
        ticker = Ticker(len(names), progress, overview.count)
        for ticker.index, candidate in enumerate(working):
            work.run(candidate.name, candidate.make, entries, journal, ticker)
        return gather(journal, names, entries, settled, skipped, left_out, warned, keep=out is not None)


def _one_way(explainer: Explainer, data: DataSet) -> Explainer:
    """The explainer of the branches that all inputs take. UsageError where they take several: a score compares
    outputs of one function."""
    if not explainer.graph.open_conditions:
        return explainer
    ways: dict[Explainer, int] = {}
    for number, feeds in enumerate(row.inputs for row in data):
        ways.setdefault(explainer.at(feeds), number)
    first, *others = ways.values()
    if others:
        raise UsageError(
            f"inputs {first} and {others[0]} of the data take different branches of the model: evaluate those of one "
            "branch at a time"
        )
    return next(iter(ways))


def _entries(metrics: str | Sequence[str]) -> list[MetricEntry]:
    """The metrics by these names, each once, in their order. UsageError for an unknown name."""
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    names = [*METRICS] if names == ["all"] else names
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UsageError(f"no metric {', '.join(unknown)}; the metrics are all, {', '.join(METRICS)}")
    chosen = [entry for name, entry in METRICS.items() if name in names]
    return sorted(chosen, key=lambda entry: (entry.order, entry.name))


def _checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    fields = [field.name for field in dataclasses.fields(Settings)]
    if surplus := sorted(set(settings) - set(fields)):
        raise UsageError(f"no setting {', '.join(surplus)}; there are {', '.join(fields)}")
    values = dict(settings)
    return values | ({"fills": tuple(values["fills"])} if "fills" in values else {})
