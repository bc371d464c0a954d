"""Models with branches at the command line: --fixed, --like, what is told, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.support.command_line import Cli, command_line
from tests.support.model_text import model
from tests.whole.test_branches import SWITCH, V, W, X, by_sum


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    onnx.save(model(SWITCH, w=W, v=V), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "true.npz", x=X, c=np.array(True))
    np.savez(tmp_path / "false.npz", x=X, c=np.array(False))
    return command_line(capsys, tmp_path, monkeypatch)


def relevance(folder: str = "out") -> np.ndarray:
    return np.load(f"{folder}/relevance.npz")["x"]


def test_run_tells_the_branch(cli: Cli) -> None:
    code, out, err = cli("run", "m.onnx", "true.npz", "-t", "0", "-m", "gradient", "-o", "out")
    assert (code, err) == (0, "")
    assert "branch      then of 'If_0', since 'c'" in out
    np.testing.assert_array_equal(relevance(), [[1, 3]])
    assert cli("run", "m.onnx", "false.npz", "-t", "0", "-m", "gradient", "-o", "out")[0] == 0
    np.testing.assert_array_equal(relevance(), [[2, 1]])


@pytest.mark.parametrize(
    "command",
    [
        ("run", "m.onnx", "x.npy", "-t", "0", "-m", "gradient", "-o", "out"),
        ("audit", "m.onnx", "x.npy", "-t", "0", "-m", "epsilon_plus", "--quick"),
        ("compare", "m.onnx", "x.npy", "-t", "0", "-m", "gradient,occlusion", "--repeats", "1"),
        ("evaluate", "m.onnx", "x.npy", "-m", "gradient", "--metrics", "sparseness"),
        ("compile", "m.onnx", "-o", "e.onnx"),
        ("check", "m.onnx"),
        ("inspect", "m.onnx"),
        ("roots", "m.onnx", "x.npy", "--node", "If_0/MatMul_0", "-t", "0", "-m", "epsilon_plus"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_fixes_inputs(cli: Cli, command: tuple[str, ...]) -> None:
    code, _, err = cli(*command, "--fixed", "c=true", "--json")
    assert code == 0, err
    for wrong, said in (
        ("d=1", "fixed: the model has no input 'd'"),
        ("c=1.5", "fixed: input 'c' holds float64"),
        ("c=[true,true]", "fixed: input 'c' has shape (2,)"),
        ("c", "--fixed c: give an input and its value"),
        ("c=maybe", "--fixed c=maybe: a value is a number"),
    ):
        code, out, err = cli(*command, "--fixed", wrong, "--json")
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1


def test_a_file_may_be_fixed(cli: Cli) -> None:
    np.save("c.npy", np.array(False))
    arguments = ("run", "m.onnx", "x.npy", "-t", "0", "-m", "gradient", "-o", "out")
    assert cli(*arguments, "--fixed", "c=c.npy")[0] == 0
    np.testing.assert_array_equal(relevance(), [[2, 1]])
    assert "'no.npy' is not there" in cli(*arguments, "--fixed", "c=no.npy")[2]
    assert "'c' is fixed twice" in cli(*arguments, "--fixed", "c=true", "--fixed", "c=false")[2]


@pytest.mark.parametrize("command", ["check", "inspect"])
def test_like_shows_the_branch_that_an_input_takes(cli: Cli, command: str) -> None:
    for like, count in (("true.npz", 1), ("false.npz", 2)):
        code, out, err = cli(command, "m.onnx", "--like", like, "--json")
        assert code == 0, err
        nodes = json.loads(out)["nodes"]
        assert (len(nodes) if command == "inspect" else sum(map(len, nodes.values()))) == count
    code, _, err = cli(command, "m.onnx", "--like", "x.npy")
    assert code == 2
    assert "takes 2 inputs" in err


def test_check_looks_into_both_branches(cli: Cli) -> None:
    code, out, _ = cli("check", "m.onnx", "--json")
    facts = json.loads(out)
    assert (code, facts["ok"], facts["output"], facts["compiles"]) == (0, True, "y", True)
    assert facts["nodes"] == {"branch": {"If": 1}, "not on the way": {"MatMul": 2, "Relu": 1}}
    assert "which branch of 'If_0' If runs, an input decides ('c')" in facts["warnings"][0]


def test_what_no_rule_serves_in_a_branch_is_told(cli: Cli) -> None:
    text = SWITCH.replace("h = MatMul(x, v)", "h = Bernoulli(x)")
    onnx.save(model(text, w=W), "m.onnx")
    code, _, err = cli("check", "m.onnx")
    assert code == 4
    assert err.startswith("onnxdtd: in a branch of 'If_0' If: '' Bernoulli")
    assert cli("check", "m.onnx", "--like", "true.npz")[0] == 0


def test_inspect_and_compile_without_an_input_say_what_is_missing(cli: Cli) -> None:
    code, _, err = cli("inspect", "m.onnx")
    assert (code, err.count("\n")) == (4, 1)
    assert "--like INPUT" in err
    code, _, err = cli("compile", "m.onnx", "-o", "e.onnx", "--target", "0")
    assert (code, err.count("\n")) == (2, 1)
    assert "'If_0' If: which of its branches runs, an input decides ('c'): give" in err
    assert not Path("e.onnx").exists()


def test_a_compiled_explainer_knows_whether_it_is_valid(cli: Cli) -> None:
    for like, c, r in (("true.npz", True, [[1, 3]]), ("false.npz", False, [[2, 1]])):
        code, out, err = cli("compile", "m.onnx", "-o", "e.onnx", "-m", "gradient", "--like", like, "-t", "0")
        assert code == 0, err
        assert "onnxdtd/valid" in out
        session = onnxruntime.InferenceSession("e.onnx", providers=["CPUExecutionProvider"])
        for given in (True, False):
            feeds = {"x": np.concatenate([X, X]), "c": np.array(given)}
            values = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))
            assert values["onnxdtd/valid"].shape == ()
            assert values["onnxdtd/valid"] == (given == c)
            np.testing.assert_array_equal(values["relevance/x"], r * 2)


def test_a_warning_where_values_of_the_input_decide(cli: Cli) -> None:
    onnx.save(by_sum(), "m.onnx")
    code, out, _ = cli("run", "m.onnx", "x.npy", "-t", "0", "-o", "out")
    assert code == 0
    assert "branch is taken hangs on values of the input ('c')" in " ".join(out.split())


def test_of_many_inputs_each_takes_its_own_branch(cli: Cli) -> None:
    """Together the sum that decides would be 0."""
    onnx.save(by_sum(), "m.onnx")
    np.save("y.npy", -X)
    arguments = ("-t", "0", "-m", "gradient", "-o", "out", "--no-audit")
    assert cli("run", "m.onnx", "x.npy", "y.npy", *arguments)[0] == 0
    np.testing.assert_array_equal(relevance("out/x"), [[1, 3]])
    np.testing.assert_array_equal(relevance("out/y"), [[2, 1]])
