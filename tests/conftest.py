"""For every test: one seeded generator, and no cache on disk but where a test asks for one."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ["ONNXDTD_CACHE"] = ""  # also for the processes that tests start: nothing goes into a real home


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20221111)
