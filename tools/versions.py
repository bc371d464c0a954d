"""The quick tests in an environment of their own: another Python, or the lowest versions that pyproject.toml allows.

    python -m tools.versions --lowest            # or tools/check --lowest
    python -m tools.versions --python python3.13 # the newest versions, with this Python
    python -m tools.versions --lowest tests/cli  # words for pytest, in the place of -m quick
    python -m tools.versions --resolve 3.14      # whether another Python has wheels of everything; installs nothing

Needs pip, an index of packages and the extra `dev`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from tools.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
QUICK = ("-m", "quick")
OLD = ("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")
"""Old packages use what newer ones beside them will do without."""


def requirements(*extras: str) -> Iterator[Requirement]:
    """What the package asks for with these extras, those that name further extras of ours unfolded."""
    listed = [*PROJECT["dependencies"]] if not extras else []
    for extra in extras:
        listed += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, listed):
        if requirement.name == PROJECT["name"]:
            yield from requirements(*sorted(requirement.extras))
        else:
            yield requirement


def lowest(requirement: Requirement) -> str:
    """`name==version`, of the least version that is allowed."""
    (least,) = (bound.version for bound in requirement.specifier if bound.operator == ">=")
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={least}"


def tried(packages: list[str], interpreter: str, words: list[str]) -> int:
    """Install and test; pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        print(*packages, flush=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        return subprocess.run([python, "-m", "pytest", *OLD, *(words or QUICK)], cwd=ROOT).returncode


def resolved(packages: list[str], version: str) -> int:
    """Whether pip finds a wheel of everything for another Python; its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        where = ["--dry-run", "--only-binary=:all:", "--python-version", version, "--target", folder]
        return subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", *where, *packages]
        ).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--resolve", metavar="VERSION")
    asked, rest = parser.parse_known_args()
    everything = [*requirements(), *requirements("test")]
    packages = sorted({lowest(r) if asked.lowest else str(r) for r in everything})
    sys.exit(resolved(packages, asked.resolve) if asked.resolve else tried(packages, asked.python, rest))
