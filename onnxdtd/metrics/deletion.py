"""How fast does the class probability go when relevant pixels are deleted, and come when they are inserted?"""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.entries import Panel
from onnxdtd.metrics.case import Case, Measured
from onnxdtd.metrics.perturb import area, curves
from onnxdtd.registry import metric

SOURCE = "Petsiuk, Das and Saenko 2018"

CHANCE = Panel(up="class probability", bounds=(-0.02, 1.03), row="class probability")


@metric("deletion", better={"area": "lower"}, source=SOURCE, needs="probability", order=3, panel=CHANCE)
def deletion(case: Case) -> Measured:
    """Area under p(class | x with the k most relevant pixels set to the constant), over k from none to all.

    By the trapezoidal rule over the removed share, 0 to 1. Source: Petsiuk, Das and Saenko 2018.
    """
    _, chances = curves(case, 1, [("most", "constant")])["most", "constant"]
    return Measured({"area": area(chances)}, {"most": chances})


@metric(
    "insertion", better={"area": "higher"}, source=SOURCE, needs="probability",
    order=4, panel=replace(CHANCE, across="inserted share"),
)  # fmt: skip
def insertion(case: Case) -> Measured:
    """Area under p(class | the blurred input with its k most relevant pixels restored), over k from none to all.

    A table, which has no blur, starts from the data's mean, tokens from the constant. Restoring the most relevant
    first is removing the least relevant first, read backwards. Source: Petsiuk, Das and Saenko 2018.
    """
    _, chances = curves(case, 1, [("least", case.emptied)])["least", case.emptied]
    return Measured({"area": area(chances)}, {"most": chances[::-1]})
