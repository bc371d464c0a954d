from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from onnxdtd.model.load import load
from tests.support.model_text import model, refuses, run

W = np.arange(6, dtype=np.float32).reshape(3, 2)
BIG = np.random.default_rng(0).standard_normal((3, 600)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A folder with a model whose weight w lies in weights.bin, and a secret beside the folder."""
    (tmp_path / "secret.bin").write_bytes(BIG.tobytes())
    home = tmp_path / "home"
    home.mkdir()
    (home / "weights.bin").write_bytes(b"head" + BIG.tobytes() + b"tail")
    return home


def external(folder: Path, location="weights.bin", weight=BIG, **entries):
    proto = model("(float[N, 3] x) => (float[N, M] y) { y = MatMul(x, w) }", w=weight)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 4, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_external_data(folder):
    np.testing.assert_array_equal(load(external(folder)).constants["w"], BIG)
    np.testing.assert_array_equal(load(external(folder, length=BIG.nbytes)).constants["w"], BIG)
    (folder / "sub").mkdir()
    (folder / "weights.bin").rename(folder / "sub" / "weights.bin")
    np.testing.assert_array_equal(load(external(folder, "sub/weights.bin")).constants["w"], BIG)
    small = load(external(folder, "sub/weights.bin", W)).constants["w"]
    np.testing.assert_array_equal(small.ravel(), BIG[0, :6])


def test_a_symbolic_link_inside_the_folder(folder):
    (folder / "link.bin").symlink_to("weights.bin")
    np.testing.assert_array_equal(load(external(folder, "link.bin")).constants["w"], BIG)


OUTSIDE = ["../secret.bin", "sub/../../secret.bin", "/etc/passwd"]
OUTSIDE += ["C:\\secret.bin", "..\\secret.bin", "\\\\host\\x"]


def only_opens(model, monkeypatch):
    system_open = os.open

    def opens(path, *flags):
        if os.fspath(path) != os.fspath(model):
            pytest.fail("opened a path that leaves the folder")
        return system_open(path, *flags)

    monkeypatch.setattr(os, "open", opens)


@pytest.mark.parametrize("location", [*OUTSIDE, "", "a\0b"])
def test_paths_out_of_the_folder_are_not_opened(folder, location, monkeypatch):
    path = external(folder, location, offset=0)
    only_opens(path, monkeypatch)
    refuses(path, "tensor 'w'")


@pytest.mark.parametrize("way", ["file", "folder"])
def test_symbolic_links_out_of_the_folder_are_not_opened(folder, way, monkeypatch):
    if way == "file":
        (folder / "link").symlink_to(folder.parent / "secret.bin")
    else:
        (folder / "link").symlink_to(folder.parent)
    path = external(folder, "link" if way == "file" else "link/secret.bin", offset=0)
    only_opens(path, monkeypatch)
    refuses(path, "symbolic link")


def test_hard_links_are_refused(folder):
    os.link(folder.parent / "secret.bin", folder / "link.bin")
    refuses(external(folder, "link.bin", offset=0), "hard link")


BAD_ENTRIES = [
    ({"offset": 12}, "the tensor ends at byte"),
    ({"offset": -1}, "offset -1"),
    ({"offset": "x"}, "invalid literal"),
    ({"length": 10}, "length 10"),
    ({"location": "none.bin"}, "No such file"),
    ({"location": "."}, "not a regular file"),
]


@pytest.mark.parametrize(("entries", "words"), BAD_ENTRIES)
def test_external_data_that_do_not_fit(folder, entries, words):
    refuses(external(folder, **entries), "tensor 'w'", words)


def test_a_huge_announcement_allocates_nothing(folder):
    path = external(folder)
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].dims[:] = [1 << 30, 1 << 10]
    path.write_bytes(proto.SerializeToString())
    tracemalloc.start()
    refuses(path, "the tensor ends at byte")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


def test_external_data_of_a_model_in_memory(folder):
    refuses(external(folder).read_bytes(), "load it by its path")


def test_external_data_of_a_constant_node(folder):
    def save(location):
        body = "{ c = Constant<value = float[3] {1, 2, 3}>() y = Add(x, c) }"
        proto = model("(float[3] x) => (float[3] y)" + body)
        tensor = proto.graph.node[0].attribute[0].t
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="offset", value="4")
        (folder / "model.onnx").write_bytes(proto.SerializeToString())
        return folder / "model.onnx"

    x = np.zeros(3, np.float32)
    np.testing.assert_array_equal(run(load(save("weights.bin")), {"x": x})[0], BIG[0, :3])
    refuses(save("../secret.bin"), "own folder")
