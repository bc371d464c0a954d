"""For every test: one seeded generator, the command line, and no cache on disk but where a test asks for one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import Cli, command_line

os.environ["ONNXDTD_CACHE"] = ""  # also for the processes that tests start: nothing goes into a real home


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20221111)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli(*arguments)` in an empty folder: exit code, stdout and stderr."""
    return command_line(capsys, tmp_path, monkeypatch)
