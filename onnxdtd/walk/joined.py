"""What came of a batch part by part, made whole: arrays, seeds and the books of nodes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.node_report import NodeReport, Samples
from onnxdtd.walk.chunks import side_by_side
from onnxdtd.walk.outcome import Outcome


def outcome(parts: Sequence[Outcome]) -> Outcome:
    """Of all samples, from those of each part."""
    first = parts[0]
    seeds = [part.seed for part in parts]
    seed = replace(
        first.seed,
        coefficients=np.concatenate([seed.coefficients for seed in seeds]),
        corners=tuple(box for seed in seeds for box in seed.corners),
    )
    return Outcome(
        side_by_side([part.outputs for part in parts]),
        np.concatenate([part.logits for part in parts]),
        seed,
        side_by_side([part.relevance for part in parts]),
        side_by_side([part.kept for part in parts]),
    )


def report(parts: Sequence[NodeReport]) -> NodeReport:
    """A node's books of all samples, from those of each part."""
    first, rounds = parts[0], any(part.rounding is not None for part in parts)
    samples = [part.samples for part in parts if part.samples is not None]
    return dataclasses.replace(
        first,
        arrived=math.fsum(part.arrived for part in parts),
        left=math.fsum(part.left for part in parts),
        arrived_size=math.fsum(part.arrived_size or 0.0 for part in parts),
        left_size=math.fsum(part.left_size or 0.0 for part in parts),
        rounding=math.fsum(part.rounding or 0.0 for part in parts) if rounds else None,
        lost=_sums([part.lost for part in parts]),
        handed=_sums([part.handed for part in parts]),
        samples=Samples(
            arrived=_each(samples, "arrived"),
            left=_each(samples, "left"),
            lost={
                cause: tuple(x for part in samples for x in part.lost.get(cause, _nothing(part)))
                for cause in _causes([part.lost for part in samples])
            },
            arrived_size=_each(samples, "arrived_size"),
            left_size=_each(samples, "left_size"),
            rounding=_each(samples, "rounding") if rounds else (),
        ),
    )


def _causes(parts: Sequence[Any]) -> dict[str, None]:
    return dict.fromkeys(cause for part in parts for cause in part)


def _sums(parts: Sequence[Any]) -> dict[str, float]:
    return {cause: math.fsum(part.get(cause, 0.0) for part in parts) for cause in _causes(parts)}


def _nothing(part: Samples) -> tuple[float, ...]:
    """What a part does not name it did not lose."""
    return (0.0,) * len(part.arrived)


def _each(samples: Sequence[Samples], name: str) -> tuple[float, ...]:
    return tuple(x for part in samples for x in getattr(part, name) or _nothing(part))
