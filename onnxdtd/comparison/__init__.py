"""Methods side by side on one input: heatmaps, how alike they are, what they cost; with LIME, KernelSHAP and Anchors.

The black-box neighbours see the model as `predict_fn` and the input as parts that are shown or covered; read `parts`
and `neighbour` first. Their packages come with the extra `compare` and are loaded when they are asked for.
"""

from onnxdtd.comparison import anchors, kernel_shap, lime
from onnxdtd.comparison.comparison import Cell, Comparison
from onnxdtd.comparison.neighbour import NEIGHBOURS, Neighbour
from onnxdtd.comparison.pair import Pair, compare_models
from onnxdtd.comparison.runner import compare

__all__ = [
    "Cell", "Comparison", "NEIGHBOURS", "Neighbour", "Pair", "anchors", "compare", "compare_models", "kernel_shap",
    "lime",
]  # fmt: skip
