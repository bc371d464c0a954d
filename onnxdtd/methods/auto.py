"""`auto`: which method fits the graph, and why."""

from __future__ import annotations

DEEP = 8


def choose(layers: int) -> tuple[str, str]:
    """(method, reason) for a network with that many convolutions and dense layers in a row.

    Rules that use positive weights only forget the upper layers as depth grows (Sixt, Granz and Landgraf 2020),
    so a deep network takes `composite`, which keeps inhibition in its upper half.
    """
    if layers > DEEP:
        return (
            "composite",
            f"{layers} convolutions and dense layers in a row, more than {DEEP}: rules by depth",
        )
    return (
        "dtd",
        f"{layers} convolutions and dense layers in a row, at most {DEEP}: rules derived from domains",
    )
