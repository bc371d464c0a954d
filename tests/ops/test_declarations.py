"""What ops declare beside their maps: where their outputs lie, and where they bend."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.domains.pieces import Pieces
from onnxdtd.domains.propagation import domains
from onnxdtd.entries import OpEntry
from onnxdtd.model.load import load
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from tests.support.examples import EXAMPLES
from tests.support.model_text import inside
from tests.support.single_op import Example, X, draw, model_of, run_ort, run_reference

RANGED = [e for e in EXAMPLES if OPS[e.domain, e.op].range is not None]


def bends(entry: OpEntry) -> bool:
    """Whether it is an activation or a selection, whatever of its inputs carries relevance."""
    return not {entry.kind, *entry.otherwise.values()}.isdisjoint({"elementwise", "select"})


def test_every_activation_and_selection_declares_its_range() -> None:
    assert [key for key, entry in OPS.items() if bends(entry) and entry.range is None] == []


def test_every_activation_and_selection_declares_its_pieces() -> None:
    """But for two whose outputs do not have the batch as their first axis, so that no line goes through them."""
    without = {name for (_, name), entry in OPS.items() if bends(entry) and entry.pieces is None}
    assert without == {"MaxRoiPool", "Unique"}


def own_range(input_range: X) -> tuple[float, float]:
    return input_range.within or (0.0 if input_range.nonnegative else -np.inf, np.inf)


@pytest.mark.parametrize("example", RANGED, ids=str)
@pytest.mark.parametrize("stated", [False, True], ids=["any", "stated"])
def test_outputs_lie_in_the_declared_range(example: Example, stated: bool, rng: np.random.Generator) -> None:
    """stated: the range of each input is that of the numbers drawn."""
    graph = load(model_of(example))
    feeds = draw(example, rng)
    data = {f"x{i}": operand for i, operand in enumerate(example.inputs) if isinstance(operand, X)}
    ends = {name: (x.min(), x.max()) if stated else own_range(data[name]) for name, x in feeds.items()}
    assert inside(run_ort(model_of(example), feeds), domains(graph, ends)["y"])


ALONE = [
    e for e in EXAMPLES
    if sum(isinstance(operand, X) for operand in e.inputs) == 1 and isinstance(e.inputs[0], X) and not e.fixed
    and OPS[e.domain, e.op].at((0,), e.attributes).kind == "elementwise"
]  # fmt: skip
WIDTH, STEP = 4.0, 0.002


@pytest.mark.parametrize("example", ALONE, ids=str)
def test_an_activation_bends_where_it_says(example: Example) -> None:
    """The function on a fine grid is what its straight pieces say, and has the declared kinks and no others."""
    operand = example.inputs[0]
    low, high = operand.within or (0.1 if operand.nonnegative else -WIDTH, WIDTH)
    u = np.arange(low + 0.0007, high, STEP)
    x = np.broadcast_to(u.reshape(-1, *[1] * (len(operand.shape) - 1)), (len(u), *operand.shape[1:]))
    y = run_reference(example, {"x0": x})
    graph = load(model_of(example))
    constants = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in graph.constants.items()}
    point = Point(graph.nodes[0], graph.replace(constants=constants), (0,), {"x0": x, "y": y})
    switch = OPS[example.domain, example.op].pieces(point)
    straight = switch.value(switch.start(x), x)
    np.testing.assert_allclose(np.where(np.isnan(straight), y, straight), y, atol=1e-6)
    if not isinstance(switch, Pieces):
        return
    turns = abs(np.diff(y, 2, axis=0)) / STEP
    # A kink stands out among its neighbours, a steep curve does not.
    around = np.maximum(np.roll(turns, 3, axis=0), np.roll(turns, -3, axis=0))
    kinks = (turns > 0.05) & (turns > 4 * around)
    for unit in np.ndindex(*x.shape[1:]):
        knots, slopes = ([float(np.broadcast_to(part, x.shape[1:])[unit]) for part in parts]
                         for parts in (switch.knots, switch.slopes))  # fmt: skip
        near = [abs(u[1:-1] - knot) < 2 * STEP for knot in knots]
        here = kinks[(slice(None), *unit)]
        assert not (here & ~np.logical_or.reduce(near, axis=0) if near else here).any()
        for knot, where, below, above in zip(knots, near, slopes, slopes[1:], strict=False):
            if low + STEP < knot < high - STEP and abs(above - below) > 0.2:
                assert (here & where).any(), (knot, unit)
