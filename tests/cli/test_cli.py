"""The command line as a person and a script use it: summaries, JSON, files, help, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.cli import application, inspect_model, progress, run_job, tables
from onnxdtd.cli.text import numbers, printable, sections, table
from onnxdtd.model.graph import Graph
from onnxdtd.reading import shares
from onnxdtd.render import saved
from tests.support.command_line import (
    DIGIT,
    DIGIT_MODEL,
    PHOTO,
    PHOTO_MODEL,
    Cli,
    array,
    dense,
)
from tests.support.model_text import model
from tests.support.paths import GOLDENS, MODELS

COMMANDS = ("run", "audit", "roots", "inspect", "ops", "rules", "methods")
HEAVY = {"onnx", "onnxruntime", "numpy", "matplotlib", "networkx", "PIL"}


@pytest.mark.parametrize(
    ("name", "sample", "lines"),
    [
        (
            "efficientnet_lite0",
            "chelsea.png",
            ["282  tiger cat", "output 'logits'", "epsilon_gamma, picked by auto"],
        ),
        pytest.param(
            "mnist_cnn",
            "mnist_digit.npy",
            ["3  28.42", "epsilon_gamma, picked by auto"],
            marks=pytest.mark.quick,
        ),
        ("mnist_cnn_dynamo", "mnist_digit.npy", ["3  28.42"]),
        ("mnist_cnn_nonpositive_bias", "mnist_digit.npy", ["class 3 '3'"]),
        (
            "mnist_keras",
            "mnist_digit_nhwc.npy",
            ["'probabilities', by its logit", "before the final activation"],
        ),
        ("mnist_resnet", "mnist_digit.npy", ["folded into Conv: 9 nodes"]),
        ("wine_mlp", "wine_sample.npy", ["1  class_1", "attnlrp, picked by auto"]),
    ],
)
def test_run_on_a_shipped_model(cli: Cli, tmp_path: Path, name: str, sample: str, lines: list[str]) -> None:
    code, out, err = cli("run", MODELS / f"{name}.onnx", MODELS / sample, "-o", "out")
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert [words for words in lines if " ".join(words.split()) not in flat] == []
    assert max(map(len, out.splitlines())) <= 80
    assert (tmp_path / "out" / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    e = onnxdtd.Explanation.load(tmp_path / "out")
    assert e.label() in flat
    assert f"made of logit {shares(e)}" in flat
    assert flat.startswith("answer ")


def test_the_whole_summary(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx", labels=["cat", "dog", "2"])
    array(tmp_path / "x.npy", [[1, 2]])
    code, out, err = cli("run", "m.onnx", "x.npy", "-o", "out", "--method", "epsilon_plus")
    assert (code, err) == (0, "")
    assert out == (
        "answer      What speaks for class 0 'cat' most: [1] = 2 (+2), [0] = 1 (+1);\n"
        "            nothing much speaks against it.\n"
        "made of     logit 4.00 = 3.00 input + 1.00 constants\n"
        "            75 % of it is owed to this input: the picture shows how that is\n"
        "              spread\n"
        "            constants: biases and other parts of the function that no input\n"
        "              changes, an answer and no loss\n"
        "trust       None of 4 findings speaks against this heatmap, which is no proof\n"
        "            that it is right.\n"
        "prediction  0  cat   4.000\n"
        "            1  dog   2.000\n"
        "            2       -3.000\n"
        "target      class 0 'cat' of output 'y', logit 4\n"
        "method      epsilon_plus\n"
        "audit       conservation      0.1\n"
        "            class_similarity  -1\n"
        "            input_blind       0.8\n"
        "            gradient_x_input  1\n"
        "written     out: heatmap.png, explanation.json, inputs.npz, outputs.npz,\n"
        "            relevance.csv, relevance.npz\n"
    )


def test_the_summary_of_a_batch_and_of_two_inputs(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    array(tmp_path / "x.npy", [[1, 2], [2, 1], [0, 5], [3, 3]])
    _, out, _ = cli("run", "m.onnx", "x.npy", "-m", "epsilon_plus")
    assert "prediction  sample 0: 0 = 4.000, 1 = 2.000, 2 = -3.000\n" in out
    assert out.count("            and 1 more samples\n") == 4
    assert "target      sample 0: index 0 of output 'y', logit 4\n            sample 1: index 0" in out
    assert "written     onnxdtd-out: heatmap.png (of sample 0), columns.png," in out
    two = model("(float[N, 2] a, float[N, 2] b) => (float[N, 2] y) { y = Add(a, b) }")
    onnx.save(two, tmp_path / "two.onnx")
    np.savez(tmp_path / "two.npz", a=np.float32([[1, 2]]), b=np.float32([[3, 4]]))
    _, out, _ = cli("run", "two.onnx", "two.npz", "-m", "epsilon_plus", "--target", "1")
    assert "made of     logit 6.00 = 6.00 input\n" in out
    assert "What speaks for index 1 most: b[1] = 4 (+4), a[1] = 2 (+2); nothing" in " ".join(out.split())
    assert "heatmap.png, explanation.json" in out


def test_every_image_has_a_picture_and_words(cli: Cli, tmp_path: Path) -> None:
    text = """(float[N, 1, 9, 9] left, float[N, 1, 9, 9] right, float[N, 2] more) => (float[N, 1] y) {
        a = ReduceSum<keepdims = 0>(left, axes) b = ReduceSum<keepdims = 0>(right, axes)
        c = ReduceSum<keepdims = 0>(more, axis) d = Sub(a, b) e = Add(c, d) y = Unsqueeze(e, axis) }"""
    axes = {"axes": np.int64([1, 2, 3]), "axis": np.int64([1])}
    onnx.save(model(text, **axes), tmp_path / "m.onnx")
    images = np.zeros((2, 1, 1, 9, 9), np.float32)
    images[0, ..., 0, 0], images[1, ..., 8, 8] = 3, 1
    np.savez(tmp_path / "x.npz", left=images[0], right=images[1], more=np.ones((1, 2), np.float32))
    code, out, err = cli("run", "m.onnx", "x.npz", "-m", "attnlrp", "-o", "out")
    flat = " ".join(out.split())
    assert (code, err) == (0, "")
    assert "input 'left': Red speaks for index 0; nothing speaks against it." in flat
    assert (
        "input 'right': Blue speaks against index 0; nothing speaks for it. The strongest blue lies in the"
        in flat
    )
    assert "heatmap-2-right.png, heatmap.png (of an input each), explanation.json" in flat
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == ["heatmap-2-right.png", "heatmap.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-m", "gradient"], "2 in sum, which by this method need not be the explained logit"),
        (["-m", "dtd", "-t", "2"], "no relevance started at the target, so none arrived"),
        (["-m", "epsilon_plus", "--engine", "onnx"], "logit 4.00 = 3.00 input + 1.00 constants"),
        (["-m", "epsilon_plus", "--bias", "redistribute"], "logit 4.00 = 4.00 input"),
        (["-m", "epsilon_plus", "--provider", "cpu"], "logit 4.00 = 3.00 input + 1.00 constants"),
        (["-m", "epsilon_plus", "-t", "-2"], "index 1 of output 'y', logit 2"),
        (["-m", "epsilon_plus", "-t", "y:1"], "index 1 of output 'y', logit 2"),
        (["-m", "epsilon_plus", "-t", "y"], "index 0 of output 'y', logit 4"),
        (["-m", "dtd", "--input-range", "-1", "3"], "logit 4.00 = 4.00 input"),
    ],
)  # fmt: skip
def test_what_the_options_do(cli: Cli, tmp_path: Path, options: list[str], message: str) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    code, out, err = cli("run", model, x, *options)
    assert (code, err) == (0, "")
    assert message in " ".join(out.split())


def test_a_class_may_be_given_by_name(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx", labels=["cat", "tabby cat", "cat"])
    array(tmp_path / "x.npy", [[1, 2]])
    assert "class 1 'tabby cat'" in cli("run", "m.onnx", "x.npy", "-t", "tabby cat")[1]
    code, out, err = cli("run", "m.onnx", "x.npy", "-t", "cat", "-o", "again")
    assert (code, out) == (2, "")
    assert "the classes 0, 2 are all named 'cat': give one index" in err
    assert not (tmp_path / "again").exists()


def test_relevance_gained_and_targets_near_zero(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[-1, -0.2]])
    _, out, _ = cli("run", model, x, "-m", "epsilon_plus", "-t", "0")
    assert "made of     logit -0.200 = -1.200 input + 1.000 constants\n" in out
    assert "The logit of index 0 is negative (-0.2): this is evidence against it." in " ".join(out.split())
    assert "%" not in out
    _, out, _ = cli("run", model, array(tmp_path / "x.npy", [[-1, -0.001]]), "-m", "epsilon_plus", "-t", "0")
    assert "%" not in out


def test_rules_of_a_file_are_taken(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text('[[rule]]\nop = "Gemm"\nuse = "gamma"\ngamma = 0.5\n')
    dense(tmp_path / "m.onnx")
    _, out, _ = cli("inspect", "m.onnx", "--rules", "rules.toml", "--json")
    assert json.loads(out)["nodes"][-1]["rule"] == "gamma(gamma=0.5)"


def test_settings_of_a_method_of_many_passes(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    for method, setting, kept in (
        ("integrated_gradients", "steps=8", 8),
        ("integrated_gradients", "rule=trapezoid", "trapezoid"),
        ("smoothgrad", "squared=true", True),
        ("smoothgrad", "sigma=1", 1.0),
    ):
        code, out, err = cli("run", model, x, "-m", method, "--set", setting, "--json")
        assert code == 0, err
        assert json.loads(out)["extras"][setting.partition("=")[0]] == kept
    code, out, _ = cli("run", model, x, "-m", "smoothgrad", "--set", "samples=2")
    assert code == 0
    assert "in sum, which by this method need not be the explained logit" in out


def test_canonisation_is_verified_on_request(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    assert cli("run", model, x, "--verify")[0] == 0

    def spoil(graph: Graph, check: Callable[[Graph, Graph], None] | None = None) -> Graph:
        wrong = {name: 2 * array for name, array in graph.constants.items()}
        after = graph.replace(constants=wrong).noting("doubled")
        if check is not None:
            check(graph, after)
        return after

    for module in ("loaded", "walk.original"):
        monkeypatch.setattr(f"onnxdtd.{module}.canonise", spoil)
    code, _, err = cli("run", model, x, "--verify")
    assert (code, "after: doubled" in err) == (5, True)


def test_what_a_method_of_many_passes_found_is_told(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    array(tmp_path / "x.npy", [[1, 2]])
    _, out, _ = cli("run", "m.onnx", "x.npy", "-m", "taylor")
    assert "found       root found" in out
    assert "            distance " in out


def test_the_columns_of_a_table_are_named(cli: Cli, tmp_path: Path) -> None:
    assert cli("run", MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy", "-o", "out")[0] == 0
    header, row = (tmp_path / "out" / "relevance.csv").read_text().splitlines()
    assert header.split(",")[:5] == ["row", "target", "logit", "alcohol", "malic_acid"]
    e = onnxdtd.Explanation.load(tmp_path / "out")
    amounts = [float(cell) for cell in row.rsplit(",", 14)[1:]]
    np.testing.assert_allclose(amounts[:13], e.relevance["input"][0], rtol=1e-6)
    assert sum(amounts) == pytest.approx(float(e.target_value[0]), rel=1e-6)


def test_a_file_names_the_columns_of_a_model_that_does_not(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    (tmp_path / "rows.csv").write_text("label,width,height\nb,1,2\nc,2,1\n")
    code, out, _ = cli("run", "m.onnx", "rows.csv", "-o", "out", "-t", "0")
    assert code == 0
    assert "height = 2 (+2)" in " ".join(out.split())
    assert onnxdtd.Explanation.load(tmp_path / "out").features == ("width", "height")
    (tmp_path / "numbers.csv").write_text("0,1\n1,2\n")  # numbered columns have no names
    assert "[1] = 2" in " ".join(cli("run", "m.onnx", "numbers.csv", "-o", "n", "-t", "0")[1].split())


def test_columns_that_do_not_fit_are_left_out_with_a_warning(cli: Cli, tmp_path: Path) -> None:
    proto = onnx.load(dense(tmp_path / "m.onnx"))
    onnx.helper.set_model_props(proto, {"onnxdtd.features": '["one", "two", "three"]'})
    onnx.save(proto, tmp_path / "m.onnx")
    code, _, err = cli("run", "m.onnx", array(tmp_path / "x.npy", [[1, 2]]))
    assert code == 0
    assert "warning: 3 features are named, of 2: left out" in err


def test_what_is_not_finite_gives_a_warning_and_no_picture(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx", scale=1e30), array(tmp_path / "x.npy", [[1, 1]])
    code, out, err = cli("run", model, x, "-o", "out", "-m", "sensitivity")
    assert (code, err) == (0, "")
    assert "not finite" in " ".join(out.split())
    assert not (tmp_path / "out" / "heatmap.png").exists()


def test_a_logit_that_is_no_number_is_an_error(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx", scale=1e30), array(tmp_path / "x.npy", [[1e9, 1e9]])
    code, _, err = cli("run", model, x, "-o", "out")
    assert (code, "made by 'dense' Gemm ('y')" in err) == (2, True)


def test_an_image_by_flags_by_file_and_by_the_models_metadata(cli: Cli, tmp_path: Path) -> None:
    proto = onnx.load(DIGIT_MODEL)
    onnx.helper.set_model_props(proto, {})
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "bare.onnx")
    flags = ["--color", "L", "--resize", "28,28", "--scale", "0.00392156862745098"]
    (tmp_path / "p.toml").write_text('color = "L"\nresize = [28, 28]\nscale = 0.5\n')
    assert cli("run", "bare.onnx", PHOTO, *flags, "-o", "a")[0] == 0
    assert cli("run", "bare.onnx", PHOTO, "--preprocess", "p.toml", *flags[-2:], "-o", "b")[0] == 0
    a, b = (onnxdtd.Explanation.load(tmp_path / name) for name in "ab")
    x = a.inputs["image"]
    assert x.shape == (1, 1, 28, 28)
    assert 0 <= x.min() < x.max() <= 1
    np.testing.assert_array_equal(a.relevance["image"], b.relevance["image"])
    assert a.warnings == ()  # the range follows from the preprocessing


def test_json_is_one_object_and_what_the_folder_holds(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("run", MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy", "-o", "out", "--json")
    assert code == 0
    document = json.loads(out)
    assert out.count("\n") == 1
    assert document.pop("directory") == str(tmp_path / "out")
    best = document.pop("prediction")[0]
    assert [entry["label"] for entry in best] == ["class_1", "class_0", "class_2"]
    assert best[0]["index"] == [1]
    assert document == json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert err.splitlines() == [f"onnxdtd: warning: {text}" for text in document["warnings"]]


@pytest.mark.parametrize("command", ["ops", "rules", "methods"])
def test_the_tables(cli: Cli, command: str) -> None:
    code, out, err = cli(command, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert next(iter(document)) == command
    _, text, _ = cli(command)
    for row in document[command]:
        assert row[command.removesuffix("s")] in text
        assert row["doc"] in text or row.get("kind") in ("barrier", "expanded", "refuse")
    names = {"ops": "Conv", "rules": "zbox", "methods": "dtd"}
    assert any(row[command.removesuffix("s")] == names[command] for row in document[command])


def test_inspect(cli: Cli) -> None:
    code, out, err = cli("inspect", MODELS / "mnist_keras.onnx")
    assert (code, err) == (0, "")
    head, _, second = (line.split() for line in out.splitlines()[:3])
    assert head == ["NODE", "OP", "KIND", "SHAPE", "DOMAIN", "RULE"]
    assert second[:6] == ["sequential_1_1/conv2d_1/BiasAdd", "Conv", "linear", "unk__0x8x28x28", "[0,", "1]"]
    assert "'probabilities', by the logit 'sequential_1_1/dense_1_2/BiasAdd:0'" in " ".join(out.split())
    _, out, err = cli("inspect", MODELS / "mnist_keras.onnx", "--json")
    facts = json.loads(out)
    assert (err, facts["inputs"], facts["method"]) == ("", {"image": ["N", 28, 28, 1]}, "epsilon_gamma")
    assert facts["nodes"][1]["rule"] == "gamma(gamma=1)"


def test_inspect_on_narrow_terminals(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (60, 80, 100, 140):
        monkeypatch.setattr(inspect_model, "screen", lambda width=width: width)
        monkeypatch.setenv("COLUMNS", str(width))
        _, out, _ = cli("inspect", PHOTO_MODEL)
        assert max(map(len, out.splitlines())) <= width
        assert ("A wider terminal" in out) == (width < 140)
    monkeypatch.setattr(tables, "screen", lambda: 80)
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("ops", "rules", "methods"):
        assert max(map(len, cli(command)[1].splitlines())) <= 80


def test_text_lines_up() -> None:
    assert numbers([9.2451, 10.5, -0.25]) == ["9.25", "10.50", "-0.25"]
    assert numbers([0.9999, 5.7e-5]) == ["0.9999", "0.0001"]
    assert numbers([1e-5, 2e-7]) == ["1e-05", "2e-07"]
    assert numbers([0.999999]) == ["1.000"]
    assert numbers([0.0, float("nan")]) == ["0", "nan"]
    assert printable("a\x1b[31m\nb é 日") == "a\\x1b[31m\\nb é 日"
    assert sections([("one", ["two three four"]), ("fifth", ["six"])], 12) == (
        "one    two\n       three\n       four\nfifth  six"
    )
    assert table(["A", "B"], [["x", "a long cell of words"]], 14, wraps=True) == (
        "A  B\nx  a long cell\n   of words"
    )
    assert table(["A", "B"], [["x", "abcdefghijklmnop"]], 12) == "A  B\nx  abcd…mnop"


def test_names_from_a_file_cannot_control_the_terminal(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx", labels=["\x1b[31mred", "b", "c"])
    proto = onnx.load(tmp_path / "m.onnx")
    proto.graph.node[0].name = "evil\x1b]0;title\x07\nname"
    onnx.save(proto, tmp_path / "m.onnx")
    x = array(tmp_path / "x.npy", [[1, 2]])
    for command in (["run", "m.onnx", x, "-m", "epsilon_plus"], ["inspect", "m.onnx"]):
        code, out, err = cli(*command)
        assert code == 0
        assert all(c.isprintable() or c == "\n" for c in out + err)
    assert "evil\\x1b]0;title\\x07\\nname" in out


def test_an_earlier_result_is_replaced(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    for target in (0, 1):
        assert cli("run", model, x, "-t", target, "-m", "epsilon_plus", "-o", "out")[0] == 0
    assert onnxdtd.Explanation.load(tmp_path / "out").target == (((1,),),)


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version") == (0, f"onnxdtd {onnxdtd.__version__}\n", "")
    code, out, err = cli("--help")
    assert (code, err) == (0, "")
    assert all(f"  {command}  " in out for command in COMMANDS)
    assert "130 interrupted" in " ".join(out.split())
    for command in COMMANDS:
        code, out, err = cli(command, "--help")
        assert (code, err) == (0, "")
        assert "--json" in out
        assert max(map(len, out.splitlines())) <= 80
    code, out, err = cli()
    assert (code, out) == (2, "")
    assert "Commands:" in err


def test_a_bug_of_ours_shows_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise RuntimeError("of ours")

    monkeypatch.setattr(run_job, "explain", broken)
    code, out, err = cli("run", "m.onnx", "x.npy")
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert "RuntimeError: of ours" in err
    assert err.splitlines()[-1].startswith("onnxdtd: this is a bug in onnxdtd")


def test_ctrl_c(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(saved, "fill", interrupted)
    assert cli("run", DIGIT_MODEL, DIGIT, "-o", "out") == (130, "", "onnxdtd: interrupted\n")
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("quiet", "patience", "shown"), [(False, 0, True), (True, 0, False), (False, 60, False)]
)
def test_progress(monkeypatch: pytest.MonkeyPatch, quiet: bool, patience: float, shown: bool) -> None:
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.Progress(quiet) as tell:
        tell(1, 2)
        tell(2, 2)
    assert ("explaining" in sys.stderr.getvalue()) == shown  # type: ignore[attr-defined]


def test_no_progress_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with progress.Progress() as tell:
        tell(1, 2)
    assert capsys.readouterr().err == ""


def process(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "onnxdtd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from onnxdtd.cli import main; "
        f"code = main(sys.argv[1:]); print({HEAVY} & set(sys.modules), code)"
    )
    for arguments in (["--help"], ["run", "--help"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.splitlines()[-1] == "set() 0"


def test_python_m_onnxdtd(tmp_path: Path) -> None:
    done = process("run", DIGIT_MODEL, DIGIT, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["method"] == "epsilon_gamma"
    done = process("run", "no.onnx", DIGIT, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "onnxdtd: 'no.onnx': no such file\n")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onnxdtd", "ops", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "onnxdtd", "--version"]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "onnxdtd: the result cannot be printed: No space left on device\n"


def test_of_a_command_that_is_named_no_other_is_made() -> None:
    """Typer makes the options of all commands that it has before it runs one."""
    names = [command.name for command in application().registered_commands]
    assert {"run", "audit", "serve", "methods"} < {*names}
    assert [c.name for c in application(["run", "model.onnx"]).registered_commands] == ["run"]
    for words in (["runn"], ["--version"], ["model.onnx"], []):
        assert [command.name for command in application(words).registered_commands] == names


def test_masks_and_positions_are_said_to_every_command(cli: Cli, tmp_path: Path) -> None:
    """The tokens get what their positions would take, by each command that walks."""
    path = GOLDENS / "transformer" / "script.onnx"
    golden = dict(np.load(GOLDENS / "transformer" / "relevance.npz"))
    feeds = {"ids": golden["ids"][:1], "mask": golden["mask"][:1]}
    np.savez(tmp_path / "x.npz", **feeds)
    facts = json.loads(cli("inspect", path, "-m", "attnlrp", "--positions", "token", "--json")[1])
    assert facts["masks"] == ["mask"]
    assert "pass(bias=absorb), positions to tokens" in {node["rule"] for node in facts["nodes"]}
    assert "'mask' Nx8, says what counts" in cli("inspect", path)[1]
    assert json.loads(cli("inspect", path, "--mask", "none", "--json")[1])["masks"] == []
    for positions in ("absorb", "token"):
        more = ["-m", "attnlrp", "--positions", positions, "--mask", "mask", "--json", "-o", positions]
        code, out, err = cli("compare", path, "x.npz", *more)
        assert code == 0, err
        e = onnxdtd.Explainer(path, "attnlrp", positions=positions)(feeds)
        arrived = json.loads(out)["targets"][0]["methods"]["attnlrp"]["arrived"]
        assert arrived == pytest.approx(float(e.relevance["ids"].sum()), rel=1e-4)
    for command in (["inspect", path], ["compare", path, "x.npz"], ["roots", path, "x.npz", "--node", "n"]):
        code, _, err = cli(*command, "--mask", "nothing")
        assert (code, "mask names 'nothing'" in err) == (2, True), command
