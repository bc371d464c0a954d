from __future__ import annotations

import os

import numpy as np
import onnx
import pytest

from onnxdtd.errors import ModelError, UsageError
from onnxdtd.model.load import load
from tests.support.model_text import graph, model, refuses

W = np.arange(6, dtype=np.float32).reshape(3, 2)
LONG = np.tile(W, 300)
BIG = np.random.default_rng(0).standard_normal((3, 600)).astype(np.float32)
DENSE = "(float[N, 3] x) => (float[N, 2] y) { y = MatMul(x, w) }"


# Files that are no models.


def test_missing_file(tmp_path):
    refuses(tmp_path / "model.onnx", "model.onnx", "no such file")


def test_directory(tmp_path):
    refuses(tmp_path, "is a directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refuses(tmp_path / "pipe", "not a model file")


def test_odd_names():
    refuses("a\0b", "cannot be opened")
    with pytest.raises(UsageError, match="not int"):
        load(3)


CONTENTS = {
    "the file is empty": b"",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "not an ONNX model": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "ONNX model": b"hello, this is a text file\n" * 20,
    "not an ONNX": b"\x80\x04\x95" + bytes(50),
    "no graph": onnx.ModelProto(ir_version=8).SerializeToString(),
}


@pytest.mark.parametrize("words", CONTENTS)
def test_no_model(tmp_path, words):
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENTS[words])
    refuses(path, words, "model.onnx")
    refuses(CONTENTS[words], words)


@pytest.mark.parametrize("weight", [W, BIG], ids=["small", "large"])
def test_every_truncation_is_refused(weight):
    data = model("(float[N, 3] x) => (float[N, M] y) { y = MatMul(x, w) }", w=weight).SerializeToString()
    for end in {*range(0, len(data), max(1, len(data) // 400)), *range(len(data) - 40, len(data))}:
        refuses(data[:end])
    assert "truncated" in refuses(data[:-40])


def test_damaged_bytes_load_or_are_refused():
    data = model("(float[N, 3] x) => (float[N, M] y) { h = MatMul(x, w) y = Relu(h) }", w=BIG[:, :300])
    data = data.SerializeToString()
    rng = np.random.default_rng(0)
    structure = [i for i in range(len(data)) if i < 200 or i > len(data) - 150]
    refused = kept = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for place in rng.choice(structure, rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        try:
            load(bytes(damaged))
        except ModelError as error:
            refused += "\n" not in str(error)
            continue
        kept += 1
    assert refused > 500
    assert refused + kept == 1500


# Models that are wrong.


def broken(edit, text=DENSE, **constants):
    proto = model(text, **(constants or {"w": W}))
    edit(proto)
    return proto


WRONG = {
    "topologically sorted": model("(float[2] x) => (float[2] y) { y = Add(x, z) z = Relu(y) }"),
    "'e' Einsum: '...i...->i' is no equation": model(
        '(float[2, 3] x) => (float[2] e) { e = Einsum<equation = "...i...->i">(x) }'
    ),
    "for 1 inputs": model('(float[2, 3] x) => (float[2] e) { e = Einsum<equation = "ij,j->i">(x) }'),
    "No Op registered for Foo": model("(float[2] x) => (float[2] y) { y = Foo(x) }"),
    "inconsistent type": model("(float[2] x, int64[2] i) => (float[2] y) { y = Add(x, i) }"),
    "unsupported type": model("(float[2] x, bool[2] i) => (bool[2] y) { y = Relu(i) z = Relu(x) }"),
    "single static assignment": model("(float[2] x) => (float[2] y) { y = Relu(x) y = Neg(x) }"),
    "not an output of any node": model("(float[2] x) => (float[2] q) { y = Relu(x) }"),
    "no nodes": model("(float[2] x) => (float[2] x) { }"),
    "no outputs": broken(lambda m: m.graph.ClearField("output")),
    "two outputs of one name": broken(lambda m: m.graph.output.append(m.graph.output[0])),
    "no inputs": model("() => (float[2] y) { y = Relu(w) }", w=np.ones(2, np.float32)),
    "opset 99": broken(lambda m: setattr(m.opset_import[0], "version", 99)),
    "two versions": broken(lambda m: m.opset_import.add(domain="ai.onnx", version=9)),
    "opset_import": broken(lambda m: m.ClearField("opset_import")),
    "ir_version 99": broken(lambda m: setattr(m, "ir_version", 99)),
    "two initializers have one name, 'w'": broken(
        lambda m: m.graph.initializer.append(m.graph.initializer[0])
    ),
    "bytes of data": broken(lambda m: m.graph.initializer[0].dims.append(2), w=LONG),
    "tensor 'w'": broken(lambda m: m.graph.initializer[0].dims.append(2)),
    "cannot have raw data": broken(lambda m: m.graph.initializer[0].dims.append(-2), w=LONG),
    "unknown element type": broken(lambda m: setattr(m.graph.initializer[0], "data_type", 99), w=LONG),
}


@pytest.mark.parametrize("words", WRONG)
def test_invalid_models(words):
    refuses(WRONG[words], words)


def test_the_runtimes_own_format_is_told_apart(tmp_path):
    path = tmp_path / "model.ort"
    path.write_bytes(b"\x30\0\0\0ORTM" + bytes(64))
    refuses(path, "onnxruntime's own format (.ort)", "take the .onnx file")


def test_a_wrong_shape_does_not_stop_the_loading():
    net = graph("(float[2] x, float[3] z) => (float[n] y) { h = Add(x, z) y = Relu(h) }")
    assert net.value("h").shape is None
