"""`python -m tools.first_minutes.flowers FOLDER`: a model of one's own: flowers told apart by scikit-learn, as ONNX.

Writes flowers.onnx and flowers.csv, five rows under the names of their columns. Needs scikit-learn, pandas and
skl2onnx, and nothing of onnxdtd.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    """Train, export, and write some rows that were held out."""
    parser = argparse.ArgumentParser(prog="tools.first_minutes.flowers", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    data = load_iris(as_frame=True)
    rows = data.data.sample(frac=1, random_state=0).astype("float32")
    rows.columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in rows.columns]
    model = make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=2000, random_state=0))
    model.fit(rows[5:].to_numpy(), data.target.loc[rows.index[5:]])
    folder.mkdir(parents=True, exist_ok=True)
    proto = to_onnx(model, rows[:1].to_numpy(), options={"zipmap": False})
    (folder / "flowers.onnx").write_bytes(proto.SerializeToString())
    rows[:5].to_csv(folder / "flowers.csv", index=False)


if __name__ == "__main__":
    main()
