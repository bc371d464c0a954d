"""Where the tools read and write."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
EXPORTS = ROOT / "tests" / "exports"
GOLDENS = ROOT / "tests" / "goldens"
DOCS = ROOT / "docs"
FIGURES = DOCS / "figures"
