"""CP-LRP: conservative propagation, for which attention only says how much of each value is taken."""

from __future__ import annotations

from onnxdtd.methods.attnlrp import attnlrp
from onnxdtd.methods.place import Options, Place
from onnxdtd.registry import method
from onnxdtd.rules import Rule


@method("cp_lrp", holds_weights=True)
def cp_lrp(place: Place, options: Options) -> Rule:
    """CP-LRP: as attnlrp, with attention weights A as constants: of y = A V the values V get all, Q and K nothing.

    R(V_j) = V_j sum_i A_ij r_i / y_i; norms divide by a constant, too. Held is whatever a Softmax alone has made and
    other values are multiplied by: shares between experts and branches as well. Source: Ali et al. 2022 (rules AH
    and LN).
    """
    return attnlrp(place, options)
