"""Options that several commands share, and how they become arguments of the public API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import onnxdtd
from onnxdtd.errors import UsageError

Model = Annotated[Path, typer.Argument(help="The ONNX model.", show_default=False)]
Method = Annotated[str, typer.Option("--method", "-m", help="auto, or one of `onnxdtd methods`.")]
Rules = Annotated[Path | None, typer.Option("--rules", help="TOML file with rules for chosen nodes.")]
Bias = Annotated[
    str | None,
    typer.Option("--bias", help="absorb (biases take their share) or redistribute (all goes to the inputs)."),
]
InputRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--input-range", metavar="LO HI", help="The input's range, such as 0 1; Deep Taylor uses it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]


def preprocessing(file: Path | None, flags: Mapping[str, Any], metadata: Mapping[str, str]) -> Any:
    """The Preprocess that file, flags and the model's metadata ask for, flags first; None where none does."""
    given = {key: value for key, value in flags.items() if value is not None}
    base = onnxdtd.Preprocess.from_file(file) if file else onnxdtd.Preprocess.from_metadata(metadata)
    if not given:
        return base
    return onnxdtd.Preprocess.from_mapping({**(vars(base) if base else {}), **given})


def size(text: str | None) -> int | tuple[int, int] | None:
    """`224` or `224,320` (height, width)."""
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if not 1 <= len(parts) <= 2 or not all(p.strip().isdigit() for p in parts):
        raise UsageError(f"a size is N or H,W, not '{text}'")
    numbers = [int(p) for p in parts]
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def numbers(text: str | None) -> tuple[float, ...] | None:
    """`127.5` or `104,117,123`."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected a number, or one per channel with commas between, not '{text}'") from None
