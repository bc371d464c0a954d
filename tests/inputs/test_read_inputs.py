from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from PIL import Image

from onnxdtd.errors import InputError
from onnxdtd.inputs import Preprocess, read_inputs
from onnxdtd.model.graph import Value

IMAGE = {"x": Value("x", TensorProto.FLOAT, ("N", 3, 4, 5))}
TABLE = {"x": Value("x", TensorProto.FLOAT, ("N", 2))}
TWO = {**TABLE, "ids": Value("ids", TensorProto.INT64, (None, "T"))}
X = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)


def message(call: Any, *args: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


def test_reads_npy_npz_and_tensor_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.NPY", X)
    Path(tmp_path / "x.NPY.npy").rename(tmp_path / "x.NPY")
    np.savez(tmp_path / "one.npz", x=X)
    np.savez_compressed(tmp_path / "two.npz", ids=np.array([[1]], np.int16), x=X)
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(X, "any name").SerializeToString())
    for name in ("x.NPY", "one.npz", "x.pb"):
        np.testing.assert_array_equal(read_inputs(tmp_path / name, TABLE)["x"], X)
    both = read_inputs(str(tmp_path / "two.npz"), TWO)
    assert (both["ids"].dtype, both["ids"].tolist()) == (np.int64, [[1]])


def test_one_array_for_many_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    assert message(read_inputs, tmp_path / "x.npy", TWO) == (
        f"'{tmp_path}/x.npy' holds one array, but the model takes 2 inputs, 'x' float32 (N, 2), "
        "'ids' int64 (?, T); put them into one .npz by name: np.savez('inputs.npz', **{'x': ..., 'ids': ...})"
    )


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2]))


def object_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)


def object_npz(path: Path) -> None:
    np.savez(path, x=np.array([{}], dtype=object))


def external(path: Path) -> None:
    tensor = onnx.TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    path.write_bytes(tensor.SerializeToString())


PICKLE = "holds Python objects (pickle), which can run code: save it with np.save of a numeric array"
FILES: list[tuple[str, Any, str]] = [
    (
        "x.txt",
        None,
        ": the suffix '.txt' is not one of .npy .npz .csv .parquet .tar .pb "
        ".png .jpg .jpeg .webp .bmp .tif .tiff .gif",
    ),
    (
        "x",
        None,
        ": the suffix '' is not one of .npy .npz .csv .parquet .tar .pb "
        ".png .jpg .jpeg .webp .bmp .tif .tiff .gif",
    ),
    ("x.npy", None, " is not there"),
    ("x.npy", Path.mkdir, " is not a file"),
    ("x.npy", Path.touch, " is empty: write it anew"),
    ("x.npy", lambda p: p.write_text("1, 2"), " is not a whole .npy file: it is of another format"),
    (
        "x.npy",
        lambda p: p.write_bytes(b"\x93NUMPY\x01"),
        " is not a whole .npy file: EOF: reading magic string",
    ),
    (
        "x.npz",
        lambda p: p.write_bytes(b"PK\x03\x04rest"),
        " is not a whole .npz file: File is not a zip file",
    ),
    ("x.npy", pickled, f" {PICKLE}"),
    ("x.npy", object_npy, f" {PICKLE}"),
    ("x.npz", object_npz, f" {PICKLE}"),
    ("x.pb", lambda p: p.write_bytes(b"\xff" * 9), " is not a TensorProto: "),
    ("x.pb", lambda p: p.write_bytes(b"\x0a\x00"), " is not a TensorProto: no element type"),
    ("x.pb", external, " keeps its data in another file: write it as .npy"),
    (
        "x.png",
        lambda p: p.write_bytes(b"x"),
        " is an image, and nothing says how the model wants its pictures: --preset imagenet",
    ),
]


@pytest.mark.parametrize(("name", "make", "fault"), FILES)
def test_each_bad_file_gives_one_line(tmp_path: Path, name: str, make: Any, fault: str) -> None:
    path = tmp_path / name
    if make:
        make(path)
    text = message(read_inputs, path, TABLE)
    assert text.startswith(f"'{path}'{fault}")
    assert len(text.splitlines()) == 1


def test_damaged_files_never_crash(tmp_path: Path, rng: np.random.Generator) -> None:
    np.savez(tmp_path / "x.npz", x=X)
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(X).SerializeToString())
    messages = []
    for path in list(tmp_path.iterdir()):
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(300):
            damaged = whole.copy()
            damaged[rng.integers(whole.size, size=2)] = rng.integers(256, size=2)
            path.write_bytes(damaged.tobytes()[: rng.integers(1, whole.size + 1)])
            try:
                assert read_inputs(path, TABLE)["x"].shape == (2, 2)
            except InputError as error:
                messages.append(str(error))
    lines = [line for text in messages for line in text.splitlines()]
    assert len(messages) > 500
    assert [
        line for line in lines if not line.startswith((f"'{tmp_path}", "input 'x' ", "the model has no"))
    ] == []


def test_an_image_goes_through_its_preprocessing(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    read = read_inputs(tmp_path / "x.png", IMAGE, Preprocess(scale=0.5))
    np.testing.assert_array_equal(read["x"], pixels.transpose(2, 0, 1)[None] * np.float32(0.5))
    assert message(read_inputs, tmp_path / "x.png", IMAGE, Preprocess(layout="NHWC")) == (
        f"'{tmp_path}/x.png': the model takes pictures as NCHW, they are prepared as NHWC: --layout NCHW"
    )
