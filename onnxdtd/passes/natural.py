"""Natural decomposition of a model that is a sum of functions of single inputs: f(x) = c + sum_p s_p(x_p)."""

from __future__ import annotations

from typing import Any

from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.passes.summands import as_a_sum
from onnxdtd.registry import many_passes
from onnxdtd.types import OnProgress


@many_passes("natural", base="attnlrp", adds_up=True)
def natural(explainer: Explainer, x: Any, target: Any = None, *, progress: OnProgress = None) -> Explanation:
    """R_p = s_p(x_p) where the graph shows f(x) = c + sum_p s_p(x_p), as it writes the summands; else refused.

    Every value is followed to the input elements that it depends on. As long as it depends on one, any activation
    may act on it; from where inputs are summed, only linear ops may follow. `constant`: c for each sample, such as
    biases behind the sum. Raises UnsupportedError naming the first node that mixes inputs nonlinearly. Source:
    Montavon et al. 2017, section 2.
    """
    return as_a_sum(explainer, x, target, progress, "natural")
