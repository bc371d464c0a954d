"""What the forward pass leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxdtd.walk.forward import Forward
from tests.support.model_text import graph

STATUS = Path("/proc/self/status")
SIZE = 1 << 24
"""Numbers of a value: 64 MiB, which the C library takes from the system for itself and gives back at once."""


def resident() -> int:
    """Bytes of this process in memory."""
    return 1024 * next(int(s.split()[1]) for s in STATUS.read_text().splitlines() if s.startswith("VmRSS"))


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
def test_what_is_dropped_of_the_activations_is_free() -> None:
    """A walk drops each as it passes it, and needs the room."""
    text = f"(float[N, {SIZE}] x) => (float[N, {SIZE}] y) {{ h = Relu(x) g = Abs(h) y = Neg(g) }}"
    forward = Forward(graph(text), ["h", "g", "y"], ["CPUExecutionProvider"])
    x = np.ones((1, SIZE), np.float32)
    before = resident()
    values = forward({"x": x})
    assert resident() - before > 2.9 * x.nbytes
    del values["h"], values["g"]
    assert resident() - before < 1.5 * x.nbytes
