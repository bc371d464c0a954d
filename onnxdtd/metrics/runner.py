"""`evaluate`: every metric of every method on every input of a data set."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy.typing as npt

from onnxdtd.calls import Engine
from onnxdtd.domains.propagation import Range
from onnxdtd.durable import writing
from onnxdtd.entries import MetricEntry
from onnxdtd.errors import TargetError, UsageError
from onnxdtd.inputs import DataSet, Preprocess, is_stream, token_number
from onnxdtd.inputs import Reader as TokenReader
from onnxdtd.metrics.case import Settings
from onnxdtd.metrics.journal import Journal
from onnxdtd.metrics.masks import digest_of, read_masks
from onnxdtd.metrics.methods import Maker, Methods, allowed, candidates
from onnxdtd.metrics.result import Evaluation, gather
from onnxdtd.metrics.scorer import Scorer
from onnxdtd.metrics.survey import survey
from onnxdtd.metrics.work import Work
from onnxdtd.passes import Explainer
from onnxdtd.plan.target import Target
from onnxdtd.registry import METRICS
from onnxdtd.settings import Model, checked_seed
from onnxdtd.shortcuts import explainer_of
from onnxdtd.types import OnProgress
from onnxdtd.version import __version__
from onnxdtd.workers import Reader, at_least_one, checked, outcomes

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
    workers: int | None = None,
    **settings: Any,
) -> Evaluation:
    """Score explanations of a data set.

    model: as for `Explainer`, or an explainer, whose loaded model and settings are then taken; it is read once,
    however many the methods. data: as for `open_data`, a path or several, or arrays (N, ...), which is
    read more than once. methods: names, `all`, the controls `random` and `constant`, Explainers, functions f(x,
    target) -> relevance, or a dict {name: any of these, or an array of relevance like the data}. metrics: names
    of `METRICS`. target: `top`, `label`, or an index, the same for all. limit: only the first inputs. batch: rows
    of one pass; it bounds the memory and changes numbers by rounding only. out: a folder; interrupted, the same
    call goes on where it stopped. settings: those of `Settings`. preprocess: of images, by default what the
    model's metadata say. masks: where the object is in each input, for `localisation`: (N, H, W), or a path
    (docs/evaluate.md). workers: processes, among which the cores are divided, by default one; numbers change by
    rounding only. Raises UsageError, InputError, TargetError, and what `Explainer` raises for a method
    that was named.
    """
    hands = checked(workers)
    seed, batch = checked_seed(seed), at_least_one("batch", batch)
    if preprocess is not None and input_range is None:
        input_range = preprocess.input_range
    ways = {"engine": engine, "providers": providers, "input_range": input_range, "preprocess": preprocess}
    base = explainer_of(model, "gradient", **ways).batched
    chosen = Settings(**_checked(settings, base.loaded.reader))
    prepare = preprocess or Preprocess.from_metadata(base.graph.metadata)

    by_label = isinstance(target, str) and target == LABEL
    question = Target() if by_label else base.loaded.question(target)
    if question.form is not None:
        raise TargetError(
            f"target {target!r} is no class: an evaluation takes top, label, or one index for all inputs"
        )
    if is_stream(data):
        raise UsageError(
            "an evaluation reads its data more than once: give a path or arrays instead of an iterable"
        )
    reader = Reader(
        {"data": data, "values": base.inputs, "labels": labels, "preprocess": prepare,
         "features": base.loaded.features, "limit": limit}
    )  # fmt: skip
    base = _one_way(base, reader.data)
    scorer = Scorer(base, question.output, batch)
    if scorer.tokens and not float(chosen.constant).is_integer():
        raise UsageError(f"constant is the number of a token here, not {chosen.constant}")
    overview = survey(
        reader.data,
        scorer.inputs,
        base.input_range,
        chosen.layout,
        scorer.tokens,
        by_label,
        base.loaded.labels,
    )
    where = read_masks(masks, reader.data, prepare)
    maker = Maker(base, scorer, chosen)
    work = Work(reader, overview, maker, chosen, seed, question, by_label, where)
    entries, left_out = work.applicable(_entries(metrics), named=metrics != "all")
    work.metrics = tuple(entry.name for entry in entries)
    settled = {
        "onnxdtd": __version__,
        "model": base.graph.sha256,
        "output": scorer.output,
        "data": {"count": overview.count, "sha256": overview.sha256},
        "target": str(target),
        "input_range": str(base.input_range),
        "engine": base.engine,
        "seed": seed,
        "metrics": list(work.metrics),
        "settings": dataclasses.asdict(chosen),
        "masks": None if where is None else digest_of(where),
    }
    with ExitStack() as stack:
        folder = out if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        journal = Journal(folder, settled, durable=out is not None)
        stack.callback(journal.close)
        working, skipped, warned = allowed(candidates(methods, maker), maker, work.ask(work.first())[0])
        work.methods = tuple(working)
        names = [method.name for method in working]
        _score(work, journal, hands, progress)
        with writing(journal.folder):
            return gather(journal, names, entries, settled, skipped, left_out, warned, keep=out is not None)


def _score(work: Work, journal: Journal, workers: int, progress: OnProgress) -> None:
    """Score what the journal does not have yet."""
    total = len(work.methods) * work.survey.count
    names = {method.name for method in work.methods}
    done = sum(method in names for method, _ in journal.done)
    with closing(outcomes(work, work.tasks(journal), workers)) as ended:
        for _, records in ended:
            for record in records:
                journal.append(record)
                done += 1
                if progress is not None:
                    progress(done, total)
    if progress is not None:
        progress(total, total)


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


def _checked(settings: Mapping[str, Any], reader: TokenReader | None) -> dict[str, Any]:
    """The settings, a constant that is said by a word as its token's number."""
    fields = [field.name for field in dataclasses.fields(Settings)]
    if surplus := sorted(set(settings) - set(fields)):
        raise UsageError(f"no setting {', '.join(surplus)}; there are {', '.join(fields)}")
    values = dict(settings)
    if isinstance(said := values.get("constant"), str):
        try:
            values["constant"] = float(said)
        except ValueError:
            values["constant"] = float(token_number(reader, said))
    return values | ({"fills": tuple(values["fills"])} if "fills" in values else {})
