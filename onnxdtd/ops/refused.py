"""Operators that no rule serves, each with its reason: what `onnxdtd check` and every refusal say."""

from __future__ import annotations

from onnxdtd.registry import without_site

without_site(
    "refuse", "SequenceMap",
    reason="a loop over a list of tensors; export the model with the list's tensors stacked into one, and a Scan",
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
