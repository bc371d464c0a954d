"""A job on a Ray cluster: the folder that it leaves, whatever happens, is that of a job on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.datasets import job as jobs
from onnxdtd.datasets.actors import settle
from onnxdtd.datasets.ray import connected
from onnxdtd.datasets.work import Work
from onnxdtd.loaded import VERSIONS
from tests.support.batches import read, same
from tests.support.command_line import dense
from tests.support.model_text import model
from tests.support.paths import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own
ray = pytest.importorskip("ray", reason='Ray is an extra: pip install "onnxdtd[ray]"')
ROWS = np.random.default_rng(3).normal(size=(60, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def cluster() -> Iterator[onnxdtd.Ray]:
    """One cluster for all tests, with a GPU that is a number only; each job takes it as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="FATAL")
        yield onnxdtd.Ray("auto", cpus=0.5)
        ray.shutdown()


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "rows.npy", ROWS)
    dense(tmp_path / "net.onnx")
    return {"model": tmp_path / "net.onnx", "data": tmp_path / "rows.npy", "engine": "numpy", "shard_rows": 5}


class Fatal(Work):
    """Ends its process at the first try of each task in its places; at every one, if it is `for_ever`."""

    places: tuple[int, ...] = ()
    for_ever = False

    def __call__(self, task: Any) -> Any:
        mark = self.folder / f".tried-{task.places[0]}"
        if task.places[0] in self.places and (self.for_ever or not mark.exists()):
            mark.write_text("")
            if task.places[0] % 2:
                raise ArithmeticError("somebody's bug, now and then")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(task)


def fatal(monkeypatch: pytest.MonkeyPatch, places: tuple[int, ...], for_ever: bool = False) -> None:
    def made(*arguments: Any) -> Work:
        work = Fatal(*arguments)
        work.places, work.for_ever = places, for_ever  # type: ignore[misc]
        return work

    monkeypatch.setattr(jobs, "Work", made)


