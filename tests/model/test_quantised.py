"""What onnxruntime's quantisation writes is refused by name, whichever form it takes; its plain parts are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from onnxdtd import Explainer, UnsupportedError, check
from tests.support.paths import MODELS

MODEL = MODELS / "mnist_cnn.onnx"

pytestmark = pytest.mark.filterwarnings("ignore")


class Digits(CalibrationDataReader):
    """Two digits of noise, which is enough to calibrate on."""

    def __init__(self) -> None:
        self.rows = iter(np.random.default_rng(0).random((2, 1, 1, 28, 28)).astype(np.float32))

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        return None if row is None else {"image": row}


def test_dynamic(tmp_path: Path) -> None:
    quantize_dynamic(MODEL, tmp_path / "q.onnx", weight_type=QuantType.QUInt8)
    refused(tmp_path / "q.onnx", "DynamicQuantizeLinear")


@pytest.mark.parametrize(
    ("form", "op"), [(QuantFormat.QDQ, "QuantizeLinear"), (QuantFormat.QOperator, "QuantizeLinear")]
)
def test_static(form: QuantFormat, op: str, tmp_path: Path) -> None:
    quantize_static(MODEL, tmp_path / "q.onnx", Digits(), quant_format=form)
    refused(tmp_path / "q.onnx", op)


def refused(path: Path, op: str) -> None:
    survey = check(path)
    assert not survey.ok
    assert any(f" {op} " in fault and "quantised" in fault for fault in survey.faults)
    with pytest.raises(UnsupportedError, match=op):
        Explainer(path).plan()
