"""A limit of time for a session that runs in another thread than the main one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onnxdtd.deadline import within
from onnxdtd.errors import InputError, TimeLimitError
from onnxdtd.walk.forward import start_session
from onnxdtd.walk.session import run_session
from onnxdtd.walk.watch import Watch
from tests.support.model_text import model

LOOP = """
(float[N] x, int64 count) => (float[N] y) {
  yes = Constant <value = bool {1}> ()
  y = Loop (count, yes, x) <body = one (int64 i, bool on, float[N] a) => (bool go, float[N] b) {
    go = Identity(on)
    b = Sin(a)
  }>
}
"""


def beside(work: Callable[[], Any]) -> Any:
    """What work returns or raises in a thread of its own."""
    end: list[Any] = []

    def run() -> None:
        try:
            end.append(work())
        except BaseException as error:
            end.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    (result,) = end
    return result


def asked(count: int, seconds: float | None) -> Any:
    session = start_session(model(LOOP), {}, ["CPUExecutionProvider"])
    feeds = {"x": np.ones(3, np.float32), "count": np.asarray(count)}

    def work() -> Any:
        if seconds is None:
            return run_session(session, ["y"], feeds)
        with within(seconds):
            return run_session(session, ["y"], feeds)

    return beside(work)


@pytest.mark.parametrize("seconds", [None, 60.0, float("inf")])
def test_what_is_done_in_time_is_as_without_a_limit(seconds: float | None) -> None:
    np.testing.assert_allclose(asked(2, seconds)["y"], np.sin(np.sin(np.ones(3))), rtol=1e-6)


def test_a_session_ends_when_its_time_is_over_whatever_thread_it_runs_in() -> None:
    begun = time.monotonic()
    error = asked(10**9, 0.1)
    assert isinstance(error, TimeLimitError), error
    assert "not done after 0.1 s" in str(error)
    assert time.monotonic() - begun < 60


def test_what_fails_for_another_reason_says_so() -> None:
    session = start_session(model(LOOP), {}, ["CPUExecutionProvider"])

    def work() -> Any:
        with within(60):
            return run_session(session, ["y"], {"x": np.ones(3, np.float32)})

    assert isinstance(beside(work), InputError)


def test_many_are_watched_at_once_each_to_its_own_end() -> None:
    watch, options = Watch(), [SimpleNamespace(terminate=False) for _ in range(3)]
    with watch.over(options[0], 60), watch.over(options[1], 0.02), watch.over(options[2], 60):
        for _ in range(1000):
            if options[1].terminate:
                break
            time.sleep(0.005)
        assert [own.terminate for own in options] == [False, True, False]
    with watch.over(options[0], 0.01):
        pass
    time.sleep(0.03)
    assert not options[0].terminate
