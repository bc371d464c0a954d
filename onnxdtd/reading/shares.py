"""Of what the explained number is made: the input's share, that of constants, what rules could hand to nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from onnxdtd.conservation import Conservation
from onnxdtd.explanation import Explanation
from onnxdtd.node_report import CLAIMS, PADDING
from onnxdtd.registry import METHODS, PASSES

GROWS = 10
"""So many times as much |relevance| as started is more than cancelling sums should leave."""
VISIBLE = 5e-4  # of the largest part: what three digits do not show
MEANINGS = {
    "constants": "biases and other parts of the function that no input changes, an answer and no loss",
    "past": "keys and values kept from earlier positions: what was read before this input",
    "dead neurons": "neurons that only their bias keeps active, so that no input can be given their share",
    "stabiliser": "what epsilon holds back where the sums are small",
    "padding": "what fell on borders, where no input is",
    "channels left out": "what went to channels that were not asked about",
    "unaccounted": "what no rule accounts for: an error",
    "all else": "what rules could hand to nobody; engine numpy tells it apart",
    "baseline": "the number at the input that the method starts from",
    "rest": "what the many passes leave open",
}
WORDS = {
    "dead": "dead neurons",
    "epsilon": "stabiliser",
    "masked": "channels left out",
}
CONSTANTS = {
    "bias": "biases of layers",
    "norm shift": "shifts of norms",
    "softmax constant": "the constant part of Softmax",
    "curve constant": "what curves such as a Sigmoid make of zero",
    "position embedding": "position embeddings",
    "token type embedding": "embeddings of the tokens' type",
    "attention bias": "what is added to attention scores",
    "class token": "class tokens",
    "joined constant": "constants in the place of an input",
    "product constant": "what products make more than their factors' shares",
    "loop constant": "constants inside loops",
    "quantisation": "zero points of quantised values",
    "expected value": "the trees' expected value",
}
"""What the constants of a result are called, in words."""
Parts = list[tuple[str, float]]


def parts(e: Explanation, sample: int = 0) -> Parts:
    """What adds up to the relevance that started in a sample: the input's part, that of a decoder's past, then the
    others that are not next to nothing, the largest first. Empty where the method promises no sum or nothing started.
    """
    account = _account(e, sample)
    if account is None or not account.target or not math.isfinite(account.relevance):
        return []
    others = _by_word(account)
    rest = account.target - account.relevance - math.fsum(others.values())
    if e.method in PASSES:
        constants = e.extras.get("constant")
        others = {} if constants is None else {"constants": _of(constants, sample)}
        others["rest"] = account.target - account.relevance - math.fsum(others.values())
        if "baseline_value" in e.extras:
            others["baseline"] = _of(e.extras["baseline_value"], sample)
    else:
        others["unaccounted" if account.nodes else "all else"] = rest
    least = VISIBLE * max(map(abs, (account.target, account.relevance, *others.values())))
    shown = sorted(((w, a) for w, a in others.items() if abs(a) > least), key=lambda part: -abs(part[1]))
    if abs(past := e.of_past(sample)) > least:
        return [("input", account.relevance - past), ("past", past), *shown]
    return [("input", account.relevance), *shown]


def shares(e: Explanation, sample: int = 0) -> str:
    """One line that adds up, as printed: "9.25 = 0.27 input + 8.90 constants + 0.08 stabiliser"; "" without parts."""
    summands = parts(e, sample)
    if not summands:
        return ""
    amounts = [amount for _, amount in summands]
    whole = math.fsum(amounts)
    decimals = _decimals([whole, *amounts])
    if decimals is None:
        numbers, total = [f"{abs(a):.3g}" for a in amounts], f"{whole:.3g}"
    else:
        rounded = [round(a, decimals) for a in amounts]
        largest = max(range(min(1, len(rounded) - 1), len(rounded)), key=lambda i: abs(rounded[i]))
        rounded[largest] += round(whole, decimals) - math.fsum(rounded)  # what rounding leaves
        numbers, total = [f"{abs(a):.{decimals}f}" for a in rounded], f"{whole:.{decimals}f}"
    terms = [f"{'-' if a < 0 else '+'} {n} {word}" for (word, a), n in zip(summands, numbers, strict=True)]
    first = terms[0].removeprefix("+ ").replace("- ", "-", 1)
    return " ".join([f"{total} = {first}", *terms[1:]])


def owed(e: Explanation, sample: int = 0) -> list[str]:
    """What the words of that line mean, and the input's part in percent where all parts lie between 0 and 100."""
    summands = parts(e, sample)
    lines = [f"{word}: {MEANINGS[word]}" for word, _ in summands[1:] if word in MEANINGS]
    if kinds := constants(e, sample):
        named = ", ".join(f"{amount:.3g} {CONSTANTS.get(kind, kind)}" for kind, amount in kinds)
        lines.append(f"of the constants: {named}")
    whole = math.fsum(amount for _, amount in summands)
    if len(summands) > 1 and all(0 <= amount / whole <= 1 for _, amount in summands):
        lines.insert(
            0,
            f"{_percent(summands[0][1] / whole)} of it is owed to this input: the picture shows how that is spread",
        )
    return lines


