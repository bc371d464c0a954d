"""Deep Taylor Decomposition and its relatives for any ONNX model, at the level of its graph.

    import onnxdtd
    e = onnxdtd.explain("model.onnx", x)           # or onnxdtd.Explainer("model.onnx")(x, target=3)
    e.relevance["input"], e.conservation, e.rules

An *op* tells, at the point of the forward pass, which *linear map* it is. A *rule* tells how relevance is
shared through *any* linear map. The *walk* carries relevance from the output to the input. Nothing else
knows anything.

Reading order of the files, which is the order of the work:

    model/load -> model/graph -> model/canonise -> methods -> plan/plan -> walk/forward -> walk/backward
    -> explanation -> render

with primitives (the seam between the two engines), linear (Site and LinearMap), ops and rules beneath them.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from onnxdtd.errors import (
    CheckError,
    InputError,
    ModelError,
    OnnxdtdError,
    PartialError,
    ProviderError,
    TargetError,
    UnsupportedError,
    UsageError,
)
from onnxdtd.pictures import drawn_by
from onnxdtd.version import __version__ as __version__

# Unless the environment says otherwise, onnxruntime does not report its use to its makers. A forked process would
# wait at its end for the thread that does so.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from onnxdtd.audit import AUDITS, AuditReport, Finding, run_audit
    from onnxdtd.comparison import NEIGHBOURS, Comparison, compare, compare_models
    from onnxdtd.compiled.explainer_model import CompiledModel, compile
    from onnxdtd.conservation import Conservation
    from onnxdtd.datasets import Ray, Results, Store, Tally, batch
    from onnxdtd.each import explain_each
    from onnxdtd.explanation import Explanation
    from onnxdtd.inputs import IMAGE_SUFFIXES, PRESETS, Preprocess, open_data, read_inputs
    from onnxdtd.lessons import Clusters, Concepts, Lesson, cluster, concepts, summarise
    from onnxdtd.methods import METHODS
    from onnxdtd.metrics import METRICS, Evaluation, evaluate
    from onnxdtd.node_report import NodeReport
    from onnxdtd.ops import OPS
    from onnxdtd.passes import PASSES, Explainer, explain
    from onnxdtd.predict import predict_fn
    from onnxdtd.render.heatmap import heatmap, save_heatmap
    from onnxdtd.rules import RULES
    from onnxdtd.survey import Check, check
    from onnxdtd.theory.recursion import Decomposition, recursive_taylor
    from onnxdtd.theory.root import Root, Roots
    from onnxdtd.theory.root_functions import RuleRoot
    from onnxdtd.theory.roots import roots

# What is loaded on first use, so that `onnxdtd --help` need not import onnx, onnxruntime and matplotlib.
_LATER = {
    "AUDITS": "onnxdtd.audit",
    "METHODS": "onnxdtd.methods",
    "METRICS": "onnxdtd.metrics",
    "NEIGHBOURS": "onnxdtd.comparison",
    "OPS": "onnxdtd.ops",
    "PASSES": "onnxdtd.passes",
    "PRESETS": "onnxdtd.inputs",
    "RULES": "onnxdtd.rules",
    "AuditReport": "onnxdtd.audit",
    "Check": "onnxdtd.survey",
    "Clusters": "onnxdtd.lessons",
    "Comparison": "onnxdtd.comparison",
    "CompiledModel": "onnxdtd.compiled.explainer_model",
    "Concepts": "onnxdtd.lessons",
    "Conservation": "onnxdtd.conservation",
    "Decomposition": "onnxdtd.theory.recursion",
    "Evaluation": "onnxdtd.metrics",
    "IMAGE_SUFFIXES": "onnxdtd.inputs",
    "Explainer": "onnxdtd.passes",
    "Explanation": "onnxdtd.explanation",
    "Finding": "onnxdtd.audit",
    "Lesson": "onnxdtd.lessons",
    "NodeReport": "onnxdtd.node_report",
    "Preprocess": "onnxdtd.inputs",
    "Ray": "onnxdtd.datasets",
    "Results": "onnxdtd.datasets",
    "Root": "onnxdtd.theory.root",
    "Roots": "onnxdtd.theory.root",
    "RuleRoot": "onnxdtd.theory.root_functions",
    "Store": "onnxdtd.datasets",
    "Tally": "onnxdtd.datasets",
    "batch": "onnxdtd.datasets",
    "check": "onnxdtd.survey",
    "cluster": "onnxdtd.lessons",
    "compare": "onnxdtd.comparison",
    "compare_models": "onnxdtd.comparison",
    "compile": "onnxdtd.compiled.explainer_model",
    "concepts": "onnxdtd.lessons",
    "evaluate": "onnxdtd.metrics",
    "explain": "onnxdtd.passes",
    "explain_each": "onnxdtd.each",
    "heatmap": "onnxdtd.render.heatmap",
    "open_data": "onnxdtd.inputs",
    "predict_fn": "onnxdtd.predict",
    "read_inputs": "onnxdtd.inputs",
    "recursive_taylor": "onnxdtd.theory.recursion",
    "roots": "onnxdtd.theory.roots",
    "run_audit": "onnxdtd.audit",
    "summarise": "onnxdtd.lessons",
    "save_heatmap": "onnxdtd.render.heatmap",
}

__all__ = [
    "AUDITS",
    "AuditReport",
    "Check",
    "CheckError",
    "Clusters",
    "Comparison",
    "CompiledModel",
    "Concepts",
    "Conservation",
    "Decomposition",
    "Evaluation",
    "Explainer",
    "Explanation",
    "Finding",
    "IMAGE_SUFFIXES",
    "InputError",
    "Lesson",
    "METHODS",
    "METRICS",
    "ModelError",
    "NEIGHBOURS",
    "NodeReport",
    "OPS",
    "OnnxdtdError",
    "PASSES",
    "PRESETS",
    "PartialError",
    "Preprocess",
    "ProviderError",
    "RULES",
    "Ray",
    "Results",
    "Root",
    "Roots",
    "RuleRoot",
    "Store",
    "Tally",
    "TargetError",
    "UnsupportedError",
    "UsageError",
    "batch",
    "check",
    "cluster",
    "compare",
    "compare_models",
    "compile",
    "concepts",
    "evaluate",
    "explain",
    "explain_each",
    "heatmap",
    "open_data",
    "predict_fn",
    "read_inputs",
    "recursive_taylor",
    "roots",
    "run_audit",
    "save_heatmap",
    "summarise",
]


drawn_by(lambda: importlib.import_module("onnxdtd.render.saved"))


def __getattr__(name: str) -> Any:
    if name in _LATER:
        # `auto` may choose a method of many passes, and these are registered when their package is loaded.
        importlib.import_module("onnxdtd.passes")
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'onnxdtd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
