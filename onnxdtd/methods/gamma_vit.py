"""Gamma for vision transformers: on every layer with weights, with AttnLRP's rules between them."""

from __future__ import annotations

from onnxdtd.methods.attnlrp import attnlrp
from onnxdtd.methods.place import Options, Place
from onnxdtd.registry import method
from onnxdtd.rules import Rule
from onnxdtd.rules.gamma import gamma

# Chosen by tools/ground_truth, see `gamma_vit`.
PATCHES, DENSE = 1.0, 0.25


@method("gamma_vit")
def gamma_vit(place: Place, options: Options) -> Rule:
    """AttnLRP with gamma 0.25 on dense layers and 1 on convolutions, such as that which embeds patches.

    Both were chosen on a trained transformer of patches where the place of the evidence is known (tools/ground_truth,
    `vit`): 0.54 of positive relevance in the right cell of four and 0.92 on the stroke, attnlrp 0.45 and 0.84, no
    gamma on dense layers 0.54 and 0.88. Source: Achtibat et al. 2024, section 4.1, where images take gamma on linear
    layers; the rule of Andéol et al. 2021 for inputs of any sign.
    """
    match place.op.family:
        case "convolution":
            return gamma(PATCHES, bias=options.bias)
        case "dense":
            return gamma(DENSE, bias=options.bias)
    return attnlrp(place, options)
