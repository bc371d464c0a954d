"""What continuous integration needs: findings that fail, JUnit, completion; and the demo, which needs no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import onnxdtd
from onnxdtd.audit import AuditReport, Finding
from onnxdtd.audit.junit import junit
from onnxdtd.audit.sarif import sarif
from tests.support.command_line import PHOTO, PHOTO_MODEL, Cli, array, dense


def test_run_fails_on_a_finding_and_leaves_the_result(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("run", PHOTO_MODEL, PHOTO, "-o", "out", "--fail-on", "class_similarity", "--json")
    assert (code, err.splitlines()[-1]) == (5, "onnxdtd: class_similarity fired for 'chelsea.png'")
    assert json.loads(out)["directory"] == str(tmp_path / "out")
    assert (tmp_path / "out" / "explanation.json").is_file()


def test_run_passes_where_none_of_the_named_findings_fired(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    assert cli("run", model, x, "-m", "attnlrp", "--fail-on", "conservation")[0] == 0
    code, _, err = cli("run", model, x, "--fail-on", "nothing")
    assert (code, "--fail-on nothing: no such finding here" in err) == (2, True)
    code, _, err = cli("run", model, x, "--fail-on", "any:0.1")
    assert (code, "takes a share of the inputs in `onnxdtd audit` only" in err) == (2, True)
    code, _, err = cli("run", model, x, "--fail-on", "any", "--no-audit")
    assert (code, "leave --no-audit out" in err) == (2, True)


def test_many_inputs_fail_by_name(cli: Cli) -> None:
    code, _, err = cli("run", PHOTO_MODEL, PHOTO, PHOTO, "-o", "out", "--fail-on", "any")
    assert code == 5
    assert err.count(f"class_similarity fired for '{PHOTO}'") == 2


def test_junit_by_hand() -> None:
    findings = (
        Finding("fires", 2.0, 1.0, "above", "It is <too> much\x1b[31m."),
        Finding("quiet", 0.5, 1.0, "above", "It is well."),
        Finding("nothing", None, 1.0, "above", "It does not apply."),
    )
    model = {"path": "/somewhere/m.onnx", "name": "m", "sha256": ""}
    report = AuditReport(findings, model, "dtd", ("class 1",), 1, True, {"a": 0.25, "b": 0.5}, (), {})
    root = ElementTree.fromstring(junit(report))
    (suite,) = root
    numbers = {
        name: suite.attrib[name] for name in ("tests", "failures", "skipped", "errors", "time", "name")
    }
    assert numbers == {
        "tests": "3", "failures": "1", "skipped": "1", "errors": "0", "time": "0.750", "name": "m.onnx",
    }  # fmt: skip
    assert [(case.attrib["name"], case[0].tag) for case in suite] == [
        ("fires", "failure"), ("quiet", "system-out"), ("nothing", "skipped"),
    ]  # fmt: skip
    assert suite[0][0].attrib["message"] == "2 is above 1"
    assert suite[0][0].text == "It is <too> much\\x1b[31m."


def test_audit_writes_junit(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    arguments = ("audit", model, x, "-m", "attnlrp", "--quick", "--junit", "audit.xml")
    assert cli(*arguments)[0] == 0
    assert cli(*arguments)[0] == 0  # an earlier one is replaced
    names = [case.attrib["name"] for case in ElementTree.parse(tmp_path / "audit.xml").iter("testcase")]
    assert "conservation" in names
    (tmp_path / "audit.xml").write_text("<mine/>")
    code, _, err = cli(*arguments)
    assert (code, "is no audit of onnxdtd" in err) == (2, True)
    assert (tmp_path / "audit.xml").read_text() == "<mine/>"


def test_sarif_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields that the schema of SARIF 2.1.0 requires, and those by which code scanning places a result."""
    monkeypatch.chdir(tmp_path)
    findings = (
        Finding("quiet", 0.5, 1.0, "above", "It is well."),
        Finding("fires", 2.0, 1.0, "above", "It is <too> much\x1b[31m."),
        Finding("nothing", None, 1.0, "above", "It does not apply."),
        Finding("broken", float("nan"), 1.0, "below", "It is no number.", source="Somebody 2020."),
    )
    model = {"path": "nets/a b.onnx", "name": "m", "sha256": "ab12"}
    report = AuditReport(findings, model, "dtd", ("class 1",), 1, True, {"a": 0.25}, (), {})
    document = json.loads(sarif(report, ["fires"]))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "onnxdtd audit"
    assert [rule["id"] for rule in driver["rules"]] == ["quiet", "fires", "nothing", "broken"]
    assert driver["rules"][1]["shortDescription"] == {"text": "fires fires above 1"}
    assert driver["rules"][3]["help"] == {"text": "Somebody 2020."}
    assert run["invocations"] == [{"executionSuccessful": True}]
    assert run["artifacts"] == [{"location": {"uri": "nets/a%20b.onnx"}, "hashes": {"sha-256": "ab12"}}]
    first, second = run["results"]
    assert first == {
        "ruleId": "fires", "ruleIndex": 1, "level": "error",
        "message": {"text": "It is <too> much\\x1b[31m."},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "nets/a%20b.onnx"}}}],
        "properties": {"value": 2.0, "threshold": 1.0, "fires": "above"},
    }  # fmt: skip
    assert (second["ruleId"], second["level"], second["properties"]["value"]) == ("broken", "warning", "nan")
    assert {r["level"] for r in json.loads(sarif(report, ["any"]))["runs"][0]["results"]} == {"error"}


def test_audit_writes_sarif(cli: Cli, tmp_path: Path) -> None:
    model, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    arguments = ("audit", model, x, "-m", "attnlrp", "--quick", "--sarif", "audit.sarif")
    assert cli(*arguments)[0] == 0
    assert cli(*arguments)[0] == 0  # an earlier one is replaced
    (run,) = json.loads((tmp_path / "audit.sarif").read_text())["runs"]
    assert "conservation" in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert run["artifacts"][0]["location"] == {"uri": "m.onnx"}
    (tmp_path / "audit.sarif").write_text("{}")
    code, _, err = cli(*arguments)
    assert (code, "is no audit of onnxdtd" in err) == (2, True)
    assert (tmp_path / "audit.sarif").read_text() == "{}"
    code, _, err = cli("audit", model, x, x, "--sarif", "many.sarif")
    assert (code, "--sarif writes the findings of one input" in err) == (2, True)


def test_the_demo_needs_nothing(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("demo", "-o", "first")
    assert (code, err) == (0, "")
    assert "class 3 '3'" in out
    assert onnxdtd.Explanation.load(tmp_path / "first").label() == "class 3 '3'"
    names = {path.name for path in (tmp_path / "first").iterdir()}
    assert {"digit.onnx", "digit.npy", "report.html", "heatmap.png"} <= names
    assert cli("demo", "-o", "first", "--json")[0] == 0
    assert cli("run", "first/digit.onnx", "first/digit.npy", "-o", "second")[0] == 0


def test_shells_complete_commands() -> None:
    words = {"_ONNXDTD_COMPLETE": "complete_bash", "COMP_WORDS": "onnxdtd rep", "COMP_CWORD": "1"}
    program = "from onnxdtd.cli import main; main([])"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **words}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["report"]
