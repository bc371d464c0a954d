"""Inputs, settings and results with faults."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tools.fuzz.models import damaged
from tools.fuzz.words import FLOATS, NAMES, NUMBERS, TEXTS, pick

SHAPES = (
    "(1, 13)",
    "(True, 13)",
    "(-1, 13)",
    "()",
    "(0, 13)",
    "(99999999999, 13)",
    "(13,)",
    "1",
    "(1.5,)",
    "(1, 13, 1)",
)
TYPES = (
    "'<f4'",
    "'>f8'",
    "'|O'",
    "('<f4',)",
    "[('a', '<f4')]",
    "'<U5'",
    "'|V3'",
    "None",
    "'nonsense'",
    "'<i8'",
    "'|b1'",
)

OPTIONS = (
    "--target", "--set", "--only", "--keep", "--sample", "--method", "--engine", "--fixed", "--timeout", "--memory",
    "--resize", "--crop", "--scale", "--bias", "--max-steps", "-o",
)  # fmt: skip


def write_input(folder: Path, good: Path, rng: np.random.Generator) -> Path:
    """A file that a model might be given."""
    kind = int(rng.integers(9))
    suffix = pick(rng, (".npy", ".npz", ".csv", ".pb", ".png", ".jpg"))
    path = folder / f"x{suffix}"
    if kind == 0:
        path = folder / f"x{good.suffix}"
        path.write_bytes(damaged(good.read_bytes(), rng))
    elif kind == 1:
        path = folder / "x.npy"
        path.write_bytes(_npy(rng))
    elif kind == 2:
        path = folder / "x.npz"
        path.write_bytes(_npz(good, rng))
    elif kind == 3:
        os.mkfifo(path)
    elif kind == 4:
        path.symlink_to(pick(rng, ("/dev/zero", "/dev/null", path.name, "/", "nowhere")))
    elif kind == 5:
        path.write_bytes(rng.bytes(int(rng.integers(0, 2_000))))
    elif kind == 6:
        path = folder / "x.csv"
        path.write_text(
            "\n".join(",".join(str(pick(rng, [*FLOATS, *NAMES])) for _ in range(13)) for _ in range(3)),
            "utf-8",
        )
    elif kind == 7:
        path = folder / "x.npy"
        x = np.load(good).astype(np.float32)
        x.reshape(-1)[rng.integers(x.size, size=2)] = [pick(rng, FLOATS), pick(rng, FLOATS)]
        np.save(path, x)
    else:
        return good
    return path


def _npy(rng: np.random.Generator) -> bytes:
    order = pick(rng, ("False", "True", "1", "'C'"))
    text = f"{{'descr': {pick(rng, TYPES)}, 'fortran_order': {order}, 'shape': {pick(rng, SHAPES)}, }}"
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + rng.bytes(52)


def _npz(good: Path, rng: np.random.Generator) -> bytes:
    file, row = io.BytesIO(), io.BytesIO()
    np.save(row, np.load(good))
    method = pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(file, "w", method) as archive:
        for _ in range(int(rng.integers(1, 4))):
            content = pick(rng, (row.getvalue(), _npy(rng), bytes(2**22)))
            archive.writestr(f"{pick(rng, [name for name in NAMES if len(name) < 400])}.npy", content)
    content = file.getvalue()
    return damaged(content, rng) if rng.random() < 0.5 else content


def write_settings(folder: Path, rng: np.random.Generator) -> list[str]:
    """Options with a file of settings."""
    kind = pick(rng, ("--rules", "--preprocess", "--labels", "--features"))
    path = folder / pick(rng, ("s.toml", "s.json", "s.txt"))
    match int(rng.integers(6)):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to(pick(rng, ("/dev/zero", path.name, "/")))
        case 2:
            path.write_text(pick(rng, ("[" * 50_000, "a = " + "[" * 900, "{" * 900, "\ufeff{}", "")), "utf-8")
        case 3:
            path.write_bytes(rng.bytes(200))
        case 4:
            path = folder / "s.toml"
            use = pick(rng, ("gamma", "epsilon", "zbox", "alpha_beta", "stop", "nonsense"))
            name = pick(rng, ("gamma", "epsilon", "low", "high", "alpha", "beta", "bias"))
            value = pick(
                rng,
                ("-5", "1e308", "inf", "nan", "[]", "[[1],[2,3]]", "true", "'x'", "9" * 500, "0", "1e-300"),
            )
            path.write_text(f"[[rule]]\nop = 'Gemm'\nuse = '{use}'\n{name} = {value}\n")
        case _:
            path = folder / "s.json"
            path.write_text(
                json.dumps({pick(rng, ("mean", "std", "scale", "resize", "crop", "color")): _value(rng)})
            )
    return [kind, str(path)]


def _value(rng: np.random.Generator) -> Any:
    return pick(rng, [*NUMBERS, *NAMES, 10**400, [], [0], [1, 1], [10**400] * 3, {}, None, True])


def options(rng: np.random.Generator) -> list[str]:
    """Options with values that they should not have."""
    name = pick(rng, OPTIONS)
    value = pick(rng, [text for text in TEXTS if "\0" not in text])
    return (
        [name, value]
        if name != "-o"
        else [name, pick(rng, ("/", ".", "/proc/x", "/dev/null", "x" * 300, "ring"))]
    )


def write_result(folder: Path, rng: np.random.Generator) -> None:
    """What a result's folder might hold already."""
    path = folder / "onnxdtd-out"
    path.mkdir()
    manifest = path / "explanation.json"
    match int(rng.integers(5)):
        case 0:
            os.mkfifo(manifest)
        case 1:
            manifest.symlink_to("/dev/zero")
        case 2:
            manifest.write_text("[" * 100_000)
        case 3:
            manifest.write_text(json.dumps({"schema": "onnxdtd.explanation/1", "files": _value(rng)}))
        case _:
            (path / "a stranger's").write_text("file")


def damage_one(folder: Path, rng: np.random.Generator) -> None:
    """One file of a folder: cut, changed, a device, a pipe, gone, or JSON of another shape."""
    path = pick(rng, sorted(p for p in folder.rglob("*") if p.is_file()))
    content = path.read_bytes()
    path.unlink()
    match int(rng.integers(6)):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to(pick(rng, ("/dev/zero", path.name, "/", "nowhere")))
        case 2:
            path.write_bytes(
                pick(rng, (b"", b"[" * 100_000, b"null", b"[]", b"{}", b"\xff\xfe\0", b"PAR1PAR1"))
            )
        case 3 if path.suffix == ".json":
            document = json.loads(content)
            document[pick(rng, sorted(document))] = _value(rng)
            path.write_text(json.dumps(document), "utf-8")
        case 4:
            pass
        case _:
            path.write_bytes(damaged(content, rng))
