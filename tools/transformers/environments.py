"""Virtual environments of their own, since the versions that the exporters need clash."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tools.paths import ROOT

COMMON = ("torch==2.13.0", "onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.32.0")
PACKAGES: dict[str, tuple[str, ...]] = {
    "export": (*COMMON, "transformers==5.24.0", "sympy", "coloredlogs"),
    "optimum": (*COMMON, "optimum-onnx==0.1.0", "transformers<4.58"),
    "genai": (*COMMON, "transformers==5.24.0", "onnxruntime-genai==0.18.0", "onnx_ir"),
    "lxt": (*COMMON, "transformers==4.52.4", "lxt==2.1"),
    "timm": (*COMMON, "pyyaml", "huggingface_hub", "safetensors", "pillow"),
}
BARE = {"timm": ("torchvision==0.28.0", "timm==1.0.31")}
"""Installed without what they ask for: torchvision's compiled part wants a PyTorch with CUDA."""


def python(folder: Path, name: str) -> Path:
    """The interpreter of an environment, which is made where it is not there yet (minutes, 1 to 2 GB)."""
    home = folder / "environments" / name
    path = home / "bin" / "python"
    if not (home / "complete").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([path, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
        for package in BARE.get(name, ()):
            subprocess.run([path, "-m", "pip", "install", "--quiet", "--no-deps", package], check=True)
        (home / "complete").touch()
    return path


def run(interpreter: Path, arguments: Sequence[str]) -> str:
    """Run a module; the result is "" or the last line of what went wrong."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(
        [interpreter, "-W", "ignore", "-m", *arguments], env=environment, capture_output=True, text=True
    )
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    print(f"{' '.join(arguments)}: {lines[-1]}", file=sys.stderr)
    return lines[-1]
