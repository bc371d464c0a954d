from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd.errors import InputError, UsageError
from onnxdtd.folder import write_folder
from onnxdtd.npz import describe, read_arrays, write_arrays

SCHEMA = "test/1"


def save(folder: Path | str, text: str, **options: Any) -> Path:
    def fill(unfinished: Path) -> Mapping[str, Any]:
        (unfinished / "data.txt").write_text(text)
        return {"text": text}

    return write_folder(folder, SCHEMA, fill, **options)


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_manifest_lists_its_files(tmp_path: Path) -> None:
    folder = save(tmp_path / "a" / "b" / "out", "one")
    assert folder == tmp_path / "a" / "b" / "out"
    document = json.loads((folder / "explanation.json").read_text())
    assert document == {"schema": SCHEMA, "text": "one", "files": ["data.txt", "explanation.json"]}


def test_an_earlier_result_is_replaced_unless_told_not_to(tmp_path: Path) -> None:
    folder = save(tmp_path / "out", "one")
    with pytest.raises(UsageError) as caught:
        save(folder, "two", overwrite=False)
    assert str(caught.value) == (
        f"'{folder}' holds an earlier result: choose another folder, or allow overwriting"
    )
    assert (folder / "data.txt").read_text() == "one"
    save(folder, "two")
    assert (folder / "data.txt").read_text() == "two"
    assert entries(tmp_path) == {"out"}


def test_a_result_of_another_version_is_replaced_too(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", "test/0", lambda folder: (folder / "old").touch() or {})
    save(tmp_path / "out", "new")
    assert entries(tmp_path / "out") == {"data.txt", "explanation.json"}


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    save(tmp_path / "out", "one", overwrite=False)
    assert entries(tmp_path / "out") == {"data.txt", "explanation.json"}


@pytest.mark.parametrize("earlier", [False, True])
def test_a_folder_of_others_is_not_touched(tmp_path: Path, earlier: bool) -> None:
    folder = tmp_path / "out"
    if earlier:
        save(folder, "one")
    folder.mkdir(exist_ok=True)
    (folder / "thesis.tex").write_text("years of work")
    before = entries(folder)
    with pytest.raises(UsageError) as caught:
        save(folder, "two")
    assert str(caught.value) == (
        f"'{folder}' holds 'thesis.tex', not written by onnxdtd: choose another folder"
    )
    assert (entries(folder), entries(tmp_path)) == (before, {"out"})


@pytest.mark.parametrize(
    "manifest",
    [
        '{"schema": "other/1", "files": ["explanation.json"]}',
        '{"schema": "test/1", "files": [1, null]}',
        "[]",
        "{",
        "{}",
    ],
)
def test_a_manifest_of_others_does_not_make_a_folder_ours(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "explanation.json").write_text(manifest)
    with pytest.raises(UsageError, match=r"holds 'explanation\.json', not written by onnxdtd"):
        save(tmp_path, "one")
    for name in "abcd":
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="holds 'a', 'b', 'c' and 2 more, not written by onnxdtd"):
        save(tmp_path, "one")


def test_a_listed_name_that_became_a_folder_is_a_stranger(tmp_path: Path) -> None:
    folder = save(tmp_path / "out", "one")
    (folder / "data.txt").unlink()
    (folder / "data.txt").mkdir()
    with pytest.raises(UsageError, match=r"holds 'data\.txt', not written by onnxdtd"):
        save(folder, "two")


def test_places_that_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file' is a file: name a folder$"):
        save(tmp_path / "file", "one")
    with pytest.raises(UsageError, match=r"file/out' cannot be written: Not a directory$"):
        save(tmp_path / "file" / "out", "one")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match=r"is the working folder or a mount: name a new folder inside it$"):
        save(".", "one")
    assert entries(tmp_path) == {"file", "here"}


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (RuntimeError("a bug"), RuntimeError),
        (OSError(28, "No space left on device"), UsageError),
    ],
)
def test_a_writer_that_fails_midway_leaves_nothing(
    tmp_path: Path, earlier: bool, failure: BaseException, seen: type[BaseException]
) -> None:
    folder = tmp_path / "deep" / "out"
    if earlier:
        save(folder, "one")
    before = sorted(tmp_path.rglob("*"))

    def fill(unfinished: Path) -> Mapping[str, Any]:
        (unfinished / "half").write_text("written")
        assert (unfinished / "half") in tmp_path.rglob("*")
        raise failure

    with pytest.raises(seen) as caught:
        write_folder(folder, SCHEMA, fill)
    if seen is UsageError:
        assert str(caught.value) == f"'{folder}' cannot be written: No space left on device"
    assert sorted(tmp_path.rglob("*")) == before
    assert not earlier or (folder / "data.txt").read_text() == "one"


def test_a_failing_rename_brings_the_earlier_result_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "out", "one")
    rename, targets = Path.rename, []

    def second_fails(self: Path, target: Path) -> Path:
        targets.append(target)
        if len(targets) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(UsageError, match="cannot be written: Input/output error"):
        save(folder, "two")
    assert targets[1:] == [folder, folder]
    assert (folder / "data.txt").read_text() == "one"
    assert entries(tmp_path) == {"out"}


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_folder_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert save(tmp_path / "out", "one").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    "array",
    [
        np.float32(3.5),
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 3), dtype=np.float16),
        np.array([True, False]),
    ],
)
def test_any_numeric_array_survives_under_any_name(tmp_path: Path, array: Any) -> None:
    arrays = {name: np.asarray(array) for name in ("file", "a/b:0", "../x", "x.npy", "ünï")}
    path = tmp_path / "arrays.npz"
    write_arrays(path, arrays)
    read = read_arrays(path, {name: describe(a) for name, a in arrays.items()})
    assert list(read) == list(arrays)
    for name, a in arrays.items():
        assert read[name].dtype == a.dtype
        np.testing.assert_array_equal(read[name], a)
    assert entries(tmp_path) == {"arrays.npz"}


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_arrays(tmp_path / name, {"x": np.arange(5.0)})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_every_byte_matters(tmp_path: Path) -> None:
    """A flipped byte is noticed or harmless: never a crash, never another array."""
    arrays, path = {"x": np.arange(6, dtype=np.float32)}, tmp_path / "arrays.npz"
    write_arrays(path, arrays)
    described = {"x": describe(arrays["x"])}
    whole, noticed = path.read_bytes(), 0
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :])
        try:
            np.testing.assert_array_equal(read_arrays(path, described)["x"], arrays["x"])
        except InputError:
            noticed += 1
    assert noticed > len(whole) / 2


def test_pickle_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"arrays\.npz' is damaged: Object arrays cannot be loaded"):
        read_arrays(tmp_path / "arrays.npz", {"x": {"dtype": "object", "shape": [1], "sha256": ""}})
