"""Occlusion: what the output loses when a part of the input is covered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.passes.embedded import tokens
from onnxdtd.passes.passes import Passes
from onnxdtd.passes.token_occlusion import without_tokens
from onnxdtd.registry import many_passes
from onnxdtd.types import OnProgress

FINENESS = 14  # patches along the longest axis, by default
Size = int | Sequence[int] | None


@many_passes("occlusion")
def occlusion(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: OnProgress = None,
    patch: Size = None,
    stride: Size = None,
    baseline: Any = 0.0,
    occlude: int | str | None = None,
    channels: Literal["together", "each"] = "together",
    layout: str | None = None,
    batch: int | None = None,
) -> Explanation:
    """R_i = mean over patches that hold i of (f(x) - f(x, patch covered)) / patch size. Source: Zeiler, Fergus 2014.

    Divided by its size, a patch's loss is shared by its elements, so that R is in the unit of f and patches side
    by side sum to their losses. patch, stride: a number or one per spatial axis; by default a fourteenth of the
    longest axis and half of that; a table's columns one by one. Every element is covered: the last patch ends at
    the border. baseline: what covers it, as for integrated gradients. channels: `together` or `each` on its own.
    layout: such as NCHW, where the shape does not tell. occlude: for inputs of tokens, each of which is a patch, the
    token that covers it, by number or, with a tokenizer, as mask, pad or unk. `sum_of_losses`: over all patches, for
    each sample.
    """
    if channels not in ("together", "each"):
        raise UsageError(f"occlusion takes channels together or each, not {channels!r}")
    plan = explainer.plan(explainer.loaded.question(target).output)
    if tokens(plan) and (occlude is not None or not plan.floats):
        e = without_tokens(explainer, x, target, progress, occlude, batch)
        if not plan.floats:
            return e
        others = occlusion(
            explainer, x, target, progress=progress, patch=patch, stride=stride, baseline=baseline,
            channels=channels, layout=layout, batch=batch,
        )  # fmt: skip
        both = {**others.relevance, **e.relevance}
        return replace(others, relevance=both, extras={**others.extras, **e.extras})
    if occlude is not None:
        raise UsageError("occlude is for inputs of tokens; baseline= covers floats")
    passes = Passes(explainer, x, target, progress, batch)
    patches, start = [], 0
    for name in passes.plan.floats:
        shape = passes.base.inputs[name].shape[1:]
        patches += [start + p for p in _patches(name, shape, patch, stride, channels == "each", layout)]
        start += math.prod(shape)
    cover = passes.baseline(baseline)
    points = passes.count * len(patches)
    passes.expect(points + passes.count)
    whole = passes.values(passes.x, passes.all)
    relevance, losses = np.zeros_like(passes.x), np.zeros(passes.count)
    for rows in passes.chunks(points):
        samples, which = np.divmod(rows, len(patches))
        covered = passes.x[samples]
        for row, (n, k) in enumerate(zip(samples, which, strict=True)):
            covered[row, patches[k]] = cover[n, patches[k]]
        loss = whole[samples] - passes.values(covered, samples)
        np.add.at(losses, samples, loss)
        for n, k, lost in zip(samples, which, loss, strict=True):
            relevance[n, patches[k]] += lost / len(patches[k])
    relevance /= np.bincount(np.concatenate(patches), minlength=relevance.shape[1])
    extras = {"patches": len(patches), "channels": channels, "sum_of_losses": losses.tolist()}
    return passes.explanation("occlusion", relevance, whole, extras)


def _patches(
    name: str, shape: tuple[int, ...], patch: Size, stride: Size, apart: bool, layout: str | None
) -> list[npt.NDArray[np.intp]]:
    """The flat indices of each patch of one sample."""
    if math.prod(shape) < 2:  # a single number, or none
        return [np.arange(math.prod(shape))] * math.prod(shape)
    meaning = layout_of(shape, layout)
    if meaning is None:
        raise UsageError(
            f"input '{name}' of shape {shape}: give layout=, such as NCHW, since its shape does not tell"
        )
    spatial = [axis for axis, letter in enumerate(meaning[1:]) if letter != "C"]
    lengths = [shape[axis] for axis in spatial]
    usual = 1 if meaning == "NF" else max(1, round(max(lengths) / FINENESS))
    sizes = [min(size, n) for size, n in zip(_sizes("patch", patch, usual, lengths), lengths, strict=True)]
    strides = (
        _sizes("stride", stride, 0, lengths) if stride is not None else [max(1, size // 2) for size in sizes]
    )
    if any(step > size for step, size in zip(strides, sizes, strict=True)):
        raise UsageError(f"stride {strides} leaves gaps between patches of {sizes}: it must not be larger")
    options = [[slice(None)]] * len(shape)
    for axis, size, step, n in zip(spatial, sizes, strides, lengths, strict=True):
        starts = sorted({*range(0, n - size + 1, step), n - size})
        options[axis] = [slice(s, s + size) for s in starts]
    if apart and "C" in meaning:
        axis = meaning.index("C") - 1
        options[axis] = [slice(c, c + 1) for c in range(shape[axis])]
    places = np.arange(math.prod(shape)).reshape(shape)
    return [places[block].ravel() for block in itertools.product(*options)]


def _sizes(what: str, size: Size, usual: int, lengths: list[int]) -> list[int]:
    sizes = [usual if size is None else size] * len(lengths) if not isinstance(size, Sequence) else list(size)
    if len(sizes) != len(lengths) or not all(isinstance(s, int) and s >= 1 for s in sizes):
        raise UsageError(f"{what} is a positive number, or {len(lengths)} of them, not {size!r}")
    return [s for s in sizes if isinstance(s, int)]
