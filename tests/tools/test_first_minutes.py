"""The stories of users that need no package: each command ends, says and writes what it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.first_minutes.case import users
from tools.first_minutes.stories import STORIES


@pytest.mark.parametrize("story", ["tables", "operations"])
def test_first_minutes(story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, faults = users(STORIES[story](tmp_path / "none", tmp_path))
    assert faults == []
    assert "$ onnxdtd run" in text
