"""The rules of nodes that are no weighted sum: what every LRP method gives them."""

from __future__ import annotations

from onnxdtd.methods.place import Options, Place
from onnxdtd.rules import Rule
from onnxdtd.rules.epsilon import epsilon
from onnxdtd.rules.passing import passing


def unshared(place: Place, options: Options) -> Rule:
    """A product of two values: each contributes the whole, so each gets half (epsilon over both, whose bias is
    minus the product). A norm, a Softmax, a recurrent cell: epsilon on its linear map. Else, and where a norm only
    divides each value, relevance stays with its value, less the share of the op's constant f(0) where biases absorb
    (none at a change of units).

    Source: Achtibat et al. 2024 (AttnLRP), propositions 3.1 to 3.4.
    """
    match place.op.kind:
        case "gate":
            return epsilon(bias="redistribute")
        case "recurrent":
            return epsilon(bias="absorb")
        case "norm" if place.op.family != "scale":
            return epsilon(bias="absorb")
    return passing(options.bias) if place.op.offset and not place.units else passing()
