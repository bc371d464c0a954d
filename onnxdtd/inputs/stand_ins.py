"""Tokens that stand in for others, by number or by what they are for: a mask, padding, an unknown word."""

from __future__ import annotations

from onnxdtd.errors import UsageError
from onnxdtd.inputs.tokenizer import PADS, Reader
from onnxdtd.printing import is_whole

STAND_INS = {"mask": ("[MASK]", "<mask>", "<|mask|>"), "pad": PADS, "unk": ("[UNK]", "<unk>", "<|unk|>")}


def token_number(reader: Reader | None, said: int | str) -> int:
    """The number of a token, given as it is or as mask, pad or unk, which the tokenizer or vocabulary then has to
    know. Raises UsageError."""
    if not isinstance(said, str) or is_whole(said):
        return int(said)
    if said not in STAND_INS:
        raise UsageError(f"'{said}' is no token: give its number, or mask, pad or unk")
    if reader is None:
        raise UsageError(
            f"which token '{said}' is, a tokenizer or a vocabulary says: give one, or its number"
        )
    if said == "pad" and reader.pad is not None:
        return reader.pad
    numbers = {name: number for number, name in reader.names.items()}
    for name in STAND_INS[said]:
        if name in numbers:
            return numbers[name]
    names = ", ".join(STAND_INS[said])
    raise UsageError(f"the tokenizer has no token for {said} ({names}): give a number")
