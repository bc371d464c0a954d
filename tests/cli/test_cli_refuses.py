"""What the command line refuses: each mistake its one clear line, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.support.command_line import DIGIT, DIGIT_MODEL, PHOTO, PHOTO_MODEL, Cli, array
from tests.support.model_text import model


def refused(cli: Cli, code: int, words: list[str], *arguments: Any, lines: int = 1) -> str:
    """stderr of a run that must fail with this code, in so many lines that hold these words, and leave nothing."""
    before = sorted(Path.cwd().rglob("*"))
    returned, out, err = cli("run", *arguments)
    assert (returned, out) == (code, "")
    assert [line[:9] for line in err.splitlines()] == ["onnxdtd: "] * lines
    assert [word for word in words if word not in err] == []
    assert sorted(Path.cwd().rglob("*")) == before
    return err


def digit() -> Any:
    return np.load(DIGIT)


def spoilt() -> Any:
    x = digit()
    x[0, 0, 3, 4], x[0, 0, 5, 5] = np.nan, np.inf
    return x


INPUTS: list[tuple[str, Callable[[Path], object], list[str]]] = [
    ("shape.npy", lambda p: np.save(p, digit()[:, :, :20]), ["'image' has shape (1, 1, 20, 28)", "(N, 1, 28, 28)"]),
    ("batch.npy", lambda p: np.save(p, digit()[0]), ["has shape (1, 28, 28)", "add the batch axis: x[None]"]),
    ("nhwc.npy", lambda p: np.save(p, np.moveaxis(digit(), 1, -1)), ["np.moveaxis(x, -1, 1)"]),
    ("uint8.npy", lambda p: np.save(p, digit().astype(np.uint8)), ["uint8", "x.astype('float32')", "x / 255"]),
    ("nan.npy", lambda p: np.save(p, spoilt()), ["1 NaN and 1 infinite of 784 values", "x[0, 0, 3, 4]"]),
    ("surplus.npz", lambda p: np.savez(p, image=digit(), mask=digit()), ["no input 'mask'", "'image' float32"]),
    ("pickled.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True), ["pickle", "numeric array"]),
    ("cut.npy", lambda p: p.write_bytes(DIGIT.read_bytes()[:500]), ["not a whole .npy file"]),
    ("empty.npy", lambda p: p.touch(), ["is empty"]),
    ("none.npy", lambda p: None, ["'none.npy' is not there"]),
    ("folder.npy", lambda p: p.mkdir(), ["'folder.npy' holds no inputs"]),
    ("table.txt", lambda p: p.touch(), ["the suffix '.txt'", ".npy .npz .csv .parquet .tar .pb .png"]),
    ("photo.png", lambda p: p.write_bytes(PHOTO.read_bytes()), ["--preprocess FILE", "--resize"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "words"), INPUTS, ids=[name for name, *_ in INPUTS])
def test_a_bad_input(cli: Cli, name: str, make: Callable[[Path], object], words: list[str]) -> None:
    make(Path(name))
    refused(cli, 2, words, DIGIT_MODEL, name, "-o", "out")


MODELS: list[tuple[str, Callable[[Path], object], list[str]]] = [
    ("text.onnx", lambda p: p.write_text("hello, world\n" * 30), ["'text.onnx'", "not an ONNX model"]),
    ("cut.onnx", lambda p: p.write_bytes(DIGIT_MODEL.read_bytes()[:99999]), ["the file is truncated"]),
    ("empty.onnx", lambda p: p.touch(), ["the file is empty"]),
    ("none.onnx", lambda p: None, ["'none.onnx': no such file"]),
    ("folder.onnx", lambda p: p.mkdir(), ["is a directory, not a model file"]),
]


@pytest.mark.parametrize(("name", "make", "words"), MODELS, ids=[name for name, *_ in MODELS])
def test_a_bad_model(cli: Cli, name: str, make: Callable[[Path], object], words: list[str]) -> None:
    make(Path(name))
    refused(cli, 3, words, name, DIGIT, "-o", "out")
    assert cli("inspect", name)[0] == 3


def test_operators_without_a_rule(cli: Cli) -> None:
    text = "(float[N, 4, 4] x) => (float[N, 4, 4] y) { [draw] d = Bernoulli(x) [again] y = Bernoulli(d) }"
    onnx.save(model(text), "m.onnx")
    words = ["'draw' Bernoulli (opset 17", "'again' Bernoulli", "random", 'op = "Bernoulli", use = "stop"']
    refused(cli, 4, words, "m.onnx", array(Path("x.npy"), np.ones((1, 4, 4))), "-o", "out", lines=2)
    assert cli("inspect", "m.onnx")[0] == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "nowhere"], ["no output 'nowhere'", "'logits'", "logits:3"]),
        (["--target", "nowhere:3"], ["no output 'nowhere'"]),
        (["--target", "10"], ["target 10 is out of range", "0..9"]),
        (["--target", "-11"], ["target -11 is out of range"]),
        (["--target", "logits:10"], ["target 10 is out of range"]),
        (["--target", "1,2"], ["target 1,2 has 2 indices", "give one such as 0"]),
        (["--target", ",,"], ["no output ',,'", "an index (3)"]),
        (["--target", "1.5"], ["no output '1.5'", "an index (3)"]),
        (["--target", ""], ["no output ''", "an index (3)"]),
        (["--method", "dtdd"], ["no method 'dtdd'", "auto, attnlrp, composite", "dtd"]),
        (["--engine", "tf"], ["no engine 'tf'", "numpy, onnx"]),
        (["--provider", "tpu"], ["provider tpu is not installed", "cpu"]),
        (["--bias", "keep"], ["no bias 'keep'", "absorb, redistribute"]),
        (["--input-range", "1", "0"], ["--input-range 1 0", "least value first"]),
        (["--input-range", "nan", "1"], ["--input-range nan 1"]),
        (["--input-range", "1"], ["two numbers", "--input-range 0 1"]),
        (["--input-range", "a", "b"], ["two numbers"]),
        (["--set", "steps=9"], ["--set steps=9: auto takes no settings"]),
        (["-m", "smoothgrad", "--set", "steps=9"], ["smoothgrad takes sigma=..., samples=..."]),
        (["-m", "smoothgrad", "--set", "samples"], ["samples is a whole number"]),
        (["-m", "smoothgrad", "--set", "samples=1.5"], ["samples is a whole number"]),
        (["-m", "smoothgrad", "--set", "sigma=wide"], ["sigma is a number"]),
        (["-m", "smoothgrad", "--set", "squared=1"], ["squared is true or false"]),
        (["-m", "occlusion", "--set", "patch=[7,a]"], ["patch is a whole number"]),
        (["--rules", "none.toml"], ["'none.toml' cannot be read"]),
        (["--resize", "28"], ["is not an image", "--resize", "leave"]),
        (["--preprocess", "p.toml", "--mean", "0"], ["is not an image", "--preprocess, --mean"]),
        (["--metod", "dtd"], ["--metod", "--method"]),
        (["--sample", "a"], ["--sample a: give the number of a row"]),
        (["--sample", "9"], ["the input has 1 rows, 0 to 0"]),
        (["--preset", "imagnet"], ["is not an image", "--preset"]),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_a_bad_option(cli: Cli, options: list[str], words: list[str]) -> None:
    refused(cli, 2, words, DIGIT_MODEL, DIGIT, "-o", "out", *options)


@pytest.mark.parametrize(
    ("option", "form", "words"),
    [
        ("--sample", "{}", "--sample 9999"),
        ("--target", "{}", "no output '9999"),
        ("--target", "logits[last],{}", "no output 'logits[last],9999"),
        ("--target", "box:{}", "give box:best, or box:0"),
        ("--only", "/0/Conv={}", "give a value and channels"),
        ("--fixed", "a={}", "9999"),
        ("--memory", "{}G", "memory is a size"),
    ],
)
def test_a_number_of_5000_digits(cli: Cli, option: str, form: str, words: str) -> None:
    """Python makes no number of so many."""
    refused(cli, 2, [words], DIGIT_MODEL, DIGIT, "-o", "out", option, form.format("9" * 5000))


RULES = [
    ("[[rule]\n", 1, ["not valid TOML", "line 1"]),
    ("\xff\xfe", 1, ["not valid TOML"]),
    ("rules = 1\n", 1, ["[[rule]] tables"]),
    ("rule = [1]\n", 1, ["rule 1:", "a table"]),
    ('[[rule]]\nop = "Conv"\nuse = "gama"\n[[rule]]\nuse = "flat"\n', 2, ["'gama' is not a rule", "no condition"]),
    ('[[rule]]\nop = "Conv"\nuse = ["gamma"]\n', 1, ["is not a rule"]),
    ('[[rule]]\nop = "Conv"\nuse = "gamma"\nalpha = 1\n', 1, ["gamma has no parameter alpha", "it takes gamma"]),
    ('[[rule]]\nop = "Conv"\nuse = "gamma"\ngamma = "big"\n', 1, ["gamma = 'big' is not a number"]),
    ('[[rule]]\nop = "Conv"\nuse = "gamma"\ngamma = [1]\n', 1, ["gamma = [1] is not a number"]),
    ('[[rule]]\nop = "Conv"\nuse = "gamma"\nbias = "keep"\n', 1, ["bias = 'keep'", "absorb, redistribute"]),
    ('[[rule]]\nop = "Conv"\nuse = "epsilon"\nrelative = 1\n', 1, ["relative = 1 is not true or false"]),
    ('[[rule]]\nop = "Conv"\nuse = "zbox"\nlow = [[1], [1, 2]]\n', 1, ["low", "is no array"]),
    ('[[rule]]\nop = "Conv"\nuse = "zbox"\nlow = [0, 0]\nhigh = [1, 1]\n', 1, ["does not broadcast"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lines", "words"), RULES)
def test_a_bad_rules_file(cli: Cli, text: str, lines: int, words: list[str]) -> None:
    Path("rules.toml").write_bytes(text.encode("latin-1"))
    refused(cli, 2, words, DIGIT_MODEL, DIGIT, "--rules", "rules.toml", "-o", "out", lines=lines)


def test_a_rule_where_it_means_nothing(cli: Cli) -> None:
    Path("rules.toml").write_text('[[rule]]\nop = "Relu"\nuse = "zplus"\n')
    words = ["rule zplus cannot serve '/1/Relu'", "--rules"]
    refused(cli, 4, words, DIGIT_MODEL, DIGIT, "--rules", "rules.toml", "-o", "out", lines=4)


def test_a_bad_output_folder(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for output, words in {
        "foreign": ["'mine.txt', not written by onnxdtd", "choose another folder"],
        "file": ["is a file: name a folder"],
        "file/out": ["'file/out' cannot be written"],
        ".": ["the working folder"],
        "/": ["a mount"],
    }.items():
        refused(cli, 2, words, DIGIT_MODEL, DIGIT, "-o", output)
    assert (tmp_path / "foreign" / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which not even root may write to")
def test_a_folder_that_cannot_be_written(cli: Cli) -> None:
    refused(cli, 2, ["'/proc/out' cannot be written"], DIGIT_MODEL, DIGIT, "-o", "/proc/out")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(cli, 2, ["locked' may not be written to"], DIGIT_MODEL, DIGIT, "-o", "locked/out")


def test_all_faults_at_once(cli: Cli) -> None:
    options = ["--method", "a", "--engine", "b", "--bias", "c", "--provider", "d", "--rules", "none.toml"]
    options += ["--input-range", "2", "1", "--resize", "x", "-o", DIGIT]
    words = [
        "method 'a'",
        "engine 'b'",
        "bias 'c'",
        "provider d",
        "'none.toml'",
        "2 1",
        "'none.onnx'",
        "'none.png'",
    ]
    words += ["--resize x", "is a file: name a folder"]
    refused(cli, 2, words, "none.onnx", "none.png", *options, lines=10)


def test_all_faults_of_an_input_at_once(cli: Cli) -> None:
    np.savez("x.npz", image=digit()[0].astype(np.uint8), mask=digit())
    words = ["no input 'mask'", "x[None]", "astype('float32')", "target 10 is out of range"]
    refused(cli, 2, words, DIGIT_MODEL, "x.npz", "--target", "10", "-o", "out", lines=4)
    np.savez("y.npz", picture=digit(), mask=digit())
    words = ["no input 'picture'", "no input 'mask'", "input 'image' float32 (N, 1, 28, 28) is missing"]
    refused(cli, 2, words, DIGIT_MODEL, "y.npz", lines=3)


def test_all_faults_of_the_preprocessing_at_once(cli: Cli) -> None:
    options = ["--resize", "a", "--crop", "0", "--color", "X", "--layout", "NHW", "--interpolation", "best"]
    options += ["--scale", "nan", "--mean", "1,2", "--std", "0"]
    words = [
        "--resize a",
        "'crop' is 0",
        "RGB, BGR, L",
        "NCHW, NHWC",
        "bilinear",
        "'scale' is nan",
        "'mean'",
        "'std'",
    ]
    refused(cli, 2, words, PHOTO_MODEL, PHOTO, *options, lines=8)
    refused(cli, 2, ["--std a,b", "commas"], PHOTO_MODEL, PHOTO, "--std", "a,b")
    refused(cli, 2, ["crop 999 x 999 is larger"], PHOTO_MODEL, PHOTO, "--crop", "999")
    refused(cli, 2, ["'none.toml' cannot be read"], PHOTO_MODEL, PHOTO, "--preprocess", "none.toml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["Missing argument 'MODEL'", "onnxdtd run --help"]),
        (["run", "m.onnx"], ["Missing argument 'INPUT...'"]),
        (["rum"], ["No such command 'rum'", "onnxdtd --help"]),
        (["m.onnx", "x.npy"], ["onnxdtd run m.onnx INPUT"]),
        (["--"], ["no command"]),
        (["ops", "--jsn"], ["--jsn", "--json"]),
    ],
)
def test_a_bad_command(cli: Cli, arguments: list[str], words: list[str]) -> None:
    code, out, err = cli(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("onnxdtd: ")
    assert [word for word in words if word not in err] == []
