"""WebDataset archives: samples by name, read row by row, and what is refused of them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

import onnxdtd
from onnxdtd.inputs import Preprocess, Row, open_data
from onnxdtd.inputs import archive as archives
from onnxdtd.memory import limited
from onnxdtd.model.graph import Value

FLAT = {"x": Value("x", TensorProto.FLOAT, (None, 2))}


def packed(path: Path, *members: tuple[str | tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def npy(*numbers: float, dtype: str = "float32") -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(numbers, dtype))
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def rows(path: Path, values: dict[str, Value] = FLAT, preprocess: Preprocess | None = None) -> list[Row]:
    return list(open_data(path, values, preprocess=preprocess))


def test_members_of_one_name_are_a_sample(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.tar",
        ("b/0001.npy", npy(1, 2)), ("b/0001.cls", b"7\n"),
        ("./c.d/2.json", json.dumps({"label": 3}).encode()), ("./c.d/2.npy", npy(3, 4)), ("b/._0001.npy", b"mac"),
        ("4.npy", npy(5, 6)), ("4.cls", b"1"), ("4.txt", b"a caption"), ("only.txt", b"no input"),
    )  # fmt: skip
    data = open_data(path, FLAT)
    assert ([*data.ids()], data.count) == (["b/0001", "c.d/2", "4"], 3)
    assert data.labels is not None
    assert data.labels.tolist() == [7, 3, 1]
    read = [row for _, reader in data.reads(1) for row in [reader()]]
    assert [row.inputs["x"].tolist() for row in read] == [[[3, 4]], [[5, 6]]]
    assert [
        row.label for row in rows(packed(tmp_path / "b.tar", ("1.npy", npy(1, 2)), ("1.cls", b"cat")))
    ] == ["cat"]


def test_pictures_and_several_inputs(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    picture = {"image": Value("image", TensorProto.FLOAT, (1, 3, 4, 4))}
    unit = Preprocess(scale=1 / 255)
    path = packed(tmp_path / "a.tar", ("one.PNG", png(pixels)))
    (row,) = rows(path, picture, unit)
    np.testing.assert_allclose(row.inputs["image"][0], np.moveaxis(pixels, -1, 0) / 255, rtol=1e-6)
    assert row.picture is not None
    np.testing.assert_array_equal(row.picture(), pixels)
    with pytest.raises(onnxdtd.InputError, match="'one' is an image, and nothing says how"):
        rows(path, picture)
    both = picture | {"age": Value("age", TensorProto.FLOAT, (None, 1))}
    (row,) = rows(
        packed(tmp_path / "b.tar", ("k.image.png", png(pixels)), ("k.age.npy", npy(40))), both, unit
    )
    assert (row.inputs["image"].shape, row.inputs["age"].tolist()) == ((1, 3, 4, 4), [[40]])
    path = packed(tmp_path / "c.tar", ("k.image.png", png(pixels)))
    with pytest.raises(onnxdtd.InputError, match=r"it holds \.image\.png; the model takes .*'k\.age\.npy'"):
        rows(path, both, unit)


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo("evil.npy")
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ([(special(tarfile.SYMTYPE, "/etc/passwd"), b"")], "'evil.npy' is a link"),
        ([(special(tarfile.LNKTYPE, "1.npy"), b"")], "'evil.npy' is a link"),
        ([(special(tarfile.CHRTYPE), b"")], "a device"),
        ([("1.npy", npy(1, 2))], "holds '1.npy' twice"),
    ],
)
def test_hostile_members_are_refused(
    tmp_path: Path, members: list[tuple[str | tarfile.TarInfo, bytes]], word: str
) -> None:
    path = packed(tmp_path / "a.tar", ("1.npy", npy(1, 2)), *members)
    with pytest.raises(onnxdtd.InputError, match=word):
        open_data(path, FLAT)


def test_damaged_and_huge_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.tar", ("1.npy", npy(*range(400))), ("2.npy", npy(1, 2)))
    for content, word in (
        (path.read_bytes()[:1000], "is not a whole .tar file"),
        (b"no archive" * 200, "is not a whole .tar file"),
        (packed(tmp_path / "b.tar", ("a.txt", b"")).read_bytes(), "holds no samples"),
    ):
        (tmp_path / "bad.tar").write_bytes(content)
        with pytest.raises(onnxdtd.InputError, match=word):
            open_data(tmp_path / "bad.tar", FLAT)
    faults: list[str] = []
    with limited(1000):
        read = list(open_data(path, FLAT).each(lambda name, error: faults.append(str(error))))
    assert ([row.inputs["x"].tolist() for row in read], len(faults)) == ([[[1, 2]]], 1)
    assert "its .npy needs 1.69 KiB of memory, more than the 1e+03 B" in faults[0]
    long = packed(tmp_path / "long.tar", ("n" * 9000 + ".npy", npy(1, 2)))
    monkeypatch.setattr(archives, "HEADER", 4096)
    with pytest.raises(onnxdtd.InputError, match="one of its headers has"):
        open_data(long, FLAT)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}]), allow_pickle=True)
    for content in (file.getvalue(), b"\x80\x04N."):
        path = packed(tmp_path / "a.tar", ("1.npy", content))
        with pytest.raises(onnxdtd.InputError, match="Object arrays cannot be loaded"):
            rows(path)
