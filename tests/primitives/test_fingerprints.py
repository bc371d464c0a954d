"""Equal data are found, whatever their first look says, and others are not read for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.primitives import Tracer, stored

N = 1000  # of float32: every 15th is looked at first


def ramp(*changes: tuple[int, float]) -> Any:
    data = np.arange(N, dtype=np.float32)
    for place, value in changes:
        data[place] = value
    return data


def test_a_copy_is_written_once_and_one_other_element_is_another_constant() -> None:
    tracer = Tracer(17)
    data = [ramp(), ramp((1, -1.0)), ramp(), ramp((1, -2.0)), ramp((1, -1.0)), ramp((0, -1.0))]
    names = [tracer.constant(array).name for array in data]
    assert names[0] == names[2]
    assert names[1] == names[4]
    assert len(set(names)) == len(tracer.constants) == 4
    assert tracer.label(ramp((1, -2.0))) == names[3]
    assert tracer.label(ramp((1, -3.0))) is None
    for name, array in zip(names, data, strict=True):
        np.testing.assert_array_equal(tracer.constants[name], array)


@pytest.mark.parametrize("other", [ramp().reshape(10, 100), ramp().view(np.int32)])
def test_the_same_bytes_of_another_shape_or_type_are_another_constant(other: Any) -> None:
    tracer = Tracer(17)
    assert tracer.constant(ramp()).name != tracer.constant(other).name


def test_weights_that_differ_at_first_sight_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: Any) -> bytes:
        raise AssertionError("all of it was read")

    monkeypatch.setattr(stored, "_sum", refuse)
    tracer, data = Tracer(17), ramp().reshape(20, 50)
    assert tracer.constant(data).name == tracer.label(stored.stored(data.T)[0])
    tracer.constant(ramp((0, -1.0)).reshape(20, 50))
    with pytest.raises(AssertionError):
        tracer.constant(ramp().reshape(20, 50))
