"""The README tells the truth: its tables are up to date and its example prints what its comments say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.support.paths import MODELS, ROOT
from tools.tables import PAGES, filled

pytestmark = pytest.mark.quick

TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_are_up_to_date(page: Path) -> None:
    assert filled(page) == page.read_text("utf-8"), "run python -m tools.tables"


def test_the_first_block_is_two_commands() -> None:
    lines = TEXT.split("```")[1].strip().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("pip install . && onnxdtd run ")
    assert lines[1] == 'pip install ".[test]" && pytest'


def test_the_example_prints_what_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(MODELS)
    expected = [line.split("# ")[-1].strip() for line in block.splitlines() if line.startswith("print(")]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(block, "README.md", "exec"), {})
    assert output.getvalue().splitlines() == expected
    assert (tmp_path / "out" / "digit" / "explanation.json").is_file()


def test_it_stays_short() -> None:
    assert len(TEXT.splitlines()) <= 250
