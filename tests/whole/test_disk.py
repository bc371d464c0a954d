"""The one door for files: what is no regular file, too large or nested without end is refused in a line."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from onnxdtd.disk import open_regular, read_bytes, read_json, read_toml, resolved
from onnxdtd.errors import InputError, OnnxdtdError, TimeLimitError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.folder import check_folder, sweep
from onnxdtd.inputs import Preprocess, read_inputs
from onnxdtd.inputs.names import names_of
from onnxdtd.memory import limited, size_of
from onnxdtd.methods.overrides import read_overrides
from onnxdtd.model.node import Value
from onnxdtd.npz import describe, read_arrays, write_arrays
from tests.support.command_line import Cli
from tests.support.paths import ROOT

VALUES = {"x": Value("x", 1, ("N", 3))}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(
    "name", ["p.toml", "p.json", "p.npy", "p.npz", "p.csv", "p.png", "p.txt", "explanation.json"]
)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path)
    readers = {
        ".toml": read_overrides, ".json": Preprocess.from_file, ".txt": names_of, ".png": Preprocess(),
    }  # fmt: skip
    reader = readers.get(path.suffix, lambda p: read_inputs(p, VALUES))
    if name == "explanation.json":
        reader = lambda p: Explanation.load(p.parent)  # noqa: E731
    with pytest.raises(OnnxdtdError):
        reader(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="a pipe or a device"):
        read_overrides(tmp_path / "zero.toml")


def test_sizes_and_depths_have_limits(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, more than 4"):
        read_bytes(path, 4)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(path)
    path.write_text("a = " + "[" * 5_000)
    with pytest.raises(ValueError, match="nested too deep"):
        read_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="utf-8"):
        read_json(path)
    with pytest.raises(OSError, match="null"):
        open_regular("a\0b")


def test_links_in_a_ring_are_told(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    with pytest.raises(UsageError, match="cannot be written"):
        check_folder(tmp_path / "ring" / "out", "onnxdtd.explanation/1")
    assert resolved(tmp_path) == tmp_path.resolve()


# Arrays.


def test_hostile_names_become_no_paths(tmp_path: Path) -> None:
    arrays = {"../../x": np.ones(2), "/etc/passwd": np.zeros(3), "a\0b": np.ones(1), "x" * 70_000: np.ones(4)}
    write_arrays(tmp_path / "a.npz", arrays)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.namelist() == ["0.npy", "1.npy", "2.npy", "3.npy"]
    read = read_arrays(tmp_path / "a.npz", {name: describe(a) for name, a in arrays.items()})
    assert [*read] == [*arrays]
    np.testing.assert_array_equal(read["/etc/passwd"], np.zeros(3))


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


HEADERS = {
    "a type of one part": "{'descr': ('<f4',), 'fortran_order': False, 'shape': (1, 3)}",
    "a size of True": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3)}",
    "a negative size": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}",
    "a size beyond 64 bits": "{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000000000000, 3)}",
    "more than the file has": "{'descr': '<f4', 'fortran_order': False, 'shape': (7, 3)}",
    "more than memory": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000, 3)}",
    "no type": "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 3)}",
    "no dictionary": "[" * 60,
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_headers_are_read_before_data(tmp_path: Path, name: str, suffix: str) -> None:
    content = npy(HEADERS[name], bytes(12))
    path = tmp_path / f"x{suffix}"
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError):
        read_inputs(path, VALUES)


def test_what_does_not_fit_is_not_read(tmp_path: Path) -> None:
    """A member of another name or shape, however large it unpacks, costs no more than its header."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3)}", bytes(12)))
        archive.writestr("y.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999,)}"))
    with pytest.raises(InputError, match="the model has no input 'y'"):
        read_inputs(path, VALUES)


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.npz"
    data = io.BytesIO()
    np.save(data, np.ones((1, 3), np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", data.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", data.getvalue())
    with pytest.raises(InputError, match="it has 'x' twice"):
        read_inputs(path, VALUES)


def test_memory_has_a_limit(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1000, 3), np.float32))
    with (
        limited(size_of("4K")),
        pytest.raises(InputError, match=r"needs 11\.7 KiB of memory, more than the 4 KiB"),
    ):
        read_inputs(tmp_path / "x.npy", VALUES)
    assert size_of("1.5G") == 3 * 2**29
    for text in ("", "-1", "0", "nan", "1e400", "much"):
        with pytest.raises(UsageError, match="memory is a size"):
            size_of(text)


