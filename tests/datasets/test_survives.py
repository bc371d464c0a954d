"""What machines do to a job: it is killed, its workers are, the disk is full, somebody else writes. The finished
folder equals an undisturbed one."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.datasets.record import read_failed
from onnxdtd.datasets.results import Results
from onnxdtd.durable import LOCK, locked
from onnxdtd.errors import InputError
from onnxdtd.workers.hand import Hand
from tests.support.batches import read, same
from tests.support.command_line import dense
from tests.support.paths import MODELS, ROOT

pytest.importorskip("pyarrow", reason="shards are Parquet")
ROWS = np.random.default_rng(3).normal(size=(2000, 2)).astype(np.float32)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "rows.npy", ROWS)
    dense(tmp_path / "net.onnx")
    return {
        "model": tmp_path / "net.onnx",
        "data": tmp_path / "rows.npy",
        "engine": "numpy",
        "shard_rows": 20,
    }


def started(folder: Path) -> subprocess.Popen[bytes]:
    words = ["batch", "net.onnx", "rows.npy", "-o", "job", "--shard-rows", "20", "--engine", "numpy"]
    return subprocess.Popen(
        [sys.executable, "-m", "onnxdtd", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
    )  # fmt: skip


def written(folder: Path) -> int:
    return len(list((folder / "job" / "shards").glob("[!.]*.parquet")))


def test_a_job_that_is_killed_and_told_to_end(job: dict[str, Any], tmp_path: Path) -> None:
    whole = list(onnxdtd.batch(out=tmp_path / "whole", **job))
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)):
        process, before = started(tmp_path), written(tmp_path)
        while written(tmp_path) == before and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(number)
        _, err = process.communicate()
        assert (process.returncode, b"Traceback" in err) == (code, False)
        assert (b"goes on from there" in err) == (code == 143)
        assert 0 < len(onnxdtd.Results(tmp_path / "job")) < len(ROWS)
        assert (tmp_path / "job" / LOCK).exists() == (code != 143)
    (tmp_path / "job" / "shards" / ".some.parquet.999999999-0123abcd").write_bytes(b"half")
    same(list(onnxdtd.batch(out=tmp_path / "job", **job)), whole)
    assert list((tmp_path / "job" / "shards").glob(".*")) == []


FORKS = """
import os, sys, onnxdtd
from onnxdtd import batch
for workers in sys.stdin:
    if not (pid := os.fork()):
        try:
            batch("net.onnx", "rows.npy", "job", engine="numpy", shard_rows=20, workers=int(workers))
        except onnxdtd.UsageError as error:
            print(error, file=sys.stderr)
            os._exit(2)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Jobs in a process each, which needs no start: a number of workers a line in; its pid, then its exit code out."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_ten_kills_at_random_moments_lose_and_double_nothing(job: dict[str, Any], tmp_path: Path) -> None:
    """Of the process that hands out the tasks, once with workers that outlive it; then two writers at once."""
    whole = list(onnxdtd.batch(out=tmp_path / "whole", **job))
    rng = np.random.default_rng(17)
    server = [
        subprocess.Popen(
            [sys.executable, "-c", FORKS], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )
        for _ in range(2)
    ]  # fmt: skip

    def begin(which: int, workers: int) -> int:
        print(workers, file=server[which].stdin)
        return int(server[which].stdout.readline())  # type: ignore[union-attr]

    def end(which: int) -> int:
        return int(server[which].stdout.readline())  # type: ignore[union-attr]

    counts = []
    for number in range(10):
        pid = begin(0, 1 + (number == 5))  # two workers are slow to start
        before, more = written(tmp_path), int(rng.integers(1, 6))
        until = time.monotonic() + 30
        while written(tmp_path) < before + more and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.01)))
        os.kill(pid, signal.SIGKILL)
        assert end(0) == -signal.SIGKILL
        counts.append(len(onnxdtd.Results(tmp_path / "job")))
    assert counts == sorted(counts)
    assert 200 <= counts[-1] < len(ROWS)
    pid = begin(0, 1)
    while f'"pid": {pid}' not in (tmp_path / "job" / LOCK).read_text():
        time.sleep(0.001)
    begin(1, 1)
    assert (end(1), end(0)) == (2, 0)
    for process in server:
        process.communicate()
    same(read(tmp_path / "job"), whole)


