"""Methods that walk with the Jacobian: the gradient, what is made of it, and its two clamped variants."""

from __future__ import annotations

from onnxdtd.methods.place import Options, Place
from onnxdtd.registry import method
from onnxdtd.rules import Rule
from onnxdtd.rules.passing import deconvnet as deconvnet_rule
from onnxdtd.rules.passing import gradient as gradient_rule
from onnxdtd.rules.passing import guided_backprop as guided_backprop_rule
from onnxdtd.rules.passing import switches


@method("gradient", seed="one")
def gradient(place: Place, options: Options) -> Rule:
    """The gradient of the target with respect to the input."""
    return gradient_rule()


@method("gradient_x_input", seed="one", finish="times_input")
def gradient_x_input(place: Place, options: Options) -> Rule:
    """The gradient times the input, elementwise."""
    return gradient_rule()


@method("sensitivity", seed="one", finish="square")
def sensitivity(place: Place, options: Options) -> Rule:
    """R_i = (df/dx_i)^2: sums to the gradient's squared length; explains the change of f, not f."""
    return gradient_rule()


@method("guided_backprop", seed="one")
def guided_backprop(place: Place, options: Options) -> Rule:
    """The gradient, clamped to >= 0 at every ReLU. Source: Springenberg et al. 2015."""
    return guided_backprop_rule() if _activates(place) else gradient_rule()


@method("deconvnet", seed="one")
def deconvnet(place: Place, options: Options) -> Rule:
    """As guided backprop, without the ReLU's own mask; of tied maxima the first wins.

    Source: Zeiler and Fergus 2014, whose switches remember one place for each window of a max pool.
    """
    if place.op.kind == "select":
        return switches()
    return deconvnet_rule() if _activates(place) else gradient_rule()


def _activates(place: Place) -> bool:
    return place.op.kind == "elementwise" and not place.op.rounds
