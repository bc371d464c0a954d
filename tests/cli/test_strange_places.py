"""What is written to is no file or folder of ours: a pipe, a link, a link to itself; and the disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Cli, array, command_line, dense
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, links and limits as Unix has them")
WRITING = ["run", "audit", "compare", "evaluate", "batch", "report", "annotate", "compile"]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    dense(tmp_path / "net.onnx")
    array(tmp_path / "x.npy", [[1, 2], [3, 4]])
    return command_line(capsys, tmp_path, monkeypatch)


def words(command: str, out: str) -> list[str]:
    return [command, "net.onnx", *(["x.npy"] if command != "compile" else []), "-o", out]


@pytest.mark.parametrize("command", WRITING)
def test_a_pipe_in_the_place_of_a_result_is_not_waited_for(cli: Cli, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "out")
    code, _, err = cli(*words(command, "out"))
    assert (code, err.count("\n")) == (2, 1), err


@pytest.mark.parametrize("command", WRITING[:5])
def test_a_link_to_itself_is_no_folder(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").symlink_to("out")
    code, _, err = cli(*words(command, "out"))
    assert code == 2
    assert err.startswith("onnxdtd: 'out' cannot be written: ")


@pytest.mark.parametrize("name", [".lock", "failed.jsonl", "shards", "manifest.json"])
def test_a_job_writes_through_no_link(cli: Cli, tmp_path: Path, name: str) -> None:
    """Whoever made the folder chose where the link leads to."""
    pytest.importorskip("pyarrow", reason="shards are Parquet")
    assert cli(*words("batch", "job"))[0] == 0
    job, mine = tmp_path / "job", tmp_path / "mine"
    mine.write_text("precious")
    if (job / name).is_dir():
        (job / name).rename(tmp_path / "elsewhere")
    else:
        (job / name).unlink(missing_ok=True)
    (job / name).symlink_to(mine)
    code, _, err = cli(*words("batch", "job"))
    assert code == 2
    assert "is a link, not written by onnxdtd batch" in err
    assert mine.read_text() == "precious"


@pytest.mark.parametrize("command", ["batch", "evaluate"])
def test_a_pipe_in_the_place_of_a_lock_is_not_waited_for(cli: Cli, tmp_path: Path, command: str) -> None:
    if command == "batch":
        pytest.importorskip("pyarrow", reason="shards are Parquet")
    assert cli(*words(command, "out"))[0] == 0
    os.mkfifo(tmp_path / "out" / ".lock")
    code, _, err = cli(*words(command, "out"))
    assert code == 2
    assert "pipe or a device" in err


LIMITED = """
import resource, sys
from onnxdtd.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["run", "compile", "report"])
def test_a_full_disk_is_one_line_and_leaves_nothing(cli: Cli, tmp_path: Path, command: str) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, *words(command, "out.html" if command == "report" else "out")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    assert "File too large" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before
