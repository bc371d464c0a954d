"""Recurrent cells in every form; the first axis is time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.cell_oracle import NUMBERS, USUAL
from tests.support.single_op import Example, X, ex, w

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
SAMPLES, INPUTS, HIDDEN = 2, 3, 4
OTHERS = [
    "Relu",
    "Affine",
    "LeakyRelu",
    "ThresholdedRelu",
    "ScaledTanh",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "Softplus",
]
ALPHAS = {
    "Affine": 0.6,
    "LeakyRelu": 0.3,
    "ThresholdedRelu": 0.1,
    "ScaledTanh": 1.2,
    "HardSigmoid": 0.3,
    "Elu": 0.8,
}
BETAS = {"Affine": 0.1, "ScaledTanh": 0.7, "HardSigmoid": 0.4}


def cell(
    op: str, note: str, *, steps: int = 5, directions: int = 1, bias: bool = True, lengths: Any = None,
    states: bool = False, peepholes: bool = False, **attributes: Any,
) -> Example:  # fmt: skip
    gates = GATES[op]
    state = X((directions, SAMPLES, HIDDEN))
    inputs = [
        X((steps, SAMPLES, INPUTS)),
        w(directions, gates * HIDDEN, INPUTS) * 0.7,
        w(directions, gates * HIDDEN, HIDDEN) * 0.7,
        w(directions, 2 * gates * HIDDEN) if bias else None,
        None if lengths is None else np.array(lengths, np.int32),
        state if states else None,
    ]
    if op == "LSTM":
        inputs += [state if states else None, w(directions, 3 * HIDDEN) if peepholes else None]
    return ex(op, *inputs, note=note, fixed=True, hidden_size=HIDDEN, **attributes)


def curved(op: str, name: str, place: int) -> Example:
    names = [*USUAL[GATES[op]]]
    names[place] = name
    numbers: dict[str, Any] = {}
    if NUMBERS.get(name, 0) > 0:
        numbers["activation_alpha"] = [ALPHAS[name]]
    if NUMBERS.get(name, 0) > 1:
        numbers["activation_beta"] = [BETAS[name]]
    return cell(op, f"{name}-{place}", steps=3, activations=names, **numbers)


BOTH = {"directions": 2, "direction": "bidirectional"}
FORMS = [
    form
    for op in GATES
    for form in (
        cell(op, "forward"),
        cell(op, "one-step", steps=1, states=True),
        cell(op, "reverse", direction="reverse", bias=False),
        cell(op, "bidirectional", states=True, **BOTH),
        cell(op, "lengths", lengths=[2, 5], states=True),
        cell(op, "lengths-reverse", lengths=[5, 3], states=True, direction="reverse"),
        cell(op, "lengths-bidirectional", lengths=[1, 4], **BOTH),
        cell(op, "clip", clip=0.6, states=True),
    )
]
ONLY = [
    cell("LSTM", "peepholes", peepholes=True, states=True),
    cell("LSTM", "peepholes-lengths", peepholes=True, lengths=[3, 5], states=True, **BOTH),
    cell("LSTM", "coupled", input_forget=1, states=True),
    cell("LSTM", "coupled-peepholes", input_forget=1, peepholes=True),
    cell("GRU", "late-reset", linear_before_reset=1, states=True),
    cell("GRU", "late-reset-lengths", linear_before_reset=1, lengths=[3, 5], states=True, **BOTH),
    cell("LSTM", "two-kinds", activations=["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Softsign", "Relu"],
         activation_alpha=[0.3], activation_beta=[0.4], **BOTH),
]  # fmt: skip
CURVED = [curved(op, name, len(USUAL[GATES[op]]) - 1) for op in GATES for name in [*OTHERS, "Sigmoid"]]
CURVED += [curved(op, name, 0) for op in ("LSTM", "GRU") for name in ("HardSigmoid", "Relu", "Softsign")]
CURVED += [curved("LSTM", name, 1) for name in ("HardSigmoid", "Elu", "Softplus")]

EXAMPLES = [*FORMS, *ONLY, *CURVED]
