"""Deep Taylor Decomposition: the rule of a layer follows from the domain of its input."""

from __future__ import annotations

from onnxdtd.domains.box import Box
from onnxdtd.methods.place import Options, Place
from onnxdtd.methods.unshared import unshared
from onnxdtd.registry import method
from onnxdtd.rules import Rule
from onnxdtd.rules.epsilon import epsilon
from onnxdtd.rules.signed_zplus import signed_zplus
from onnxdtd.rules.wsquare import wsquare
from onnxdtd.rules.zbox import zbox, zminus_shifted, zplus_shifted
from onnxdtd.rules.zplus import zplus

COVERED = ("linear", "route", "select", "elementwise")
"""The kinds of op for which Deep Taylor's theory has a rule: not products of two values, and not norms."""


@method("dtd", seed="positive", bias="redistribute", needs_range=True, covers=COVERED)
def dtd(place: Place, options: Options) -> Rule:
    """Deep Taylor: the domain's rule at the input, signed z+ at hidden layers; never negative, blind to the class.

    Where nothing is shared relevance passes. Source: Montavon et al. 2017; hidden layers with inputs of any sign:
    derived from its section 4.
    """
    if not place.shares:
        return unshared(place, options)
    if place.first and place.box is not None:
        return domain_rule(place.box, options)
    return signed_zplus(bias=options.bias)


@method("dtd_head", bias="redistribute", needs_range=True, covers=COVERED, waives=("positivity", "roots"))
def dtd_head(place: Place, options: Options) -> Rule:
    """dtd with epsilon on the dense layers before the output, from the logit with its sign: it tells classes apart.

    Classes differ by the signs of the last weights, which signed z+ throws away. In return relevance may be negative,
    and no root point stands behind it: the audits `positivity` and `roots` do not apply.
    """
    return epsilon(bias=options.bias_or("absorb")) if place.head else dtd(place, options)


def domain_rule(box: Box, options: Options) -> Rule:
    """The rule of the input layer: relevance stops there, so its root may lie anywhere in the domain.

    Bounded: z-box. x >= 0: z+. One finite bound: z+ shifted to it. Unbounded: w-square. As in the paper no bias
    takes a share, unless the user wants it: its square may be far larger than those of all weights together.
    """
    bias = options.bias_or("redistribute")
    match box.kind:
        case "bounded":
            return zbox(box.low, box.high, epsilon=0.0)
        case "nonnegative":
            return zplus(epsilon=0.0, bias=bias)
        case "below":
            return zplus_shifted(box.low, epsilon=0.0)
        case "above":
            return zminus_shifted(box.high, epsilon=0.0)
        case _:
            return wsquare(epsilon=0.0, bias=bias)
