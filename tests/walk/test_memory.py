"""What the forward pass leaves behind."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from onnxdtd.walk.forward import Forward
from tests.support.model_text import graph

STATUS = Path("/proc/self/status")
SIZE = 1 << 24
"""Numbers of a value: 64 MiB, which the C library takes from the system by itself and gives back at once."""


def resident() -> int:
    """Bytes of this process in memory."""
    return 1024 * next(int(s.split()[1]) for s in STATUS.read_text().splitlines() if s.startswith("VmRSS"))


def kept_and_dropped() -> tuple[float, float]:
    """Memory that a forward pass takes, and what stays of it once two of its three values are dropped: in values."""
    text = f"(float[N, {SIZE}] x) => (float[N, {SIZE}] y) {{ h = Relu(x) g = Abs(h) y = Neg(g) }}"
    forward = Forward(graph(text), ["h", "g", "y"], ["CPUExecutionProvider"])
    x = np.ones((1, SIZE), np.float32)
    before = resident()
    values = forward({"x": x})
    kept = resident() - before
    del values["h"], values["g"]
    return kept / x.nbytes, (resident() - before) / x.nbytes


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
def test_what_is_dropped_of_the_activations_is_free() -> None:
    """A walk drops each as it passes it, and needs the room.

    In a process of its own: where the heap has large holes, as other tests leave them, the C library takes the values
    from these and keeps them.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        kept, dropped = pool.apply_async(kept_and_dropped).get(120)
    assert kept > 2.9
    assert dropped < 1.5
