"""onnx's own reference implementation, imported when it is first needed: it reads the schemas of all operators."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator


def evaluator(what: Any, **settings: Any) -> ReferenceEvaluator:
    """Of a model, a graph or a function; see `onnx.reference.ReferenceEvaluator`."""
    made: ReferenceEvaluator = importlib.import_module("onnx.reference").ReferenceEvaluator(what, **settings)
    return made
