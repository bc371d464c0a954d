"""Many inputs, explained one batch after the other: rows in, an explanation of each out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from onnxdtd.errors import InputError, OnnxdtdError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row
from onnxdtd.memory import limit
from onnxdtd.plan.cost import cost
from onnxdtd.remarks import remarks
from onnxdtd.runs.batches import alike, filled, fixed_batch, taken
from onnxdtd.types import Array, Arrays

T = TypeVar("T")
MOST_ROWS = 256
MOST_ELEMENTS = 1 << 19
"""Rows, and elements of their inputs, that go into one pass: three photographs of 224 x 224."""


def explain_each(
    explainer: Explainer,
    rows: Iterable[Row],
    target: Any = None,
    *,
    faulty: Callable[[str, OnnxdtdError], object] | None = None,
    **inside: Any,
) -> Iterator[tuple[Row, Explanation]]:
    """Each row with its explanation, a batch of one, in their order; see `explain_together`."""
    for batch, e in explain_together(explainer, rows, target, faulty=faulty, **inside):
        yield from ((row, single(explainer, e, i)) for i, row in enumerate(batch))


def explain_targets(
    explainer: Explainer,
    rows: Iterable[Row],
    targets: Sequence[Any],
    *,
    faulty: Callable[[str, int | None, OnnxdtdError], object],
    **inside: Any,
) -> Iterator[tuple[Row, dict[int, Explanation]]]:
    """Each row with an explanation for each target, by the target's number: those of one output share a walk.

    faulty: told the name of a row, the number of a target that fails where others of the row do not, and the fault;
    None in place of the number where nothing of the row can be explained.
    """
    explainer = explainer.batched

    def several(batch: Sequence[Row]) -> dict[int, Explanation]:
        try:
            return dict(enumerate(_together(explainer, batch, targets, inside)))
        except OnnxdtdError:
            if len(batch) > 1 or len(targets) == 1:
                raise
        return _one_by_one(explainer, batch[0], targets, inside, faulty)

    def whole(name: str, error: OnnxdtdError) -> None:
        faulty(name, None, error)

    for batch, made in _by_pass(explainer, rows, targets, several, whole):
        for i, row in enumerate(batch):
            yield row, {number: single(explainer, e, i) for number, e in made.items()}


def explain_together(
    explainer: Explainer,
    rows: Iterable[Row],
    target: Any = None,
    *,
    faulty: Callable[[str, OnnxdtdError], object] | None = None,
    **inside: Any,
) -> Iterator[tuple[list[Row], Explanation]]:
    """Rows that share a pass, with the explanation of all of them; no more than one pass of rows is held.

    Rows of equal shapes share a pass, but where branches are open, and a fixed batch is filled up with its last row.
    faulty: told the name and the fault of a row that cannot be explained, whose neighbours then go on; without it the
    fault is raised.
    """
    explainer = explainer.batched

    def alone(batch: Sequence[Row]) -> Explanation:
        return _together(explainer, batch, [target], inside)[0]

    yield from _by_pass(explainer, rows, [target], alone, faulty)


def _by_pass(
    explainer: Explainer, rows: Iterable[Row], targets: Sequence[Any], explain: Callable[[Sequence[Row]], T],
    faulty: Callable[[str, OnnxdtdError], object] | None,
) -> Iterator[tuple[list[Row], T]]:  # fmt: skip
    """Rows that share a pass with what `explain` makes of them; of a pass that fails, each row alone."""
    for run in alike(rows, most_rows(explainer, targets), lambda row: row.inputs, MOST_ELEMENTS):
        batch = [row for _, row in run]
        try:
            yield batch, explain(batch)
        except OnnxdtdError as error:
            if faulty is None:
                raise
            if len(batch) == 1:
                faulty(batch[0].id, error)
            for row in batch if len(batch) > 1 else ():
                try:
                    yield [row], explain([row])
                except OnnxdtdError as own:
                    faulty(row.id, own)


def most_rows(explainer: Explainer, targets: Sequence[Any]) -> int:
    """How many rows go into one pass: a fixed batch, or by what `check` estimates as many as have their activations,
    and for each target twice that for the relevance and what is shared out between, in half of the memory that may be
    taken."""
    if fixed := fixed_batch(explainer.graph):
        return fixed
    if explainer.graph.open_conditions:
        return 1  # a branch is taken for a whole batch, so rows that share one could change each other's
    try:
        outputs = dict.fromkeys(explainer.loaded.question(target).output for target in targets)
        estimates = [cost(explainer.plan(output)) for output in outputs]
    except OnnxdtdError:
        return MOST_ROWS  # which each row is told
    room = limit() // 2
    shares = [
        (room - (e.memory - e.activations)) // ((1 + 2 * len(targets)) * max(e.activations, 1))
        for e in estimates
    ]
    return min(max(min(shares), 1), MOST_ROWS)


def explain_at_once(explainer: Explainer, feeds: Arrays, target: Any, **inside: Any) -> Explanation:
    """Rows that lie side by side, by one pass: with a sample for each, and further ones where a fixed batch was
    filled up. InputError where the model does not tell the rows apart."""
    return _at_once(explainer, feeds, [target], inside)[0]


def _at_once(
    explainer: Explainer, feeds: Arrays, targets: Sequence[Any], inside: dict[str, Any]
) -> list[Explanation]:
    count = len(next(iter(feeds.values())))
    whole = filled(np.arange(count), fixed_batch(explainer.graph))
    x = feeds if len(whole) == count else taken(feeds, whole)
    several = len(targets) > 1
    made = explainer(x, targets=targets, **inside) if several else [explainer(x, *targets, **inside)]
    if len(whole) > 1 and any(len(e.target) != len(whole) for e in made):
        raise InputError(
            "the model does not tell the rows of a batch apart: what it says is of all of them, so explain one file "
            "at a time, by run"
        )
    return made


def _together(
    explainer: Explainer, batch: Sequence[Row], targets: Sequence[Any], inside: dict[str, Any]
) -> list[Explanation]:
    feeds = {name: np.concatenate([row.inputs[name] for row in batch]) for name in batch[0].inputs}
    return _at_once(explainer, feeds, targets, inside)


def _one_by_one(
    explainer: Explainer, row: Row, targets: Sequence[Any], inside: dict[str, Any],
    faulty: Callable[[str, int | None, OnnxdtdError], object],
) -> dict[int, Explanation]:  # fmt: skip
    """The targets of a row each by a pass of its own, so that one which fails does not lose the others. Raises the
    fault where it is the same for all."""
    made, errors = dict[int, Explanation](), dict[int, OnnxdtdError]()
    for number, target in enumerate(targets):
        try:
            (made[number],) = _together(explainer, [row], [target], inside)
        except OnnxdtdError as own:
            errors[number] = own
    if not made and len(set(map(str, errors.values()))) == 1:
        raise errors[0]
    for number, error in errors.items():
        faulty(row.id, number, error)
    return made


def single(explainer: Explainer, e: Explanation, i: int) -> Explanation:
    """The explanation of one sample of a batch, as a batch of one."""
    count = len(e.target)
    if count == 1:
        return e
    changes: dict[str, Any] = {
        name: {key: _one(a, i, count) for key, a in getattr(e, name).items()}
        for name in ("inputs", "relevance", "kept", "outputs")
    }
    if e.batch_axis is not None:
        changes["outputs"][e.output] = np.take(e.outputs[e.output], [i], e.batch_axis)
    one = dataclasses.replace(
        e, **changes,
        target=e.target[i : i + 1], target_value=e.target_value[i : i + 1], seed=e.seed[i : i + 1],
        corners=e.corners[i : i + 1], texts={name: written[i : i + 1] for name, written in e.texts.items()},
        nodes=tuple(node if node.samples is None else node.sample(i) for node in e.nodes),
        constants={kind: amounts[i : i + 1] for kind, amounts in e.constants.items()},
        extras={key: value[i : i + 1] if _is_each(value, count) else value for key, value in e.extras.items()},
    )  # fmt: skip
    return dataclasses.replace(one, warnings=warnings_of(explainer, e, one))


def warnings_of(explainer: Explainer, e: Explanation, one: Explanation) -> tuple[str, ...]:
    """The warnings of a part of a batch: those of the batch, where they name samples as they are of this part."""
    here = explainer.at(e.inputs)
    plan = here.plan(e.output)

    def own(x: Explanation) -> tuple[str, ...]:
        return remarks(plan, x.inputs, here.input_range, x.seed, x.relevance)

    of_all = own(e)
    if not set(of_all) <= set(e.warnings):  # of many passes
        return e.warnings
    return (*own(one), *(warning for warning in e.warnings if warning not in of_all))


def _one(array: Array, i: int, count: int) -> Array:
    return array[i : i + 1] if array.ndim and len(array) == count else array


def _is_each(value: Any, count: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == count
