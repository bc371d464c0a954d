"""Operators that no rule serves, each with its reason: what `onnxdtd check` and every refusal say.

Recurrence and control flow keep a place in the house: an LSTM's site, once written, is one file beside this one.
"""

from __future__ import annotations

from onnxdtd.domains.interval import ANY, SIGNED_UNIT, At, Domain
from onnxdtd.registry import without_site


def _of_state(at: At) -> Domain:
    """The hidden state is gate * tanh or tanh; the cell state of an LSTM has no bound."""
    return ANY if at.index > 1 or "activations" in at.node.attributes else SIGNED_UNIT


without_site(
    "refuse", "LSTM", "GRU", "RNN", range=_of_state,
    reason="recurrent: its gates multiply what its own earlier steps made; rules for it are not written yet",
)  # fmt: skip
without_site(
    "refuse", "Scan", "Loop", "SequenceMap",
    reason="a loop: its body runs a number of times that only the run knows; unroll it when you export the model",
)  # fmt: skip
without_site(
    "refuse", "If",
    reason="a branch: which body runs is known only when it runs; export the model with the condition fixed",
)  # fmt: skip
without_site(
    "refuse", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
    "ConvInteger", "MatMulInteger",
    reason="quantised: it rounds to integers, where no derivative is left; explain the model before quantisation",
)  # fmt: skip
without_site(
    "refuse", "Bernoulli", "Multinomial",
    reason="random: what it draws is not a function of the input",
)  # fmt: skip
without_site(
    "refuse", "SequenceAt", "SequenceConstruct", "SequenceErase", "SequenceInsert", "SplitToSequence",
    "ConcatFromSequence", "Optional", "OptionalGetElement",
    reason="a list of tensors instead of one tensor; export the model without sequences and optionals",
)  # fmt: skip
