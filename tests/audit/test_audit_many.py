"""Audits of many inputs: rates with their intervals, by hand and from the command line."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from onnxdtd.audit import AuditReport, AuditSet, Finding
from onnxdtd.cli.fail_on import shares
from onnxdtd.errors import UsageError
from tests.support.command_line import DIGIT, DIGIT_MODEL, Cli
from tests.support.model_text import model


def report(high: float, low: float | None) -> AuditReport:
    """Findings `high`, which fires above 0.5, and `low`, which fires below it."""
    findings = (
        Finding("high", high, 0.5, "above", f"high {high}."), Finding("low", low, 0.5, "below", f"low {low}."),
    )  # fmt: skip
    return AuditReport(findings, {}, "dtd", ("class 0",), 1, True, {}, (), {})


def test_rates_by_hand() -> None:
    reports = {"a": report(0.6, 0.7), "b": report(0.9, None), "c": report(0.1, 0.6), "d": report(0.5, 0.9)}
    audits = AuditSet(reports, {})
    high, low = audits.rates
    assert (high.count, high.of, high.share, high.median, high.worst) == (2, 4, 0.5, 0.55, "b")
    # Wilson: z^2 = 3.8415, centre 0.5, half width z sqrt(1/16 + z^2/64) / (1 + z^2/4) = 0.34996.
    assert high.interval == pytest.approx((0.15004, 0.84996), abs=1e-5)
    assert (low.count, low.of, low.share, low.worst) == (0, 3, 0, "c")
    assert low.interval == pytest.approx((0, 3.841459 / (3 + 3.841459)), abs=1e-6)
    told = "It fires at 2 of 4 inputs: 50 % (95 % interval 15 % to 85 %). Furthest at 'b': high 0.9."
    assert high.sentence == told
    assert audits.fired("any") == audits.fired("high") == ["a", "b"]
    clean = "No finding speaks against the heatmaps of 2 of 4 inputs."
    assert audits.sentence == f"{clean} What fires most often is high. {told}"


def test_what_is_no_number_is_worst_and_what_applies_nowhere_has_no_rate() -> None:
    high, low = AuditSet({"a": report(9.0, None), "b": report(math.nan, None)}, {}).rates
    assert (high.worst, high.count) == ("b", 2)
    assert (low.share, low.interval, low.worst) == (None, None, None)
    assert low.sentence == "It applies to none of these inputs. low None."
    calm = AuditSet({"a": report(0.1, 0.9)}, {})
    assert calm.sentence.endswith("of 1 of 1 inputs, which is no proof that they are right.")


def test_shares_of_fail_on() -> None:
    assert shares(["rank", "any:0.25", "roots_region:10%"]) == {"rank": 0, "any": 0.25, "roots_region": 0.1}
    for wrong in ("rank:", "rank:2", "rank:ten", "rank:-1%", "rank:nan"):
        with pytest.raises(UsageError, match=r"a share of the inputs, as 0.1 or 10%"):
            shares([wrong])


def digits(folder: Path) -> None:
    """many.npz: the digit and three with noise; the folder `in`: the digit twice, and a file that is none."""
    x, rng = np.load(DIGIT), np.random.default_rng(0)
    noisy = [np.clip(x + 0.3 * rng.normal(size=x.shape), 0, 1).astype(x.dtype) for _ in range(3)]
    np.savez(folder / "many.npz", image=np.concatenate([x, *noisy]))
    (folder / "in").mkdir()
    for name in ("a", "b"):
        np.save(folder / "in" / f"{name}.npy", x)
    np.save(folder / "in" / "bad.npy", x[..., :3])


@pytest.mark.parametrize(
    ("limit", "code"),
    [("class_similarity", 5), ("class_similarity:100%", 0), ("any:0.9", 5), ("conservation", 0)],
)
def test_the_rows_of_a_file(cli: Cli, tmp_path: Path, limit: str, code: int) -> None:
    digits(tmp_path)
    only = ("--only", "class_similarity,conservation,quantisation", "-m", "dtd", "--input-range", 0, 1)
    returned, out, err = cli("audit", DIGIT_MODEL, "many.npz", *only, "--json", "--fail-on", limit)
    assert returned == code, err
    assert ("fired at 4 of 4 inputs, more than" in err) == (code == 5)
    document = json.loads(out)
    folder = Path(document.pop("directory"))
    assert document == json.loads((folder / "audits.json").read_text())
    rates = {rate["name"]: (rate["count"], rate["of"], rate["share"]) for rate in document["rates"]}
    assert rates == {"class_similarity": (4, 4, 1), "conservation": (0, 4, 0), "quantisation": (0, 0, None)}
    with (folder / "audits.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["input"] for line in lines] == [f"many.npz[{i}]" for i in range(4)]
    assert {(line["fired"], line["quantisation"]) for line in lines} == {("class_similarity", "")}
    # The audit of one input takes the folder over.
    assert cli("audit", DIGIT_MODEL, DIGIT, "--only", "conservation", "--json")[0] == 0
    assert [(folder / name).exists() for name in ("audit.json", "audits.json")] == [True, False]


def test_a_folder_of_which_one_file_is_bad(cli: Cli, tmp_path: Path) -> None:
    digits(tmp_path)
    code, out, err = cli("audit", DIGIT_MODEL, "in", "--only", "conservation", "-m", "epsilon_plus")
    assert code == 6
    assert "conservation  0 of 2    0 %" in out
    assert "1 of 3 inputs could not be audited" in err
    assert "'bad.npy'" in err
    code, _, err = cli("audit", DIGIT_MODEL, "in", "--only", "conservation", "--fail-on", "rank:0.1")
    assert (code, "--fail-on rank: no such finding here" in err) == (2, True)
    assert cli("audit", DIGIT_MODEL, "in", "--method", "smoothgrad")[0] == 2


def test_rows_that_are_not_told_apart_are_one_input(cli: Cli, tmp_path: Path) -> None:
    source = model(
        "(float[N, 3] x) => (float[1, 3] y) { y = ReduceSum<keepdims = 1>(x, a) }", a=np.array([0])
    )
    (tmp_path / "sum.onnx").write_bytes(source.SerializeToString())
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))
    code, out, err = cli("audit", "sum.onnx", "x.npy", "--only", "conservation", "-t", "0", "-m", "attnlrp")
    assert (code, err) == (0, "")
    assert "audit.json" in out
