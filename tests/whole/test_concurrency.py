"""Many threads and processes at once: each gets what one alone gets, none waits for ever, and no file is torn.

What could hang runs in a process of its own, which is ended when its time is over.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from tests.support.command_line import array, dense
from tests.support.paths import MODELS, ROOT

MNIST = MODELS / "mnist_cnn.onnx"
DIGITS = np.random.default_rng(7).random((8, 1, 28, 28), np.float32)
ENGINES = ("numpy", "onnx")
TIMEOUT = 120
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def explainer(engine: str) -> onnxdtd.Explainer:
    return onnxdtd.Explainer(MNIST, "epsilon_plus", engine)


def explained(explainer: onnxdtd.Explainer) -> np.ndarray[Any, Any]:
    return explainer(DIGITS[:1]).relevance["image"]


def at_once(work: Callable[[int], np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    with ThreadPoolExecutor(8) as pool:
        return [job.result(TIMEOUT) for job in [pool.submit(work, i) for i in range(24)]]


def alike(one: Any, other: Any) -> None:
    """Equal but for the order of sums."""
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_eight_threads_on_one_explainer_get_what_one_gets(engine: str) -> None:
    """Single samples, whole batches and several targets, in any order."""
    shared, alone = explainer(engine), explainer(engine)
    asks: list[Callable[[onnxdtd.Explainer], Any]] = [
        lambda e: e(DIGITS[:1]).relevance["image"],
        lambda e: e(DIGITS).relevance["image"],
        lambda e: e(DIGITS[2:3], target=4).relevance["image"],
        lambda e: np.stack([one.relevance["image"] for one in e(DIGITS[3:4], targets=[1, 7])]),
    ]
    expected = [ask(alone) for ask in asks]
    for place, actual in enumerate(at_once(lambda i: asks[i % len(asks)](shared))):
        alike(actual, expected[place % len(asks)])


def test_explainers_are_made_in_eight_threads_at_once() -> None:
    expected = explained(explainer("numpy"))
    for actual in at_once(lambda i: explained(explainer(ENGINES[i % 2]))):
        alike(actual, expected)


def test_explainers_go_to_processes_that_are_spawned_used_or_not() -> None:
    unused, used = ([explainer(engine) for engine in ENGINES] for _ in range(2))
    expected = [explained(e) for e in used]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for actual in pool.map_async(explained, unused + used).get(TIMEOUT):
            alike(actual, expected[0])


FORKS = """
import gc, os, sys, threading
import numpy as np
import onnxdtd

x = np.random.default_rng(7).random((8, 1, 28, 28), np.float32)

def explainer(engine):
    return onnxdtd.Explainer(sys.argv[1], "epsilon_plus", engine)

def explain(e):
    return [e(x[:1]).relevance["image"], e(x).relevance["image"], e(x[:1], target="3 - 5").relevance["image"]]

def in_a_child(work):
    # The child ends as Python ends, with all that it has to clear away.
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        work()
        sys.exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, code

def same(made, expected):
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)

def anew():
    for engine in ("numpy", "onnx"):
        made.append(explain(explainer(engine)))

made = []
in_a_child(anew)  # of a parent without sessions

anew()
expected = made[0]
shared = {engine: explainer(engine) for engine in ("numpy", "onnx")}
for e in shared.values():
    same(explain(e), expected)

def as_the_parent():
    for e in shared.values():
        same(explain(e), expected)

def let_go():
    shared.clear()
    gc.collect()
    same(explain(explainer("onnx")), expected)

def grandchild():
    as_the_parent()
    in_a_child(as_the_parent)
    in_a_child(let_go)

for work in (let_go, grandchild):
    in_a_child(work)
as_the_parent()

stop = threading.Event()
def busy():
    while not stop.is_set():
        as_the_parent()
threads = [threading.Thread(target=busy)]
for thread in threads: thread.start()
for _ in range(2):
    in_a_child(as_the_parent)  # while other threads explain
stop.set()
for thread in threads: thread.join()
"""


def python(script: str, *words: Any) -> None:
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=TIMEOUT,
    )  # fmt: skip


@posix
def test_a_child_that_is_forked_explains_with_its_parents_explainers() -> None:
    """It starts sessions of its own, and ends without ending those of its parent."""
    python(FORKS, MNIST)


HELD = """
import os, signal, sys, threading, time
import onnxdtd
from onnxdtd.compiled.ready import Ready
from onnxdtd.walk import blas

property = vars(Ready)["session"]
inside, threads = threading.Event(), [4]

def put(number):
    inside.set()
    time.sleep(0.2)  # as OpenBLAS does, which ends threads and starts others
    threads[0] = number

blas._functions = lambda: (lambda: threads[0], put)

def hold():
    with getattr(property, "lock", threading.RLock()), blas.one_thread():
        time.sleep(0.5)

thread = threading.Thread(target=hold)
thread.start()
inside.wait()
pid = os.fork()
if not pid:
    signal.alarm(20)
    with getattr(property, "lock", threading.RLock()), blas.one_thread():
        assert threads == [1]
    assert threads == [4], threads
    os._exit(0)
thread.join()
assert threads == [4]
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@posix
def test_a_fork_leaves_no_lock_of_another_thread_behind() -> None:
    """Neither that of a cached property nor that of the number of threads, which is the child's own."""
    python(HELD)


GROWTH = """
import resource, sys
from pathlib import Path
import numpy as np
import onnxdtd

x = np.ones((1, 2), np.float32)
e = onnxdtd.Explainer(sys.argv[1], "attnlrp", sys.argv[2])

def after(calls):
    for target in range(calls):
        e(x, target=target % 3)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

first = after(500)
grown = after(1500) - first
assert grown < 1 << 20, f"{grown:,} bytes more after 2,000 calls than after 500"
"""


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="Linux tells how much memory a process holds"
)
@pytest.mark.parametrize("engine", ENGINES)
def test_two_thousand_calls_take_no_more_memory_than_five_hundred(engine: str, tmp_path: Path) -> None:
    python(GROWTH, dense(tmp_path / "net.onnx"), engine)


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "onnxdtd", *words], cwd=folder, text=True, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ONNXDTD_CACHE": str(folder / "cache")},
    )  # fmt: skip


def test_processes_share_a_cache_and_a_result(tmp_path: Path) -> None:
    """Whoever comes second writes after the first, or is refused in one line: what lies there is whole."""
    dense(tmp_path / "net.onnx")
    array(tmp_path / "x.npy", [[1, 2]])
    words = ("run", "net.onnx", "x.npy", "--engine", "onnx", "-o", "out")
    ran = [started(tmp_path, *words) for _ in range(3)]
    ends = [(process.communicate(timeout=TIMEOUT)[1], process.returncode) for process in ran]
    assert {code for _, code in ends} <= {0, 2}
    assert 0 in {code for _, code in ends}
    assert all("Traceback" not in text for text, _ in ends)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    e = onnxdtd.Explanation.load(tmp_path / "out")
    np.testing.assert_allclose(e.target_value, [4])
    manifest = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(manifest["files"])
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".explainer"]
