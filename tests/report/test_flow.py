"""The graph of a report: relevance on its edges by hand, folding that loses nothing, boxes that do not overlap."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

import onnxdtd
from onnxdtd.report.flow import TARGET, Box, Flow, flow_of
from onnxdtd.report.fold import MOST, folded, segments
from onnxdtd.report.layers import WIDTH, laid_out
from tests.support.model_text import model

W, V = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32), np.array([[2.0], [1.0]], np.float32)


def test_each_edge_has_what_was_handed_over() -> None:
    """y = (x W + x) V at x = (1, 2) is 2 (7 + 1) + 1 (0 + 2) = 18: the Add hands 2 · 7 + 0 = 14 to the product and
    2 · 1 + 1 · 2 = 4 to x."""
    e = onnxdtd.Explainer(
        model(
            "(float[N, 2] x) => (float[N, 1] y) "
            "{ [mm] a = MatMul(x, w) [add] s = Add(a, x) [out] y = MatMul(s, v) }",
            w=W, v=V,
        ),
        "attnlrp",
    )(np.array([[1.0, 2.0]], np.float32))  # fmt: skip
    flow = flow_of(e)
    assert flow is not None
    amounts = {(a, b): r for a, b, r in flow.edges}
    assert amounts == pytest.approx(
        {
            (TARGET, "node:out"): 18.0,
            ("node:out", "node:add"): 18.0,
            ("node:add", "node:mm"): 14.0,
            ("node:add", "input:x"): 4.0,
            ("node:mm", "input:x"): 14.0,
        },
        rel=1e-5,
    )
    assert [box.key for box in flow.boxes] == [TARGET, "node:out", "node:add", "node:mm", "input:x"]


def test_the_graph_comes_back_from_a_folder(tmp_path: Path) -> None:
    e = onnxdtd.explain(model("(float[N, 2] x) => (float[N, 1] y) { y = MatMul(x, v) }", v=V), [[1.0, 2.0]])
    e.save(tmp_path / "out")
    again = onnxdtd.Explanation.load(tmp_path / "out")
    assert again == e
    assert flow_of(again) == flow_of(e)


def test_an_engine_that_looks_into_no_node_gives_no_graph() -> None:
    proto = model("(float[N, 2] x) => (float[N, 1] y) { y = MatMul(x, v) }", v=V)
    assert flow_of(onnxdtd.explain(proto, [[1.0, 2.0]], method="attnlrp", engine="onnx")) is None


def chain(blocks: int, wide: int = 3) -> Flow:
    """Blocks in a row, each of `wide` branches that meet again."""
    names, edges = [TARGET, "start"], [(TARGET, "start", 1.0)]
    last = "start"
    for block in range(blocks):
        branches = [f"b{block}.{i}" for i in range(wide)]
        names += [*branches, f"meet{block}"]
        edges += [(last, name, 1 / wide) for name in branches]
        edges += [(name, f"meet{block}", 1 / wide) for name in branches]
        last = f"meet{block}"
    names.append("x")
    kinds = {TARGET: TARGET, "x": "input"}
    return Flow(
        tuple(Box(name, name, kind=kinds.get(name, "node")) for name in names), (*edges, (last, "x", 1.0))
    )


def leaves(flow: Flow) -> list[str]:
    return [key for box in flow.boxes for key in (leaves(box.inside) if box.inside else [box.key])]


@pytest.mark.parametrize("blocks", [3, 12, 250])
def test_folding_loses_no_node_and_no_relevance(blocks: int) -> None:
    flow = chain(blocks)
    small = folded(flow)
    assert sorted(leaves(small)) == sorted(box.key for box in flow.boxes)
    assert len(small.boxes) <= MOST
    for box in small.boxes:
        into, out = (sum(r for *ends, r in small.edges if ends[side] == box.key) for side in (1, 0))
        assert into == pytest.approx(out if box.kind not in (TARGET, "input") else 1.0 - out)


def test_blocks_that_repeat_are_counted() -> None:
    labels = [box.label for box in folded(chain(12)).boxes]
    assert labels[2:-1] == [f"block {i} of 12" for i in range(1, 13)]


def test_segments_end_where_all_passes() -> None:
    assert segments(chain(2, wide=2)) == [
        [TARGET], ["start"], ["b0.0", "b0.1", "meet0"], ["b1.0", "b1.1", "meet1"], ["x"],
    ]  # fmt: skip


def test_boxes_do_not_overlap_and_edges_go_down() -> None:
    flow = chain(3, wide=5)
    places = laid_out(flow)
    for (x, y), (z, w) in combinations(places.centres.values(), 2):
        assert y != w or abs(x - z) >= WIDTH
    for points in places.paths.values():
        assert all(upper[1] < lower[1] for upper, lower in pairwise(points))


def test_a_graph_that_no_node_cuts_is_folded_into_bands() -> None:
    """Two chains side by side with rungs between them: nothing lies on every way, and no chain is simple."""
    names = [TARGET, *(f"{side}{i}" for i in range(200) for side in "ab"), "x"]
    edges = [(TARGET, "a0", 0.5), (TARGET, "b0", 0.5), ("a199", "x", 0.5), ("b199", "x", 0.5)]
    edges += [(f"{a}{i}", f"{b}{i + 1}", 0.25) for i in range(199) for a in "ab" for b in "ab"]
    kinds = {TARGET: TARGET, "x": "input"}
    flow = Flow(tuple(Box(name, name, kind=kinds.get(name, "node")) for name in names), tuple(edges))
    small = folded(flow)
    assert len(small.boxes) <= MOST
    assert sorted(leaves(small)) == sorted(names)
    laid_out(small)