def test_half_here_and_half_on_the_cluster_while_actors_die(
    cluster: onnxdtd.Ray, job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(onnxdtd.batch(out=tmp_path / "whole", **job))
    onnxdtd.batch(out=tmp_path / "job", limit=11, **job)
    fatal(monkeypatch, (20, 45))
    told: list[int] = []
    place = onnxdtd.Ray("auto", cpus=0.5, gpus=0.5)
    results = onnxdtd.batch(
        out=tmp_path / "job", limit=52, ray=place, workers=2, progress=lambda t: told.append(t.done), **job
    )
    assert (len(results), told) == (52, sorted(told))
    assert len(list((tmp_path / "job").glob(".tried-*"))) == 2
    assert list((tmp_path / "job" / "shards").glob(".*")) == []
    same(list(onnxdtd.batch(out=tmp_path / "job", **job)), whole)


def test_what_kills_every_process_ends_the_job_and_an_error_is_told(
    cluster: onnxdtd.Ray, job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal(monkeypatch, (10,), for_ever=True)
    with pytest.raises(onnxdtd.UsageError, match="3 processes died over the 5 rows from '10' on"):
        onnxdtd.batch(out=tmp_path / "job", ray=cluster, workers=1, **job)
    monkeypatch.undo()
    whole = list(onnxdtd.batch(out=tmp_path / "whole", **job))
    same(list(onnxdtd.batch(out=tmp_path / "job", **job)), whole)


def test_a_stream_and_rows_that_fail(cluster: onnxdtd.Ray, job: dict[str, Any], tmp_path: Path) -> None:
    rows = [(f"r{i}", x if i != 7 else x[:1]) for i, x in enumerate(ROWS)]
    here = onnxdtd.batch(out=tmp_path / "here", **{**job, "data": iter(rows)})
    there = onnxdtd.batch(out=tmp_path / "there", ray=cluster, workers=1, **{**job, "data": iter(rows)})
    same(list(there), list(here))
    assert (len(there), [*there.failed], there.failed) == (59, ["r7"], here.failed)
    with pytest.raises(
        onnxdtd.UsageError, match="no machine of the cluster has room for one actor: 64 CPU asked, 2"
    ):
        onnxdtd.batch(out=tmp_path / "more", ray=onnxdtd.Ray(cpus=64), **job)


def test_what_actors_have_written_teaches_the_same(cluster: onnxdtd.Ray, tmp_path: Path) -> None:
    """Clusters, concepts and means of a folder whose shards two actors wrote, in whatever order."""
    pytest.importorskip("sklearn", reason='clusters are an extra: pip install "onnxdtd[cluster]"')
    text = "(float[N, 2] x) => (float[N, 2] y) { h = Relu(x)\n y = MatMul(h, w) }"
    onnx.save(model(text, w=np.array([[2, 0.5], [0, 3]], np.float32)), tmp_path / "net.onnx")
    np.save(tmp_path / "rows.npy", ROWS)
    job: dict[str, Any] = {"model": tmp_path / "net.onnx", "data": tmp_path / "rows.npy", "engine": "numpy"}
    job |= {"method": "gradient_x_input", "shard_rows": 7}
    onnxdtd.batch(out=tmp_path / "here", **job)
    onnxdtd.batch(out=tmp_path / "there", ray=cluster, workers=2, **job)
    here, there = ([*learned_from(tmp_path / name)] for name in ("here", "there"))
    assert here == there


def learned_from(folder: Path) -> Iterator[Any]:
    """What is learned from a job."""
    learned = onnxdtd.concepts(folder, "h", references=3)
    yield learned.classes, learned.relevant, learned.active
    clusters = onnxdtd.cluster(folder, count=2)
    yield clusters.lines, clusters.rows
    yield onnxdtd.summarise(folder).parts


def test_a_machine_where_numbers_would_differ_is_refused(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    planned = jobs.plan_job(out=tmp_path / "job", **job)
    jobs.run_job(planned)
    fingerprint = planned.settled["fingerprint"]
    settle(planned.work, str(tmp_path), fingerprint, VERSIONS)
    with pytest.raises(onnxdtd.UsageError, match=r"onnxruntime is .* the job was begun with 1\.0"):
        settle(planned.work, str(tmp_path), fingerprint, {"onnxruntime": "1.0"})
    for home, number in ((str(tmp_path), "another"), (str(tmp_path / "elsewhere"), fingerprint)):
        with pytest.raises(onnxdtd.UsageError, match="folders that all machines see by the same names"):
            settle(planned.work, home, number, VERSIONS)


def test_a_driver_that_is_killed_is_followed_here(job: dict[str, Any], tmp_path: Path) -> None:
    """By the command line, with a cluster of its own."""
    options = ["--shard-rows", "1", "--engine", "numpy", "--ray", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "onnxdtd", "batch", "net.onnx", "rows.npy", "-o", "job", *options],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
    )  # fmt: skip
    shards = tmp_path / "job" / "shards"
    while len(list(shards.glob("[!.]*.parquet"))) < 3 and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    _, err = process.communicate()
    assert (process.returncode, b"Traceback" in err) == (-signal.SIGKILL, False)
    assert 0 < len(read(tmp_path / "job")) < len(ROWS)
    job["shard_rows"] = 1
    same(list(onnxdtd.batch(out=tmp_path / "job", **job)), list(onnxdtd.batch(out=tmp_path / "whole", **job)))


def test_a_cluster_that_does_not_start_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises a bare Exception where its own processes do not come up, and leaves them behind."""
    ended = []

    def fails(*_: Any, **__: Any) -> None:
        raise Exception("The current node timed out during startup. This could happen because of load.")

    monkeypatch.setattr(ray, "init", fails)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(True))
    with (
        pytest.raises(
            onnxdtd.UsageError, match=r"^no Ray at 'local': The current node timed out during startup$"
        ),
        connected(ray, onnxdtd.Ray()),
    ):
        pass
    assert ended
