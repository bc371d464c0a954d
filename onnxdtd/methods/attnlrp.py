"""AttnLRP: relevance through attention and norms."""

from __future__ import annotations

from onnxdtd.methods.place import Options, Place
from onnxdtd.methods.unshared import unshared
from onnxdtd.registry import method
from onnxdtd.rules import Rule
from onnxdtd.rules.epsilon import epsilon


@method("attnlrp")
def attnlrp(place: Place, options: Options) -> Rule:
    """AttnLRP: epsilon for weighted sums, norms and Softmax, half to each of two factors, pass for activations.

    Source: Achtibat et al. 2024.
    """
    return epsilon(bias=options.bias) if place.shares else unshared(place, options)
