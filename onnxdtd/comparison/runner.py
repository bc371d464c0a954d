"""`compare`: one input, several methods and targets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from onnxdtd.calls import Engine
from onnxdtd.comparison.agreement import matrices, seen
from onnxdtd.comparison.case import Case
from onnxdtd.comparison.clock import Timing, forward_timing, timed
from onnxdtd.comparison.comparison import Cell, Comparison
from onnxdtd.comparison.fold import folded
from onnxdtd.comparison.neighbour import NEIGHBOURS
from onnxdtd.domains.propagation import Range
from onnxdtd.errors import OnnxdtdError, UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.methods import METHODS
from onnxdtd.passes import PASSES
from onnxdtd.plan.forests import read_by_trees
from onnxdtd.runs.progress import Ticker
from onnxdtd.settings import Model, checked_seed
from onnxdtd.shortcuts import explainer_of
from onnxdtd.types import Array, Inputs, OnProgress


def compare(
    model: Model | Explainer,
    x: Inputs,
    methods: Sequence[str] | str = "all",
    targets: Sequence[Any] = (None,),
    *,
    sample: int = 0,
    input_range: Range = None,
    engine: Engine | None = None,
    providers: Sequence[str] | str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    background: Array | None = None,
    superpixels: int = 60,
    layout: str | None = None,
    seed: int = 0,
    repeats: int = 3,
    progress: OnProgress = None,
) -> Comparison:
    """Explain one sample by several methods, for one or more targets, and time each.

    model: as for `Explainer`, or an explainer, whose loaded model and settings are then taken; it is read once,
    however many the methods. methods: names; "all" stands for every native method. Neighbours (`lime`,
    `kernel_shap`, `anchors`, with the extra `compare`) explain the probability of the class. targets: as for
    `Explainer`. options: by method, such as {"smoothgrad": {"samples": 50}}. background: what a neighbour puts in
    place of a value: rows (K, columns) for a table, one sample for other inputs; by default 0 for a column, the
    mean of the part elsewhere; and what tree ensembles are counted by. repeats: timed calls of each method, warm;
    their median counts.

    A method that "all" brought in and the model does not allow is in `refused`, with the reason; one that was named
    raises before anything is computed. What only the computation shows is in `refused` for both, as is a target that
    a method does not explain. Raises what `Explainer` raises, and UnsupportedError where no method is left.
    """
    front = explainer_of(
        model, "gradient", input_range=input_range, providers=providers, engine=engine
    ).batched
    if background is not None and read_by_trees(front.graph):
        front = front.by(background=background)
    named, questions = choose(methods, options), [front.loaded.question(target) for target in targets]
    if not questions:
        raise UsageError("no target is given: leave `targets` out for the predicted class")
    case = Case.of(front, x, sample, background, superpixels, layout, checked_seed(seed), questions)
    _all_possible(case, [m for m, was_named in named.items() if was_named], options or {})
    forward = forward_timing(case.front.graph, case.feeds, front.providers)
    cells: dict[tuple[int, str], Cell] = {}
    timings: dict[str, Timing] = {}
    faults: dict[str, list[OnnxdtdError]] = {}
    ticker = Ticker(len(named), progress)
    for ticker.index, method in enumerate(named):
        raised: list[OnnxdtdError] = []
        with _catching(raised):
            answer = case.asker(method, (options or {}).get(method, {}))
        for number in range(0 if raised else len(questions)):
            ticker(number, len(questions))
            with _catching(raised):
                again = 0 if method in timings else repeats
                cells[number, method], timing = timed(partial(answer, number), again)
                timings.setdefault(method, timing)
        if raised:
            faults[method] = raised
    ticker(1, 1)
    if not timings:
        raise UnsupportedError(
            [f"{method}: {error}" for method, errors in faults.items() for error in errors]
        )
    asked_for = {m: was_named or m in (options or {}) for m, was_named in named.items()}
    equal = folded(asked_for, cells, len(questions))
    shown = tuple(method for method in named if method in timings and method not in equal)
    first = next(iter(case.x))
    maps = [
        [seen(cells[n, m].relevance[first], layout) if (n, m) in cells else None for m in shown]
        for n in range(len(questions))
    ]
    return Comparison(
        methods=shown,
        targets=tuple(base.label(case.row) for base in case.bases),
        values=tuple(float(base.target_value[case.row]) for base in case.bases),
        cells={(number, m): cell for (number, m), cell in cells.items() if m not in equal},
        similarity=tuple(matrices(row) for row in maps),
        forward=forward,
        timings={m: timing for m, timing in timings.items() if m not in equal},
        refused={method: "; ".join(dict.fromkeys(map(str, errors))) for method, errors in faults.items()},
        equal=equal,
        covers=case.covers,
        sample=sample,
        engine=front.engine,
        inputs=case.x,
        model=case.bases[0].model,
        versions=case.bases[0].versions,
        features=front.loaded.features,
    )


def choose(
    methods: Sequence[str] | str, options: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, bool]:
    """The methods in order, each with whether it was named. Raises UsageError for what cannot be, all at once."""
    choices = ("auto", *sorted({*METHODS, *PASSES}), *NEIGHBOURS)
    asked = [methods] if isinstance(methods, str) else list(methods)
    named: dict[str, bool] = {}
    for method in asked:
        for one in (*METHODS, *PASSES) if method == "all" else (method,):
            named[one] = named.get(one, False) or method != "all"
    lines = [f"no method '{m}'; choose among all, {', '.join(choices)}" for m in named if m not in choices]
    lines += [f"options for '{m}', which is not compared" for m in options or {} if m not in named]
    for method in [m for m in named if m in NEIGHBOURS]:
        try:
            NEIGHBOURS[method].check((options or {}).get(method))
        except UsageError as error:
            lines.append(str(error))
    if lines or not named:
        raise UsageError("\n".join(lines) or "no method is given")
    return named


def _all_possible(case: Case, methods: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raise what stands against methods that were named, all at once."""
    errors: list[OnnxdtdError] = []
    for method in methods:
        with _catching(errors):
            case.asker(method, options.get(method, {}))
    if errors:
        raise type(errors[0])("\n".join(dict.fromkeys(str(error) for error in errors)))


@contextlib.contextmanager
def _catching(errors: list[OnnxdtdError]) -> Iterator[None]:
    try:
        yield
    except OnnxdtdError as error:
        errors.append(error)
