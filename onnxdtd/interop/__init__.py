"""Explanations for other tools: Quantus's `explain_func` and model, shap's `Explanation`.

quantus and shap are loaded when they are asked for; onnxdtd needs neither.
"""

from onnxdtd.interop.quantus import quantus_explain_func, quantus_model
from onnxdtd.interop.shap import shap_explanation

__all__ = ["quantus_explain_func", "quantus_model", "shap_explanation"]
