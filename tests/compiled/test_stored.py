"""The cache on disk: by default the user's own folder, bounded, and nothing in it that others could have made."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxdtd.compiled import sessions, stored
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from tests.support.paths import MODELS

MNIST = MODELS / "mnist_cnn.onnx"
DIGIT = np.random.default_rng(3).random((1, 1, 28, 28), np.float32)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows by one with each walk that is compiled."""
    calls, compile_plan = [], sessions.compile_plan
    monkeypatch.setattr(
        sessions, "compile_plan", lambda plan, *how: calls.append(plan) or compile_plan(plan, *how)
    )
    return calls


def relevance(**options: Any) -> np.ndarray:
    sessions._in_use.clear()
    sessions._latest.clear()
    return Explainer(MNIST, "dtd", "onnx", **options)(DIGIT).relevance["image"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ONNXDTD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")


@posix
def test_by_default_it_is_the_users_own_folder(home: Path, made: list[Any]) -> None:
    first = relevance()
    np.testing.assert_array_equal(relevance(), first)
    assert len(made) == 1
    assert stored.default_folder() == home / "onnxdtd"
    (file,) = (home / "onnxdtd").iterdir()
    assert (home / "onnxdtd").stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    # The model's own weights are not in it.
    kept = onnx.ModelProto.FromString(file.read_bytes()[32:]).graph.initializer
    assert not {tensor.name for tensor in kept} & {*Explainer(MNIST).graph.constants}
    np.testing.assert_array_equal(relevance(cache_dir=False), first)
    assert len(made) == 2


def test_nowhere_if_the_environment_says_so(
    home: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXDTD_CACHE", "")
    relevance()
    relevance(cache_dir=False)
    assert len(made) == 2
    assert not home.exists()


def test_a_home_that_cannot_be_written_to_is_no_fault(home: Path, made: list[Any]) -> None:
    home.write_text("a file where the folder would be")
    np.testing.assert_array_equal(relevance(), relevance())
    assert len(made) == 2


def poisoned(data: bytes, name: str, twice: bool = True) -> bytes:
    """Another walk under the right sum, as only the user could write it."""
    model = onnx.ModelProto.FromString(data[32:])
    if twice:
        for tensor in model.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))
    content = model.SerializeToString()
    return hashlib.sha256(name.encode() + b"\0" + content).digest() + content


@posix
def test_what_others_could_have_made_is_made_anew(tmp_path: Path, made: list[Any]) -> None:
    folder = tmp_path / "cache"
    right = relevance(cache_dir=folder)
    (file,) = folder.iterdir()
    whole, bad = file.read_bytes(), poisoned(file.read_bytes(), file.stem)

    def linked() -> None:
        (tmp_path / "elsewhere").write_bytes(bad)
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")

    def hard() -> None:
        (tmp_path / "other").write_bytes(bad)
        file.unlink()
        os.link(tmp_path / "other", file)

    def writable() -> None:
        file.write_bytes(bad)
        file.chmod(0o666)

    def of_another_walk() -> None:
        file.write_bytes(poisoned(whole, "another"))

    def pipe() -> None:
        file.unlink()
        os.mkfifo(file)

    for number, change in enumerate((linked, hard, writable, of_another_walk, pipe), 2):
        change()
        np.testing.assert_array_equal(relevance(cache_dir=folder), right)
        assert len(made) == number, change.__name__
        assert file.read_bytes() == whole
        assert not file.is_symlink()
        assert file.stat().st_nlink == 1


@posix
def test_a_folder_that_others_write_into_is_not_used(tmp_path: Path, home: Path, made: list[Any]) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="others may write to it"):
        relevance(cache_dir=folder)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="it is no directory"):
        relevance(cache_dir=tmp_path / "link")
    (home / "onnxdtd").mkdir(parents=True)
    (home / "onnxdtd").chmod(0o777)
    relevance()
    assert list((home / "onnxdtd").iterdir()) == []


@posix
def test_another_users_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        stored.check_own(os.stat(tmp_path / "file"))


def facts(model: onnx.ModelProto, **changed: Any) -> None:
    (entry,) = model.metadata_props
    helper.set_model_props(model, {stored.FACTS: json.dumps({**json.loads(entry.value), **changed})})


def outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add(name="more", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def nested(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {stored.FACTS: "[" * 100_000})


ODD = {
    "weights elsewhere": outside,
    "no node": lambda m: m.graph.ClearField("node"),
    "no weights of the model": lambda m: facts(m, given=["none"]),
    "none at all": lambda m: facts(m, given=None),
    "another explained value": lambda m: facts(m, logits="none"),
    "no shape": lambda m: facts(m, shape=7),
    "relevance that is a list": lambda m: facts(m, relevance=[1]),
    "kinds of constants without sums": lambda m: facts(m, kinds=["bias", "another"]),
    "facts nested too deep": nested,
    "an operator that nobody knows": lambda m: setattr(m.graph.node[0], "op_type", "Nothing"),
}


@pytest.mark.parametrize("name", ODD)
def test_whatever_is_odd_is_made_anew(name: str, tmp_path: Path, made: list[Any]) -> None:
    folder = tmp_path / "cache"
    right = relevance(cache_dir=folder)
    (file,) = folder.iterdir()
    model = onnx.ModelProto.FromString(file.read_bytes()[32:])
    ODD[name](model)
    content = model.SerializeToString()
    file.write_bytes(hashlib.sha256(file.stem.encode() + b"\0" + content).digest() + content)
    np.testing.assert_array_equal(relevance(cache_dir=folder), right)
    assert len(made) == 2


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        file = tmp_path / f"{i}{stored.SUFFIX}"
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 + i, 1e9 + i))
    (tmp_path / "a note of someone's").write_text("stays")
    (tmp_path / ".unfinished").write_text("")
    os.utime(tmp_path / ".unfinished", (1e9, 1e9))
    monkeypatch.setattr(stored, "MOST", 250)
    stored._make_room(tmp_path)
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {f"2{stored.SUFFIX}", f"3{stored.SUFFIX}", "a note of someone's"}


def test_auto_takes_at_once_what_lies_there(tmp_path: Path, made: list[Any]) -> None:
    def engine(**options: Any) -> str:
        sessions._in_use.clear()
        sessions._latest.clear()
        return Explainer(MNIST, "dtd", "auto", cache_dir=tmp_path, **options)(DIGIT).engine

    assert engine() == "numpy"
    assert not made
    relevance(cache_dir=tmp_path)
    assert engine() == "onnx"
    assert len(made) == 1
    assert engine(input_range=(0, 9)) == "numpy"  # another plan of the same model
    e = Explainer(MNIST, "dtd", "auto", cache_dir=tmp_path)(DIGIT)
    assert "engine onnx taken by auto: this walk is compiled already" in e.notes
    np.testing.assert_allclose(
        e.relevance["image"], Explainer(MNIST, "dtd")(DIGIT).relevance["image"], rtol=1e-4, atol=1e-6
    )


def test_weights_are_looked_at_only_where_a_walk_of_the_model_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions._in_use.clear()
    sessions._latest.clear()
    summed: list[Any] = []
    monkeypatch.setattr(sessions, "digest", lambda plan: summed.append(plan) or "")
    assert Explainer(MNIST, "dtd", "auto", cache_dir=tmp_path)(DIGIT).engine == "numpy"
    assert Explainer(MNIST, "dtd", "auto", cache_dir=tmp_path / "missing")(DIGIT).engine == "numpy"
    assert not summed
