"""The page of every kind of folder: what it says, inert against hostile names, small, and a line for what is none."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd.comparison import Cell, Comparison
from onnxdtd.comparison.clock import Timing
from onnxdtd.errors import InputError
from onnxdtd.folder import kind_of
from onnxdtd.pages import folder_page
from onnxdtd.pages.kinds import MAKERS
from tests.pages.folders import KINDS, evaluation
from tests.support.command_line import Cli, array, dense
from tests.support.page import Reader, is_inert

pytest.importorskip("pyarrow", reason="a job's shards are Parquet")
pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("kinds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib, whose fonts have no control characters
        for name, make in KINDS.items():
            make(place / name)
    return {name: place / name for name in KINDS}


def test_every_kind_of_result_has_a_page() -> None:
    assert {f"onnxdtd.{name}" for name in KINDS} == set(MAKERS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_stranger_wrote_is_shown_as_text(kind: str, folders: dict[str, Path]) -> None:
    assert kind_of(folders[kind]) == f"onnxdtd.{kind}"
    _, html = folder_page(folders[kind])
    assert is_inert(html)
    assert any("<script>alert(1)</script>" in text for text in Reader(html).text)
    assert "default-src &#x27;none&#x27;" in html


def damaged(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The manifest without one entry, and with one of another type; of a list the same of its first entry."""
    for key in [key for key in document if key != "schema"]:
        yield {k: v for k, v in document.items() if k != key}
        for wrong in (None, [7]):
            yield {**document, key: wrong}
        inner = document[key][0] if isinstance(document[key], list) and document[key] else None
        for name in inner if isinstance(inner, dict) else ():
            yield {**document, key: [{k: v for k, v in inner.items() if k != name}]}
            yield {**document, key: [{**inner, name: [[]]}]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_manifest_is_refused_or_a_page(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / kind
    shutil.copytree(folders[kind], folder)
    (path,) = (p for p in folder.glob("*.json") if json.loads(p.read_text()).get("schema"))
    refused = 0
    for document in damaged(json.loads(path.read_text())):
        path.write_text(json.dumps(document))
        with suppress(InputError):
            assert is_inert(folder_page(folder)[1])
            continue
        refused += 1
    assert refused


def test_an_evaluation_is_told_in_words(folders: dict[str, Path], tmp_path: Path) -> None:
    """Of three methods `a` is best by a score of which higher is better, and told apart from chance alone."""
    path = tmp_path / "ev" / "evaluation.json"
    shutil.copytree(folders["evaluation"], path.parent)
    document = json.loads(path.read_text())
    score = "pixel_flipping.mean.most_minus_least"
    means = {"a": (3.0, 2.0, 4.0), "b": (2.5, 1.5, 3.5), "random": (0.0, -1.0, 1.0)}
    numbers = [dict(zip(("mean", "low", "high", "count"), (*m, 9), strict=True)) for m in means.values()]
    differences = [
        ("a", "b", 0.5, -0.5, 1.5),
        ("a", "random", 3.0, 2.0, 4.0),
        ("b", "random", 2.5, -0.1, 5.1),
    ]
    keys = ("a", "b", "mean", "low", "high")
    document |= {
        "methods": [*means],
        "better": {score: "higher"},
        "headlines": [score],
        "scores": {m: {score: n} for m, n in zip(means, numbers, strict=True)},
        "differences": {score: [{**dict(zip(keys, row, strict=True)), "count": 9} for row in differences]},
        "curves": {},
    }
    path.write_text(json.dumps(document))
    text = " ".join(Reader(folder_page(path.parent)[1]).text)
    assert "a has the best mean by 1 of 1 score." in text
    assert "By 0 of them the best is told apart from all others" in text
    assert "Not better than random: b by 1 score." in text
    path.write_text(json.dumps(document | {"state": "running"}))
    with pytest.raises(InputError, match="is not finished"):
        folder_page(path.parent)


def test_a_job_is_counted(folders: dict[str, Path]) -> None:
    text = " ".join(Reader(folder_page(folders["batch"])[1]).text)
    assert "12 rows are explained, 1 could not be." in text
    assert "What could not be explained" in text
    assert "of what started" not in text  # gradient x input promises no sum


def test_a_damaged_shard_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["batch"], tmp_path / "job")
    (shard,) = (tmp_path / "job" / "shards").glob("*.parquet")
    content = shard.read_bytes()
    shard.write_bytes(content[:-200] + b"\x00" * 200)
    with pytest.raises(InputError, match="is damaged"):
        folder_page(tmp_path / "job")
    shard.write_bytes(content[:4] + b"\xff" * 400 + content[404:])
    with pytest.raises((InputError, OSError)):
        folder_page(tmp_path / "job")


def test_the_page_stays_small_whatever_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, which no picture format makes smaller, and more methods and targets than are shown."""
    monkeypatch.setattr("onnxdtd.comparison.comparison.draw", lambda *_: None)  # the folder's own picture
    rng, methods, targets = (
        np.random.default_rng(0),
        [f"m{i}" for i in range(50)],
        [f"t{i}" for i in range(3)],
    )
    x = rng.random((3, 96, 96), np.float32)
    cells = {
        (n, m): Cell({"x": rng.random((3, 96, 96), np.float32)}, 1, 1, True, {}, ())
        for n in range(3)
        for m in methods
    }
    alike = {"cosine": np.eye(50)}
    Comparison(
        tuple(methods), tuple(targets), (1.0,) * 3, cells, (alike,) * 3, Timing(1, 1),
        dict.fromkeys(methods, Timing(1, 1)), {}, {}, "", 0, "numpy", {"x": x}, {}, {},
    ).save(tmp_path / "c")  # fmt: skip
    page, html = folder_page(tmp_path / "c")
    assert page.remark == "The first 1 of 3 targets are shown."
    assert "The first 35 of 50 methods are shown." in html
    assert len(html) < 3_000_000


def test_a_page_of_far_too_many_methods_stays_small(tmp_path: Path) -> None:
    methods, points = [f"method {i}" for i in range(60)], [i / 79 for i in range(80)]
    scores = [f"pixel_flipping.{i}.most_minus_least" for i in range(30)]
    curve = {"x": points, "mean": points, "low": points, "high": points}
    (tmp_path / "e").mkdir()
    evaluation(tmp_path / "one")
    document = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    document |= {
        "methods": methods,
        "headlines": scores,
        "better": dict.fromkeys(scores, "higher"),
        "scores": {m: {s: {"mean": 1, "low": 0, "high": 2, "count": 3} for s in scores} for m in methods},
        "differences": {},
        "curves": {f"pixel_flipping.{i}.most": dict.fromkeys(methods, curve) for i in range(30)},
    }
    (tmp_path / "e" / "evaluation.json").write_text(json.dumps(document))
    _, html = folder_page(tmp_path / "e")
    assert "The first 40 of 60 methods are shown." in html
    assert len(html) < 3_000_000


def test_the_command(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    array(tmp_path / "a.npy", [[1, 2]])
    array(tmp_path / "b.npy", [[2, 1]])
    assert cli("audit", "m.onnx", "a.npy", "--quick", "-o", "audit")[0] == 0
    assert cli("run", "m.onnx", "a.npy", "b.npy", "-o", "many")[0] == 0
    code, out, err = cli("report", "audit", "-o", "audit.html")
    assert (code, err) == (0, "")
    assert "shows    audit of " in out
    code, out, _ = cli("report", "many", "-o", "many.html", "--json")
    assert (code, json.loads(out)["title"]) == (0, "2 explanations")
    assert "</html>" in (tmp_path / "many.html").read_text("utf-8")


def test_what_the_command_refuses(cli: Cli, tmp_path: Path, folders: dict[str, Path]) -> None:
    shutil.copytree(folders["audit"], tmp_path / "two")
    shutil.copy(folders["compare"] / "compare.json", tmp_path / "two")
    for name, text in (
        ("strange", '{"schema": "audit/1"}'),
        ("broken", "{"),
        ("newer", '{"schema": "onnxdtd.audit/2"}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "audit.json").write_text(text)
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "audit.json").symlink_to("audit.json")
    for arguments, words in (
        (("two",), "holds audit.json and compare.json"),
        (("strange",), "holds no result of onnxdtd"),
        (("broken",), "'broken/audit.json' cannot be read"),
        (("newer",), "another version wrote it"),
        (("loop",), "'loop/audit.json' cannot be read"),
        (("two", "x.npy"), "is shown as it is: leave out x.npy"),
        (
            ("two", "-m", "dtd", "--input-range", "0", "1", "--no-audit"),
            "leave out --method, --input-range, --no-audit",
        ),
        (("none",), "'none' is not there"),
    ):
        code, _, err = cli("report", *arguments)
        assert (code, words in err) == (2, True), err


def test_results_are_read_inside_the_folder_only(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["results"], tmp_path / "r")
    path = tmp_path / "r" / "results.json"
    document = json.loads(path.read_text())
    document["results"][0]["folder"] = "../explanation"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="lie elsewhere"):
        folder_page(tmp_path / "r")
