"""What ops declare beside their maps: where their outputs lie."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.domains.propagation import domains
from onnxdtd.entries import OpEntry
from onnxdtd.model.load import load
from onnxdtd.ops import OPS
from tests.support.examples import EXAMPLES
from tests.support.model_text import inside
from tests.support.single_op import Example, X, draw, model_of, run_ort

RANGED = [e for e in EXAMPLES if OPS[e.domain, e.op].range is not None]


def bends(entry: OpEntry) -> bool:
    """Whether it is an activation or a selection, whatever of its inputs carries relevance."""
    return not {entry.kind, *entry.otherwise.values()}.isdisjoint({"elementwise", "select"})


def test_every_activation_and_selection_declares_its_range() -> None:
    assert [key for key, entry in OPS.items() if bends(entry) and entry.range is None] == []


def own_range(given: X) -> tuple[float, float]:
    return given.within or (0.0 if given.nonnegative else -np.inf, np.inf)


@pytest.mark.parametrize("example", RANGED, ids=str)
@pytest.mark.parametrize("stated", [False, True], ids=["any", "stated"])
def test_outputs_lie_in_the_declared_range(example: Example, stated: bool, rng: np.random.Generator) -> None:
    """stated: the range of each input is that of the numbers drawn."""
    graph = load(model_of(example))
    feeds = draw(example, rng)
    data = {f"x{i}": given for i, given in enumerate(example.inputs) if isinstance(given, X)}
    ends = {name: (x.min(), x.max()) if stated else own_range(data[name]) for name, x in feeds.items()}
    assert inside(run_ort(model_of(example), feeds), domains(graph, ends)["y"])
