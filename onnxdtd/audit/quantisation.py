"""How far is the quantised model, which is explained, from the same network in floats?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit.finding import Finding, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.explanation import Explanation
from onnxdtd.model.twin import float_twin
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array
from onnxdtd.walk.forward import Forward, is_quantised

LIMIT = 0.1
"""A tenth of what is explained: a heatmap of the float model would explain another number."""


@audit("quantisation", cost="quick", source="this project: |f - f without rounding| / |f|")
def quantisation(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """By how much the explained value would differ without rounding, the weights being as they are."""
    if not is_quantised(plan.graph):
        return Finding(
            "quantisation", None, LIMIT, "above", "The model does not round, so this does not apply."
        )
    twin = Forward(float_twin(plan.graph), [plan.target], probe.providers)(probe.feeds)[plan.target]
    real, other = _explained(probe.logits, probe.mask), _explained(twin, probe.mask)
    sizes = np.where(real == 0, 1.0, np.abs(real))
    off = np.abs(other - real) / sizes
    worst = int(np.argmax(off))
    value = float(off[worst])
    same = bool((_best(twin, probe) == _best(probe.logits, probe)).all())
    sentence = (
        f"Without rounding to integers the same network would give {other[worst]:.4g} instead of {real[worst]:.4g}: "
        f"{percent(value)} of what is explained is rounding"
        + ("." if same else ", and another class would win.")
    )
    details = {"explained": real.tolist(), "without_rounding": other.tolist(), "same_class": same}
    return Finding("quantisation", value, LIMIT, "above", sentence, details)


def _explained(values: Array, mask: Array) -> Array:
    rows = np.where(mask, values, 0.0).astype(np.float64)
    return np.asarray(rows.reshape(len(rows), -1).sum(axis=1) if rows.ndim else rows.reshape(1))


def _best(values: Array, probe: Probe) -> Array:
    if probe.class_axis is None or values.ndim < 2:
        return np.zeros(1)
    return np.asarray(values.argmax(axis=probe.class_axis))
