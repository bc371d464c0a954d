"""Grad-CAM: where in the last spatial feature map the evidence lies."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from onnxdtd.compiled.run import OnnxWalker
from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.passes.feature_map import above, feature_map
from onnxdtd.plan.plan import Plan, make_plan
from onnxdtd.registry import many_passes
from onnxdtd.types import Array, OnProgress
from onnxdtd.walk.run import NumpyWalker


@many_passes("grad_cam")
def grad_cam(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: OnProgress = None,
    node: str | None = None,
    layout: str | None = None,
) -> Explanation:
    """R = max(0, sum_k a_k A_k) enlarged, a_k = mean over positions of df/dA_k. Source: Selvaraju et al. 2017.

    A (N, K, H, W) is the last spatial feature map: what the op reads that leaves the spatial domain; or the output of
    `node`. The map is enlarged bilinearly and shared equally by the input's channels. It tells places, not shares of
    f: its sum means nothing. layout: of the input, NCHW or NHWC, where its shape does not tell. Raises
    UnsupportedError for a model without such a map.
    """
    base = explainer.one_pass(x, target, progress=progress)
    plan = explainer.plan(base.output)
    name, image = feature_map(plan, node), _image(plan)
    features = explainer.forward([name])(base.inputs)[name]
    head = above(plan, name)
    upper = make_plan(head, plan.method, plan.output, overrides=explainer.overrides)
    run = (OnnxWalker if explainer.engine == "onnx" else NumpyWalker)(upper, explainer.providers)
    feeds = {value: features if value == name else base.inputs[value] for value in head.inputs}
    outcome = run(feeds, dataclasses.replace(explainer.loaded.question(target), output=plan.output))
    weights = outcome.relevance[name].mean(axis=(2, 3), keepdims=True, dtype=np.float64)
    small = np.maximum((weights * features).sum(axis=1), 0)
    empty = [
        f"sample {n}: the weighted sum of the feature maps is nowhere positive, so the map is empty"
        for n in np.flatnonzero(~small.any(axis=(1, 2)))
    ]
    x = base.inputs[image]
    relevance = {other: np.zeros_like(base.inputs[other]) for other in plan.floats}
    relevance[image] = _enlarged(small, x.shape, layout).astype(x.dtype)
    return dataclasses.replace(
        base,
        method="grad_cam",
        relevance=relevance,
        seed=np.asarray(base.target_value, np.float64),
        nodes=(),
        warnings=(*base.warnings, *empty),
        extras={"feature_map": name, "feature_map_shape": list(features.shape[1:])},
    )


def bilinear(length: int, size: int) -> Array:
    """(size, length): linear interpolation between cell centres, the outer cells continued to the border."""
    place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    return np.asarray(np.maximum(1 - np.abs(place[:, None] - np.arange(length)), 0))


def _image(plan: Plan) -> str:
    """The one input that is a picture."""
    images = [name for name in plan.inputs if len(plan.graph.value(name).shape or ()) == 4]
    if len(images) != 1:
        raise UnsupportedError(
            f"grad_cam needs one input of rank 4 to draw its map on; this model has {len(images)}"
        )
    return images[0]


def _enlarged(small: Array, shape: tuple[int, ...], layout: str | None) -> Array:
    """Maps (N, h, w) at the input's height and width, one share for each channel."""
    meaning = layout_of(shape[1:], layout)
    if meaning is None:
        raise UnsupportedError(
            f"the input's shape {shape} does not tell its channels: give layout=NCHW or layout=NHWC"
        )
    height, width, channels = (meaning.index(letter) for letter in "HWC")
    rows, columns = bilinear(small.shape[1], shape[height]), bilinear(small.shape[2], shape[width])
    large = np.expand_dims(np.einsum("yi,nij,xj->nyx", rows, small, columns), channels)
    return np.asarray(np.broadcast_to(large / shape[channels], shape))