def constants(e: Explanation, sample: int = 0) -> Parts:
    """Of which kinds the constants of that line are, the largest first, those aside that are next to nothing; empty
    where there is one kind only."""
    account = _account(e, sample)
    made = {} if account is None else {k: a for k, a in account.constants.items() if k != PADDING}
    least = VISIBLE * max(map(abs, made.values()), default=0.0)
    shown = [(kind, amount) for kind, amount in made.items() if abs(amount) > least]
    return shown if len(shown) > 1 else []


def _by_word(account: Conservation) -> dict[str, float]:
    """What was lost, by the words of the line: constants of all kinds together, but for padding."""
    words: dict[str, float] = {}
    for kind, amount in account.constants.items():
        word = PADDING if kind == PADDING else "constants"
        words[word] = words.get(word, 0.0) + amount
    return words | {WORDS.get(cause, cause): a for cause, a in account.causes.items() if cause not in CLAIMS}


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.3g} %"


def grown(account: Conservation) -> str:
    """In words, if |relevance| grows more than tenfold on the way from the target to the input; else ""."""
    growth = account.growth
    if not growth.factor > GROWS:
        return ""
    where = f", most at '{growth.node}'" if growth.node else ""
    return (
        f"On the way from the target to the input |relevance| grows {_times(growth.factor)}-fold{where}: amounts of "
        "both signs that nearly cancel. Signs and details of this map are not reliable."
    )


def blown_up(e: Explanation, sample: int = 0) -> Conservation | None:
    """The account of a sample whose |relevance| grows more than tenfold, of a method that carries the value."""
    account = _account(e, sample)
    several = account is not None and not account.nodes and len(e.target[sample]) > 1
    if account is None or e.method in PASSES or several:  # of several elements nobody knows what started
        return None
    return account if account.growth.factor > GROWS else None


def _of(value: Any, sample: int) -> float:
    """A sample's number among what a method of many passes found out."""
    return float(value[sample] if isinstance(value, (list, tuple)) else value)


def _account(e: Explanation, sample: int) -> Conservation | None:
    """A sample's books; None where the method promises no sum, or they were not kept by sample."""
    entry = METHODS.get(e.method)
    adds_up = PASSES[e.method].adds_up if e.method in PASSES else entry is None or entry.seed != "one"
    if not adds_up:
        return None
    if len(e.target) == 1:
        return e.conservation
    return None if any(node.samples is None for node in e.nodes) else e.conservation.sample(sample)


def _decimals(amounts: Sequence[float]) -> int | None:
    """So many that the whole, the first, has three digits, and up to two more for the second amount, the input's, to
    show; None for sizes that take a power of ten."""
    if not (abs(amounts[0]) >= 1e-6 and max(map(abs, amounts)) < 1e15):
        return None
    decimals = max(0, 2 - math.floor(math.log10(abs(amounts[0]))))
    for more in range(3):
        if abs(amounts[1]) >= 10.0 ** -(decimals + more):
            return decimals + more
    return decimals


def _times(factor: float) -> str:
    return f"{factor:.0f}" if factor < 1e6 else f"{factor:.1g}"
