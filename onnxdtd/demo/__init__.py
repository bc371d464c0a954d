"""A tiny model and a digit that it reads, which come with the package: a residual network, trained on MNIST (as
`models/mnist_resnet.onnx`, which `models/README.md` describes)."""

from importlib.resources import files
from pathlib import Path

MODEL, INPUT = "digit.onnx", "digit.npy"


def copied(folder: Path) -> tuple[Path, Path]:
    """Model and input as files in a folder that is there. Raises OSError."""
    paths = (folder / MODEL, folder / INPUT)
    for path in paths:
        path.write_bytes(files(__name__).joinpath(path.name).read_bytes())
    return paths
