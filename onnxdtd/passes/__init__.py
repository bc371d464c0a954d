"""Methods of many passes, one file each: functions (explainer, x, target, *, progress, **options).

They see the model as f(points), the explained element as a function of all float inputs; read `passes` first. Loading
this package registers them in `PASSES`, where `Explainer` finds them by name; the front door loads both together.
"""

from onnxdtd.explainer import Explainer
from onnxdtd.registry import PASSES, autoload
from onnxdtd.shortcuts import explain

autoload(__name__)

__all__ = ["PASSES", "Explainer", "explain"]
