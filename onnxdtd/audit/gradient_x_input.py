"""Does the heatmap agree with what the model does locally, gradient times input, or else with the model itself?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import compare, side_by_side
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array, Arrays

# An angle of 60 degrees: below it, less than a quarter of the squared length lies along gradient x input.
LIMIT = 0.5
PART = 0.1
"""Of the input, by which the model is asked where the two maps differ."""
MARGIN = 0.1
"""Of the explained value: by less it moves with any tenth of the input."""
CELLS = 14
"""Along each side of an image."""


@audit(
    "gradient_x_input", cost="quick",
    source="Sixt and Landgraf 2022: with roots that do not depend on the input, Deep Taylor is "
    "gradient x (input - root); the limit 0.5 and the tenth that is set to 0 are onnxdtd's",
)  # fmt: skip
def gradient_x_input(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Similarity with the gradient of the target times the input; where there is little, whom the model follows."""
    return beside(plan, explanation, probe, probe.by("gradient_x_input"))


def beside(plan: Plan, explanation: Explanation, probe: Probe, gradient: Probe) -> Finding:
    """The same with that of a probe by gradient x input."""
    local = gradient.original
    if plan.seed == "value":  # a share of a negative value has the other sign
        sign = np.where(explanation.seed[: probe.samples] < 0, -1.0, 1.0)
        local = {
            n: r * sign.reshape(-1, *[1] * (r.ndim - 1)) if np.ndim(r) and len(r) == len(sign) else r
            for n, r in local.items()
        }
    alike = compare(probe.original, local, probe.samples)
    details: dict[str, float | None] = {
        name: None if array is None else middle(array) for name, array in alike.items()
    }
    value = details["cosine"]
    if value is None:
        sentence = "One of the heatmaps to compare is all zero, so their likeness is not defined."
    elif value < LIMIT:
        details["fall"], details["fall_by_gradient"] = falls = (
            _fall(probe, probe.original),
            _fall(probe, local),
        )
        value, sentence = _judged(value, *falls, MARGIN * float(np.abs(probe.logits[probe.mask]).mean()))
    else:
        more = " It says little beyond it." if value > 0.99 else ""
        sentence = f"The heatmap agrees with gradient x input (cosine {likeness(value)}).{more}"
    return Finding("gradient_x_input", value, LIMIT, "below", sentence, details)


def _judged(cosine: float, own: float | None, other: float | None, margin: float) -> tuple[float | None, str]:
    """Two maps that differ: a gradient that vanishes or shatters is no judge, so the model is asked."""
    differ = f"The heatmap has little in common with gradient x input (cosine {likeness(cosine)})"
    if own is None or other is None:
        return None, f"{differ}; which of them is nearer to the model cannot be asked of these inputs."
    asked = (
        f"with the tenth of the input that it marks set to 0 the explained value falls by {own:.3g}, with that of "
        f"gradient x input by {other:.3g}"
    )
    if own >= other:
        return None, f"{differ}, and the model sides with the heatmap: {asked}."
    if other - own <= margin:
        return None, f"{differ}, and the model hardly tells them apart: {asked}."
    return cosine, (
        f"{differ}, and the model sides with that: {asked}. It does not show how the model responds at this very "
        "input, but what the rules make of its weights."
    )


def _fall(probe: Probe, relevance: Arrays) -> float | None:
    """How far the explained value moves to 0 and beyond, on the mean over samples, if the tenth of each sample's
    numbers (an image's cells) that has the most relevance is 0. None where no input holds numbers, or the model then
    has no answer."""
    samples = probe.samples
    names = [n for n in relevance if n in probe.plan.floats and probe.feeds[n].shape[:1] == (samples,)]
    if not names:
        return None
    beside = side_by_side({name: _in_cells(relevance[name]) for name in names}, samples)
    count = max(1, round(beside.shape[1] * PART))
    marked = np.zeros(beside.shape, bool)
    np.put_along_axis(marked, np.argsort(-beside, axis=1, kind="stable")[:, :count], True, axis=1)
    feeds, start = dict(probe.feeds), 0
    for name in names:
        x = feeds[name]
        part = marked[:, start : start + x[0].size].reshape(x.shape)
        feeds[name], start = np.where(part, np.zeros((), x.dtype), x), start + x[0].size
    before, after = probe.logits, probe.answer(feeds)
    sign = np.where(before < 0, -1.0, 1.0) if probe.plan.seed == "value" else 1.0
    fall = float(np.sum(probe.mask * sign * (before.astype(np.float64) - after)) / samples)
    return fall if np.isfinite(fall) else None


def _in_cells(r: Array) -> Array:
    """The relevance of images as sums over the cells of a coarse grid, at every number of them: scattered pixels that
    are set to 0 are a pattern of their own, to which networks answer. That of other inputs as it is."""
    layout = layout_of(r.shape[1:])
    if layout not in ("NCHW", "NHWC", "NHW"):
        return r
    cells = r.astype(np.float64)
    if "C" in layout:
        cells = np.broadcast_to(cells.sum(axis=layout.index("C"), keepdims=True), r.shape)
    for axis in (layout.index("H"), layout.index("W")):
        starts = np.array(
            sorted({*np.linspace(0, r.shape[axis], CELLS, endpoint=False).astype(int).tolist()})
        )
        lengths = np.diff([*starts, r.shape[axis]])
        cells = np.add.reduceat(cells, starts, axis=axis).repeat(lengths, axis=axis)
    return cells