# What a process that is gone has left, and how one ends.


def test_what_was_left_half_written_is_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, other, own = f".out.{gone.pid}-01234567", ".out.notes", f".out.{os.getpid()}-01234567"
    for name in (left, other, own):
        (tmp_path / name).mkdir()
    sweep(tmp_path, "out")
    assert {path.name for path in tmp_path.iterdir()} == {other, own}


ENDLESS = """
import signal, sys, time
from onnxdtd.__main__ import main
assert signal.getsignal(signal.SIGTERM).__module__ == "onnxdtd.__main__"  # while it is imported
from onnxdtd import folder
from onnxdtd.cli import run_job
def wait(*_, **__):
    def fill(path):
        print("ready", flush=True)
        exec("time.sleep(60)")  # within which Python notes an interruption for its own end
    folder.write_folder("out", "onnxdtd.explanation/1", fill)
run_job.explain = wait
sys.exit(main(["run", "m.onnx", "x.npy"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_ends_a_command_tidily(tmp_path: Path, number: int, code: int, word: str) -> None:
    code_folder, folder = tmp_path / "code", tmp_path / "here"
    for place in (code_folder, folder):
        place.mkdir()
    (code_folder / "endless.py").write_text(ENDLESS)
    process = subprocess.Popen(
        [sys.executable, "-m", "endless"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(code_folder), str(ROOT)])},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, f"onnxdtd: {word}\n")
    assert list(folder.iterdir()) == []


def test_faults_of_the_system_are_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [
        (MemoryError(), "not enough memory"),
        (RecursionError(), "nested too deep"),
        (OSError(28, "No space left on device", "a.npz"), "'a.npz': No space left on device"),
    ]
    from onnxdtd.cli import run_job

    for error, words in faults:

        def fails(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(run_job, "explain", fails)
        code, out, err = cli("run", "m.onnx", "x.npy")
        assert (code, out) == (2, "")
        assert err.startswith("onnxdtd: ")
        assert words in err
        assert err.count("\n") == 1


def test_time_has_a_limit(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxdtd.cli import run_job

    monkeypatch.setattr(run_job, "explain", lambda *_, **__: time.sleep(60))
    code, _, err = cli("run", "m.onnx", "x.npy", "--timeout", "0.05")
    assert code == TimeLimitError.exit_code == 2
    assert err == "onnxdtd: not done after 0.05 s, the limit of time; give more with --timeout\n"
    assert cli("run", "m.onnx", "x.npy", "--timeout", "-1")[0] == 2


class Lost:
    """What is raised while it is forgotten is lost."""

    def __del__(self) -> None:
        time.sleep(30)


def test_time_is_over_where_python_loses_the_first_word(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And what tidies up is not interrupted by the next."""
    from onnxdtd.cli import run_job

    def explain(*_: object, **__: object) -> None:
        lost = Lost()
        try:
            del lost
            time.sleep(30)
        finally:
            time.sleep(1.5)
            (tmp_path / "tidy").touch()

    monkeypatch.setattr(run_job, "explain", explain)
    code, _, err = cli("run", "m.onnx", "x.npy", "--timeout", "0.05")
    assert (code, err.count("\n"), (tmp_path / "tidy").exists()) == (2, 1, True)


def test_json_of_our_own_is_read_with_any_depth(tmp_path: Path) -> None:
    (tmp_path / "explanation.json").write_text(
        json.dumps({"schema": "onnxdtd.explanation/1"})[:-1] + ',"a":' + "[" * 90000
    )
    with pytest.raises(InputError, match="cannot be read"):
        Explanation.load(tmp_path)
    check_folder(tmp_path / "new", "onnxdtd.explanation/1")
