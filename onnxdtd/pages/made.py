"""How a result was made: what all folders tell, so that a second person comes to the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onnxdtd.report.document import Section
from onnxdtd.report.tables import pairs


def settings(
    model: Mapping[str, Any], versions: Mapping[str, Any], rows: Iterable[tuple[str, object]]
) -> Section:
    """model: as explanation.json tells of it. rows: what this kind of result tells besides."""
    opset = model.get("opset")
    opsets = (
        (f"{domain or 'ai.onnx'} {version}" for domain, version in opset.items())
        if isinstance(opset, dict)
        else ()
    )
    shown = [
        ("model", called(model)),
        ("sha256 of the model", model.get("sha256")),
        ("opset", ", ".join(opsets)),
        *rows,
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    return Section("settings", "How it was made", [pairs(shown)], "settings")


def called(model: Mapping[str, Any]) -> str:
    """A model's file, or its name."""
    return Path(str(model.get("path") or "")).name or str(model.get("name") or "model")


def spelled(value: Any) -> str:
    """A setting in words."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} {spelled(entry)}" for name, entry in value.items() if entry not in (None, {}, [], "")
        )
    if isinstance(value, (list, tuple)):
        return ", ".join(map(spelled, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
