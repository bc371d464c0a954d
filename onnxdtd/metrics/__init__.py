"""Scores of explanations: one file per family of metrics, each a number for one explanation of one input.

A metric is a function (case) -> Measured; the case perturbs the input, asks the model again, and explains again. Read
`case` (what a metric is given and returns), `perturb` (removal curves), `sparseness` (the simplest metric), `runner`.
"""

from onnxdtd.metrics.case import Case, Measured, Settings
from onnxdtd.metrics.result import Evaluation
from onnxdtd.metrics.runner import evaluate
from onnxdtd.metrics.statistics import Summary
from onnxdtd.registry import METRICS, autoload

autoload(__name__)

__all__ = ["METRICS", "Case", "Evaluation", "Measured", "Settings", "Summary", "evaluate"]
