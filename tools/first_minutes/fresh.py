"""`python -m tools.first_minutes.fresh MODEL INPUT --out FILE`: from an empty folder to a report of one's own model.

Three commands, each timed: an environment, the package, the report. The package is a wheel of this checkout, made
beforehand; all else comes from the package index that pip is set to. Exit code 1 where no report stands at the end.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.paths import FIGURES, ROOT

REPORT = "report.html"


def main() -> int:
    """Run the commands in an empty folder, print what each said and took, and keep it."""
    parser = argparse.ArgumentParser(prog="tools.first_minutes.fresh", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("input", type=Path)
    parser.add_argument("--out", type=Path, default=FIGURES / "first_minutes" / "fresh.txt")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, made = Path(place) / "empty", Path(place) / "wheel"
        folder.mkdir()
        wheel = built(made)
        for file in (asked.model, asked.input):
            shutil.copy(file, folder)
        commands = [
            "python -m venv env",
            "env/bin/pip install onnxdtd",
            f"env/bin/onnxdtd report {asked.model.name} {asked.input.name} -o {REPORT}",
        ]
        pages = [f"Python {platform.python_version()}, {os.cpu_count()} cores"]
        for command in commands:
            pages.append(ran(command, folder, wheel))
            print(pages[-1], flush=True)
        report = folder / REPORT
        whole = report.is_file() and report.read_text("utf-8").endswith("</html>\n")
    asked.out.write_text("\n\n".join(pages) + "\n", "utf-8")
    return 0 if whole else 1


def built(folder: Path) -> Path:
    """A wheel of this checkout, made of a copy, since setuptools leaves its files beside what it reads."""
    copy = folder / "source"
    copy.mkdir(parents=True)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "onnxdtd", copy / "onnxdtd", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(copy), "-w", str(folder)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def ran(command: str, folder: Path, wheel: Path) -> str:
    """One command: what was typed, the last lines that it said, its exit code and its time."""
    words = [str(wheel) if word == "onnxdtd" else word for word in command.split()]
    words[0] = sys.executable if words[0] == "python" else str(folder / words[0])
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    began = time.perf_counter()
    ended = subprocess.run(words, cwd=folder, env={**clean, "COLUMNS": "100"}, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    said = [
        line
        for line in (ended.stdout + ended.stderr).splitlines()
        if not line.startswith(("[notice]", "WARNING"))
    ]
    said = said[-1:] if "pip" in command else said
    shown = "\n".join(said).replace(str(folder), ".").replace(str(ROOT), "onnxdtd")
    return f"$ {command}\n{shown}\n[exit {ended.returncode}, {seconds:.1f} s]"


if __name__ == "__main__":
    raise SystemExit(main())
