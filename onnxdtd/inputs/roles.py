"""What an input of integers says of tokens, by the name that it was exported with."""

from __future__ import annotations

ROLES = {"mask": ("mask",), "types": ("type", "segment"), "positions": ("position",)}


def role(name: str) -> str:
    """ids (which token it is), unless the name says mask, types or positions."""
    words = name.lower()
    return next((role for role, parts in ROLES.items() if any(part in words for part in parts)), "ids")
