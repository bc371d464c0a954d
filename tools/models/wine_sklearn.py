"""Fit scikit-learn's StandardScaler and MLPClassifier to its wine data and convert the pipeline.

    pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
    python -m tools.models.wine_sklearn               # a second

Writes wine_mlp.onnx and wine_sample.npy, one held-out wine.
"""

from __future__ import annotations

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tools.models.common import MODELS, OPSET, accuracy, finish

SAMPLE = 1  # its place among the held-out wines


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Train x (124, 13), held-out x (54, 13), both float32; train and held-out labels; stratified."""
    x, labels = load_wine(return_X_y=True)
    parts = train_test_split(x.astype(np.float32), labels, test_size=0.3, stratify=labels, random_state=0)
    train_x, held_x, train_labels, held_labels = parts
    return train_x, held_x, train_labels, held_labels


def main() -> None:
    train_x, held_x, train_labels, held_labels = split()
    network = MLPClassifier(
        (16, 8), activation="relu", solver="lbfgs", alpha=1.0, max_iter=500, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), network).fit(train_x, train_labels)
    wine = load_wine()
    model = convert_sklearn(
        pipeline, "wine_mlp", [("input", FloatTensorType([None, len(wine.feature_names)]))],
        target_opset=OPSET, options={"zipmap": False},
    )  # fmt: skip
    path = finish(
        model, "wine_mlp", held_x, labels=list(map(str, wine.target_names)), features=wine.feature_names
    )
    np.save(MODELS / "wine_sample.npy", held_x[SAMPLE : SAMPLE + 1])
    expected = pipeline.score(held_x, held_labels)
    print(f"held-out accuracy {accuracy(path, held_x, held_labels):.1%}, by scikit-learn {expected:.1%}")


if __name__ == "__main__":
    main()
