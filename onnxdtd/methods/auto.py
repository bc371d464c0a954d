"""`auto`: which method fits the graph, and why."""

from __future__ import annotations

DEEP = 8


def choose(layers: int, attends: bool = False) -> tuple[str, str]:
    """(method, reason) for a network with that many convolutions and dense layers in a row.

    attends: a product of two values behind a Softmax is on the way, which only AttnLRP's rules are made for.
    Rules that use positive weights only forget the upper layers as depth grows (Sixt, Granz and Landgraf 2020),
    so a deep network takes `composite`, which keeps inhibition in its upper half.
    """
    if attends:
        return "attnlrp", "attention: a Softmax whose result multiplies another value"
    count = (
        "1 convolution or dense layer" if layers == 1 else f"{layers} convolutions and dense layers in a row"
    )
    if layers > DEEP:
        return "composite", f"{count}, more than {DEEP}: rules by depth"
    return "dtd", f"{count}, at most {DEEP}: rules derived from domains"
