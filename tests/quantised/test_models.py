"""What onnxruntime's quantisation writes of a shipped model: the explained output is the quantised file's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from onnxdtd import Explainer, check
from tests.support.paths import MODELS
from tests.support.single_op import run_ort

MODEL, DIGIT = MODELS / "mnist_cnn.onnx", np.load(MODELS / "mnist_digit.npy")
FORMS = {
    "qdq": {"quant_format": QuantFormat.QDQ},
    "qdq, channels": {"quant_format": QuantFormat.QDQ, "per_channel": True},
    "operators": {"quant_format": QuantFormat.QOperator},
    "dynamic": None,
}
pytestmark = pytest.mark.filterwarnings("ignore")


class Digits(CalibrationDataReader):
    def __init__(self) -> None:
        images = np.load(MODELS / "mnist_heldout.npz")["images"][:16]
        self.rows = iter(images.astype(np.float32)[:, None, None] / 255)

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        return None if row is None else {"image": row}


@pytest.mark.parametrize("form", FORMS)
def test_the_output_is_that_of_the_file(form: str, tmp_path: Path) -> None:
    path, options = tmp_path / "q.onnx", FORMS[form]
    if options is None:
        quantize_dynamic(MODEL, path, weight_type=QuantType.QUInt8)  # which no processor lets overflow
    else:
        quantize_static(MODEL, path, Digits(), **options)
    expected = run_ort(onnx.load(path), {"image": DIGIT})
    assert check(path).ok
    maps = []
    for engine in ("numpy", "onnx"):
        e = Explainer(path, engine=engine)(DIGIT)
        np.testing.assert_allclose(e.outputs["logits"], expected, atol=1e-3)
        maps.append(e.relevance["image"])
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5 * np.abs(maps[0]).max())
