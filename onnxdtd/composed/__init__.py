"""Methods composed of many passes, one file each: functions (explainer, x, target, *, progress, **options).

They see the model as f(points), the explained element as a function of all float inputs; read `passes` first. Loading
this package registers them in `COMPOSED`, where `Explainer` finds them by name; the front door loads both together.
"""

from onnxdtd.explainer import Explainer, explain
from onnxdtd.registry import COMPOSED, autoload

autoload(__name__)

__all__ = ["COMPOSED", "Explainer", "explain"]
