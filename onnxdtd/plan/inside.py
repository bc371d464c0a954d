"""What a walk does at values inside the model: relevance is kept there, restricted, or begins there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy.typing as npt

from onnxdtd.errors import TargetError, UnsupportedError, UsageError
from onnxdtd.plan.assign import prune
from onnxdtd.plan.focus import NOWHERE, Focus, Only, focus_of, start_values
from onnxdtd.plan.plan import Inside, Plan
from onnxdtd.plan.step import Step


def below(steps: Sequence[Step], starts: Iterable[str]) -> tuple[list[Step], set[str]]:
    """The steps that relevance from these values goes through, and the values that it comes to, the first among
    them."""
    arrived, way = {*starts}, []
    for step in reversed(steps):
        if not arrived.isdisjoint(step.op.carried(step.node.outputs)):
            arrived.update(step.node.inputs[slot] for slot in step.slots)
            way.append(step)
    return way[::-1], arrived


def looking_inside(plan: Plan, inside: Inside) -> Plan:
    """The plan with these wishes; one that starts inside has only the nodes below.

    Relevance of one's own may begin where a value is <= 0, so the signs are judged anew. Raises UsageError, a line
    for each value that relevance does not come to.
    """
    if inside == plan.inside:
        return plan
    steps, arrived = below(plan.steps, inside.starts or (plan.target,))
    if inside.starts:
        _, whole = below(plan.steps, (plan.target,))
        _check(inside.starts, whole, f"output '{plan.output}'")
        steps = [*prune(plan.graph, steps, plan.domains, None, inside.starts)]
    where = ", ".join(f"'{name}'" for name in inside.starts) or f"output '{plan.output}'"
    _check((*inside.keep, *(name for name, _ in inside.masked)), arrived, where)
    inputs = tuple(name for name in plan.inputs if name in arrived)
    return replace(plan, steps=tuple(steps), inputs=inputs, inside=inside)


def focused(
    plans: Callable[[str | None], Plan],
    output: str | None,
    keep: str | Sequence[str] = (),
    only: Only | None = None,
    start: Mapping[str, npt.ArrayLike] | None = None,
) -> tuple[Plan, Focus]:
    """The plan of an output that does what is asked of values inside; see `Explainer.__call__`.

    Without an output, one that starts inside is of the first output whose way from the inputs has all those values.
    """
    plan = plans(output)
    if not keep and not only and not start:
        return plan, NOWHERE
    names = [*start_values(plan.graph, start)]
    for other in plan.graph.outputs if start and output is None else ():
        with suppress(UnsupportedError, TargetError):
            if below(plans(other).steps, (plans(other).target,))[1].issuperset(names):
                plan = plans(other)
                break
    _, arrived = below(plan.steps, names or (plan.target,))
    focus = focus_of(plan.graph, keep, only, start, arrived)
    return looking_inside(plan, focus.inside), focus


def _check(names: Iterable[str], arrived: set[str], where: str) -> None:
    stray = [name for name in names if name not in arrived]
    if stray:
        lines = [
            f"no relevance comes to '{name}', which is not between {where} and the inputs" for name in stray
        ]
        raise UsageError("\n".join(lines))
