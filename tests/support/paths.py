"""Where the tests find what ships with the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
GOLDENS = ROOT / "tests" / "goldens"
EXPORTS = ROOT / "tests" / "exports"
DOCS = ROOT / "docs"
FIGURES = DOCS / "figures"
