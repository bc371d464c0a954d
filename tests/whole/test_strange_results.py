"""A folder that calls itself a result: every field is of its type and goes with the others, or a line says which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from typing_extensions import TypeAliasType

from onnxdtd.cli import main
from onnxdtd.errors import InputError
from onnxdtd.explanation import Explanation
from onnxdtd.hints import fits
from tests.whole.test_explanation import example


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example().save(tmp_path_factory.mktemp("result") / "r")


def spoilt(folder: Path, to: Path, **changes: Any) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        if path.suffix == ".npz":
            (to / path.name).write_bytes(path.read_bytes())
    document = {**json.loads((folder / "explanation.json").read_text()), **changes}
    (to / "explanation.json").write_text(json.dumps(document))
    return to


STRANGE: dict[str, list[Any]] = {
    "target": [["a", "b"], [[[1]], [[[0]]]], [[[1]], [[-999]]], [[[3]], [[0]]], [[[1]]], [[["x"]], [[0]]], 5, None,
               [[[1, 1]], [[0]]], [[[True]], [[0]]], [[[10**30]], [[0]]]],
    "model": [5, [], "net", {"path": 5}, {"name": []}],
    "output": ["z", 5, None, []],
    "target_value": [[10**400, 1], [1], 1, ["one", "two"], None],
    "seed": [[1, 2, 3], {}, [[1, 2], [3]]],
    "nodes": [[5], [{}], {}, [{"name": 1}], "nodes"],
    "labels": ["abc", [1, 2], [None], 5],
    "features": [[1], 5],
    "notes": [[5], 5, None],
    "warnings": [[["a"]], 7],
    "batch_axis": [5, "0", 0.5, -7],
    "class_axis": [4, None, "x"],
    "corners": [[[1, 2, 3, "x"], None], [[1, 2], None], [None]],
    "texts": [{"x": [{"tokens": 5}]}, {"x": 5}, {"other": []}, []],
    "past": [["other"], 5], "masks": [[[]]], "start": [[5]], "only": [[], {"x": 5}, {"x": {"1": ["a"]}}],
    "extras": [[], 5], "findings": [[5], 5], "sentence": [5, None], "question": [[]], "method": [None, 5],
    "reason": [5], "engine": [{}], "provider": [[]], "versions": [[], {"numpy": 2}],
    "relevance": [{}, [], {"x": 5}, None], "inputs": [{"x": {}}, 5], "kept": [5],
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_field_is_told(folder: Path, tmp_path: Path, name: str) -> None:
    for i, value in enumerate(STRANGE[name]):
        strange = spoilt(folder, tmp_path / str(i), **{name: value})
        if (name, value) == ("relevance", {}):
            continue  # it is allowed to have no arrays, as of a model of integers
        with pytest.raises(InputError) as error:
            Explanation.load(strange)
        assert "\n" not in str(error.value), value


def test_the_result_itself_is_read(folder: Path, tmp_path: Path) -> None:
    assert Explanation.load(spoilt(folder, tmp_path / "same", unknown=5)) == example()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"[" * 100_000, b'{"schema": ' * 5_000, b"\xff\xfe", b"NaN"]
)
def test_hostile_json_is_told(folder: Path, tmp_path: Path, content: bytes, capsys: Any) -> None:
    strange = spoilt(folder, tmp_path / "r")
    (strange / "explanation.json").write_bytes(content)
    with pytest.raises(InputError):
        Explanation.load(strange)
    assert main(["report", str(strange), "-o", str(tmp_path / "page.html")]) == 2
    assert "Traceback" not in capsys.readouterr().err


S = TypeVar("S", bound=np.generic)
NAMED = TypeAliasType("NAMED", np.ndarray[Any, np.dtype[S]], type_params=(S,))
"""As newer versions of NumPy write `NDArray`, from Python 3.12 on."""


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, float, True), (True, float, False), (True, int, False), (1.5, int, False), (None, str | None, True),
        ({"a": 1}, Mapping[str, int], True), ({"a": "b"}, Mapping[str, int], False), ((1, 2), tuple[int, ...], True),
        ((1, 2), tuple[int, int], True), ((1,), tuple[int, int], False), ([1], tuple[int, ...], False),
        (np.zeros(2), np.ndarray[Any, Any], True), ([0.0], np.ndarray[Any, Any], False), (["a"], list[int], False),
        (np.zeros(2), NAMED[Any], True), ([0.0], NAMED[Any], False),
    ],
)  # fmt: skip
def test_what_is_of_a_type(value: Any, hint: Any, expected: bool) -> None:
    assert fits(value, hint) is expected
