"""The line before a model: bounded, shared by equal shapes where that changes nothing, and emptied at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.deadline import check
from onnxdtd.errors import InputError, TargetError, TimeLimitError
from onnxdtd.plan.target import Target
from tests.support.command_line import dense
from tests.support.model_text import model

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from onnxdtd.server.metrics import Metrics
from onnxdtd.server.model import Served, prepared
from onnxdtd.server.question import Question, asked
from onnxdtd.server.waiting import Line
from onnxdtd.web.faults import RequestError

PATIENCE = 30


class Gate:
    """Holds the first pass of a model until it is opened."""

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self._open, answers = threading.Event(), threading.Event(), served.answers

        def held(questions: Any) -> Any:
            self.begun.set()
            assert self._open.wait(PATIENCE)
            return answers(questions)

        monkeypatch.setattr(served, "answers", held)

    def open(self) -> None:
        self._open.set()


@contextmanager
def line(served: Served, passes: list[int], **limits: Any) -> Iterator[Line]:
    bounds: dict[str, Any] = {"size": 8, "rows": 32, "elements": 1000, "seconds": PATIENCE} | limits
    own = Line(served, **bounds, on_pass=lambda _, count: passes.append(count))
    yield own
    own.close()


def questions(explainer: onnxdtd.Explainer, rows: Any, **parameters: Any) -> list[Question]:
    return [asked(explainer, {"x": np.array([row], np.float32)}, parameters, True) for row in rows]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return prepared("dense", onnxdtd.Explainer(dense(tmp_path / "dense.onnx"), "attnlrp", engine="onnx"))


def test_what_waits_shares_a_pass_and_each_gets_its_own(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, passes = [(1, 2), (-1, 3), (4, 0.5), (0, 1)], list[int]()
    alone = [served.explainer(np.array([row], np.float32)) for row in rows]
    gate = Gate(served, monkeypatch)
    with line(served, passes) as queue:
        first = queue.put(questions(served.explainer, [(9, 9)])[0])
        assert gate.begun.wait(PATIENCE)
        others = [queue.put(question) for question in questions(served.explainer, rows)]
        indexed = [queue.put(questions(served.explainer, [(1, 2)], target=i)[0]) for i in (0, 2)]
        gate.open()
        for answer, e in zip(others, alone, strict=True):
            tensors = answer.result(PATIENCE).tensors
            np.testing.assert_allclose(tensors["relevance.x"], e.relevance["x"], rtol=1e-5, atol=1e-6)
            assert tensors["target_label"].tolist() == [e.label()]
        assert [answer.result(PATIENCE).tensors["target"].tolist() for answer in indexed] == [[0], [2]]
        assert first.result(PATIENCE).tensors["y"].tolist() == [[19, 9, -18]]
    assert passes == [1, 4, 2]


def test_a_pass_holds_so_many_rows_and_elements(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for limits, expected in (({"rows": 2}, [1, 2, 2, 1]), ({"elements": 6}, [1, 3, 2])):
        passes, gate = list[int](), Gate(served, monkeypatch)
        with line(served, passes, **limits) as queue:
            queue.put(questions(served.explainer, [(1, 1)])[0])
            assert gate.begun.wait(PATIENCE)
            for question in questions(served.explainer, [(1, 1)] * 5):
                queue.put(question)
            gate.open()
        assert passes == expected
        monkeypatch.undo()


def test_a_full_line_says_so_and_what_waits_is_answered_at_the_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(served, monkeypatch)
    with line(served, [], size=2) as queue:
        waiting = [queue.put(questions(served.explainer, [(1, 1)])[0])]
        assert gate.begun.wait(PATIENCE)
        waiting += [queue.put(question) for question in questions(served.explainer, [(1, 1)] * 2)]
        with pytest.raises(RequestError, match="2 questions wait for 'dense' already") as error:
            queue.put(questions(served.explainer, [(1, 1)])[0])
        assert (error.value.status, error.value.headers) == (429, {"Retry-After": "1"})
        gate.open()
    assert all(answer.done() for answer in waiting)


def test_the_fault_of_one_is_not_anothers(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(served, monkeypatch)
    with line(served, []) as queue:
        queue.put(questions(served.explainer, [(1, 1)])[0])
        assert gate.begun.wait(PATIENCE)
        good, bad = (queue.put(questions(served.explainer, [(1, 2)], target=i)[0]) for i in (1, 7))
        gate.open()
        assert good.result(PATIENCE).tensors["target"].tolist() == [1]
        with pytest.raises(TargetError, match="target 7 is out of range"):
            bad.result(PATIENCE)


def test_samples_that_see_each_other_are_asked_alone() -> None:
    """y = x - mean over the batch: in company each sample would get another answer."""
    proto = model(
        "(float[N, 2] x) => (float[N, 2] y) { m = ReduceMean <axes = [0], keepdims = 1> (x) y = Sub(x, m) }",
        opset=13,
    )
    served = Served("dense", onnxdtd.Explainer(proto, "gradient_x_input"))
    answers = served.answers(questions(served.explainer, [(1, 2), (3, 5)]))
    assert [answer.tensors["y"].tolist() for answer in answers] == [[[0, 0]], [[0, 0]]]
    assert not served.shareable(questions(served.explainer, [(1, 2)])[0])


def test_warnings_of_a_pass_go_to_whom_they_concern(served: Served) -> None:
    with_sign = questions(served.explainer, [(-1, -1), (1, 2)], target=0)
    notes = [answer.notes.get("warnings", "") for answer in served.answers(with_sign)]
    assert ["negative" in note for note in notes] == [True, False]
    assert notes[0].startswith("sample 0:")


def test_the_limit_of_time_counts_the_wait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_questions: Any) -> Any:
        time.sleep(0.05)
        check()

    monkeypatch.setattr(served, "answers", slow)
    with line(served, [], seconds=0.02) as queue:
        answer = queue.put(questions(served.explainer, [(1, 1)])[0])
        with pytest.raises(TimeLimitError, match=r"not answered after 0\.02 s, this server's limit"):
            answer.result(PATIENCE)


def test_questions_of_other_methods_shapes_and_outputs_are_of_another_kind(served: Served) -> None:
    first, *_ = questions(served.explainer, [(1, 1)])
    others = [
        asked(served.explainer, {"x": np.ones((1, 2), np.float32)}, {"method": "gradient"}, True),
        asked(served.explainer, {"x": np.ones((1, 2), np.float32)}, {"target": "y"}, True),
        asked(served.explainer, {"x": np.ones((1, 2), np.float32)}, {}, False),
    ]
    assert first.kind not in [question.kind for question in others]
    assert (
        first.kind
        == asked(served.explainer, {"x": np.ones((3, 2), np.float32)}, {"method": "attnlrp"}, True).kind
    )
    assert Question({"x": np.ones(())}).rows is None
    assert first.target == Target()
    with pytest.raises(InputError):
        asked(served.explainer, {}, {}, True)


def test_metrics_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.count("onnxdtd_requests_total", model='a"\\\n', kind="infer", status="200")
    for seconds in (0.002, 0.3, 99):
        metrics.observe("onnxdtd_request_seconds", seconds, model="a", kind="infer")
    text = metrics.text({"a": 3})
    assert '\nonnxdtd_requests_total{model="a\\"\\\\\\n",kind="infer",status="200"} 1\n' in text
    assert 'onnxdtd_request_seconds_bucket{model="a",kind="infer",le="0.0025"} 1\n' in text
    assert 'onnxdtd_request_seconds_bucket{model="a",kind="infer",le="30"} 2\n' in text
    assert 'onnxdtd_request_seconds_bucket{model="a",kind="infer",le="+Inf"} 3\n' in text
    assert 'onnxdtd_request_seconds_sum{model="a",kind="infer"} 99.302\n' in text
    assert '# TYPE onnxdtd_waiting gauge\nonnxdtd_waiting{model="a"} 3\n' in text
