"""LRP composites: rules by kind of layer, as the field has named them.

Left over everywhere: activations, moves and scales pass; sums and average pools share by contribution (epsilon).
"""

from __future__ import annotations

from onnxdtd.errors import UsageError
from onnxdtd.methods.dtd import COVERED, domain_rule
from onnxdtd.methods.place import Options, Place
from onnxdtd.methods.unshared import unshared
from onnxdtd.registry import method
from onnxdtd.rules import Rule
from onnxdtd.rules.alpha_beta import alpha_beta
from onnxdtd.rules.epsilon import epsilon
from onnxdtd.rules.flat import flat
from onnxdtd.rules.gamma import gamma
from onnxdtd.rules.signed_zplus import signed_zplus
from onnxdtd.rules.zbox import zbox
from onnxdtd.rules.zplus import zplus

# Chosen by tools/ground_truth, see `epsilon_gamma`.
GAMMA = 1.0


@method("epsilon_plus")
def epsilon_plus(place: Place, options: Options) -> Rule:
    """z+ for convolutions, epsilon for dense layers. Source: Kohlbrenner et al. 2020."""
    return _by_family(place, options, zplus(bias=options.bias))


@method("epsilon_plus_flat")
def epsilon_plus_flat(place: Place, options: Options) -> Rule:
    """epsilon_plus with the flat rule at the first layer."""
    return flat() if place.first else epsilon_plus(place, options)


@method("epsilon_alpha2_beta1")
def epsilon_alpha2_beta1(place: Place, options: Options) -> Rule:
    """alpha2-beta1 for convolutions, epsilon for dense layers."""
    return _by_family(place, options, alpha_beta(2.0, 1.0, bias=options.bias))


@method("epsilon_alpha2_beta1_flat")
def epsilon_alpha2_beta1_flat(place: Place, options: Options) -> Rule:
    """epsilon_alpha2_beta1 with the flat rule at the first layer."""
    return flat() if place.first else epsilon_alpha2_beta1(place, options)


@method("epsilon_gamma")
def epsilon_gamma(place: Place, options: Options) -> Rule:
    """Gamma 1 for convolutions, the first included, epsilon for dense layers: what `auto` takes for images.

    gamma and the first layer's rule were chosen where the place of the evidence is known (tools/ground_truth): a grid
    of pictures asks for a larger gamma, textured ground and the boxes of a detector for a smaller one, and 1 is close
    to the best everywhere. A rule of the input's domain (z-box) in front gains little in the grid and spreads
    relevance over the ground. Biases absorb their share: without them the denominators come close to zero. Source:
    Montavon et al. 2019, with the rule of Andéol et al. 2021 for inputs of any sign.
    """
    return _by_family(place, options, gamma(GAMMA, bias=options.bias))


@method("epsilon_gamma_box")
def epsilon_gamma_box(place: Place, options: Options) -> Rule:
    """epsilon_gamma with gamma 0.25 and z-box at the first layer, as zennit has it; needs the input range."""
    if place.first and place.box is not None:
        if place.box.kind != "bounded":
            raise UsageError(
                "epsilon_gamma_box needs the input's range: --input-range LO HI (or input_range=)"
            )
        return zbox(place.box.low, place.box.high, epsilon=0.0)
    return _by_family(place, options, gamma(0.25, bias=options.bias))


@method("excitation_backprop")
def excitation_backprop(place: Place, options: Options) -> Rule:
    """z+ on every convolution and dense layer, so it is blind to the class. Source: Zhang et al. 2016."""
    if place.op.family == "dense":
        return zplus(bias=options.bias)
    return _by_family(place, options, zplus(bias=options.bias))


@method("composite", covers=COVERED)
def composite(place: Place, options: Options) -> Rule:
    """By depth: the domain's rule at the input, signed z+ in the lower half, epsilon (0.25 mean |z|) above.

    Dense layers take epsilon; without a stated range the first layer takes the rule of its kind. Best where evidence
    against the target matters. Source: Montavon et al. 2019; Kohlbrenner et al. 2020.
    """
    if not place.shares:
        return unshared(place, options)
    if place.first and place.box is not None and place.box.kind != "unbounded":
        return domain_rule(place.box, options)
    if place.op.family == "dense":
        return epsilon(bias=options.bias)
    if place.depth > place.layers / 2:
        damped = place.op.family == "convolution"
        return epsilon(0.25, relative=True, bias=options.bias) if damped else epsilon(bias=options.bias)
    return signed_zplus(bias="redistribute")


def _by_family(place: Place, options: Options, convolution: Rule) -> Rule:
    if not place.shares:
        return unshared(place, options)
    return convolution if place.op.family == "convolution" else epsilon(bias=options.bias)