def test_workers_that_are_killed_are_replaced(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(onnxdtd.batch(out=tmp_path / "whole", **job))
    hands: list[Hand] = []
    start = Hand._start

    def remembered(hand: Hand) -> None:
        start(hand)
        hands.append(hand)

    def kill(_: onnxdtd.Tally) -> None:
        if len(hands) == 2 and hands[1]._process is not None:
            hands[1]._process.kill()

    monkeypatch.setattr(Hand, "_start", remembered)
    results = onnxdtd.batch(out=tmp_path / "job", workers=2, progress=kill, **job)
    assert len(hands) == 3
    same(list(results), whole)


def test_a_full_disk_ends_the_job_and_it_goes_on(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, calls = os.fsync, iter(range(1000))

    def full(handle: int) -> None:
        if next(calls) >= 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        synced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(onnxdtd.UsageError, match=r"disk of .* is full; what is done is kept"):
            onnxdtd.batch(out=tmp_path / "job", **job)
    assert 0 < len(onnxdtd.Results(tmp_path / "job")) < len(ROWS)
    same(list(onnxdtd.batch(out=tmp_path / "job", **job)), list(onnxdtd.batch(out=tmp_path / "whole", **job)))


def test_a_second_writer_is_refused_and_a_dead_one_followed(job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with locked(tmp_path / "job"), pytest.raises(onnxdtd.UsageError, match=f"by process {os.getpid()}"):
        onnxdtd.batch(out=tmp_path / "job", **job)
    (tmp_path / "job" / LOCK).write_text(json.dumps({"pid": os.getppid()}))
    with pytest.raises(onnxdtd.UsageError, match=f"by process {os.getppid()}"):
        onnxdtd.batch(out=tmp_path / "job", **job)
    (tmp_path / "job" / LOCK).write_text(json.dumps({"pid": os.getppid(), "born": "long ago"}))
    assert len(onnxdtd.batch(out=tmp_path / "job", limit=20, **job)) == 20
    (tmp_path / "job" / LOCK).write_text("999999999\n")
    assert len(onnxdtd.batch(out=tmp_path / "job", limit=40, **job)) == 40
    assert len(read(tmp_path / "job")) == 40


def test_an_evaluation_has_the_same_lock(tmp_path: Path) -> None:
    def evaluated() -> onnxdtd.Evaluation:
        x = np.load(MODELS / "wine_sample.npy")
        return onnxdtd.evaluate(
            MODELS / "wine_mlp.onnx", x, "gradient", metrics="sparseness", out=tmp_path / "e"
        )

    evaluated()
    with locked(tmp_path / "e"), pytest.raises(onnxdtd.UsageError, match=f"by process {os.getpid()}"):
        evaluated()
    evaluated()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as Unix has them")
@pytest.mark.parametrize("name", ["manifest.json", "shards/0-5feceb66ffc8.parquet", "failed.jsonl"])
def test_a_pipe_in_the_place_of_a_file_is_told(tmp_path: Path, name: str) -> None:
    """Nobody would ever write into it."""
    for part in ("shards", "."):
        (tmp_path / part).mkdir(exist_ok=True)
    (tmp_path / "manifest.json").write_text('{"schema": "onnxdtd.batch/1"}')
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="a pipe or a device"):
        print(Results(tmp_path).failed)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"null", b"\xff\xfe", b"", b"{"])
def test_a_damaged_manifest_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json' (cannot be read|is not of the schema)"):
        Results(tmp_path)


def test_lines_of_failures_that_are_none_are_left_out(tmp_path: Path) -> None:
    lines = [
        b'{"id": "a", "reason": "b"}',
        b"[" * 100_000,
        b"\xff",
        b"[]",
        b'{"id": []}',
        b'{"id": 1, "reason": 2}',
    ]
    (tmp_path / "failed.jsonl").write_bytes(b"\n".join(lines))
    assert read_failed(tmp_path) == {"a": "b", "1": "2"}
