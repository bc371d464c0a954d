"""`auto`: which method fits the graph, and why.

What decides is the kind of network, by measurements where the answer is known (docs/methods.md), and of tokens by
deletion (docs/text.md).
"""

from __future__ import annotations

from onnxdtd.methods.place import Network


def choose(network: Network) -> tuple[str, str]:
    """(method, reason); the method takes one walk or many.

    Whatever is chosen looks at the input: no rule of an unbounded domain (w-square), which shares by weights alone.
    """
    if network.adds:
        return "natural", "a sum of functions of single inputs: its summands, which are exact"
    if network.tree_sum and network.counted:
        return "tree_shap", "a sum of trees: the Shapley values of what they ask"
    if network.tree_sum:
        return "saabas", "a sum of trees: the changes of the expected score along their paths"
    if network.convolves and network.embeds:
        return "attnlrp", "convolutions of tokens' vectors: epsilon, which keeps signs"
    if network.convolves:
        return "epsilon_gamma", "convolutions: gamma on them, epsilon on dense layers"
    if network.attends:
        return "attnlrp", "attention without convolutions"
    kind = "recurrence" if network.recurs else "trees" if network.trees else "dense layers"
    return "attnlrp", f"{kind} without convolutions: epsilon, which keeps signs"
