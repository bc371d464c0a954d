"""Grad-CAM and Grad-CAM++: where in the last spatial feature map the evidence lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
from onnxdtd.walk.outcome import Asked
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
    return _map("grad_cam", _means, explainer, x, target, progress, node, layout)


@many_passes("grad_cam_plus_plus")
def grad_cam_plus_plus(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: OnProgress = None,
    node: str | None = None,
    layout: str | None = None,
) -> Explanation:
    """R = max(0, sum_k w_k A_k), w_k = sum_ij max(0, g_ij) / (2 + g_ij sum A_k). Source: Chattopadhyay et al. 2018.

    g = df/dA_k. Grad-CAM with a weight of its own for each place, so that a small object counts as a large one does.
    The source derives it for e^f, with f a logit: g^2 / (2 g^2 + g^3 sum A_k) times max(0, g) e^f. The factor e^f is
    one number for the whole map, and is left out. Where g is positive and 2 + g sum A_k is not, as it can be if A has
    negative parts, the formula has no meaning: these places weigh 0, and a warning tells how many they are. All else
    as in `grad_cam`.
    """
    return _map("grad_cam_plus_plus", _plus_plus, explainer, x, target, progress, node, layout)


def _means(slopes: Array, features: Array) -> tuple[Array, list[str]]:
    """The mean slope of each channel (N, K)."""
    return slopes.mean(axis=(2, 3)), []


def _plus_plus(slopes: Array, features: Array) -> tuple[Array, list[str]]:
    """The weights of Grad-CAM++ (N, K)."""
    divisor = 2 + slopes * features.sum(axis=(2, 3), keepdims=True, dtype=np.float64)
    lost = (slopes > 0) & (divisor <= 0)
    weights = np.where((slopes > 0) & ~lost, slopes / np.where(divisor > 0, divisor, 1), 0)
    warnings = [
        f"sample {n}: the weights of Grad-CAM++ are not defined at {lost[n].sum()} of {lost[n].size} places of the "
        "feature map, whose sum is too negative: these weigh 0"
        for n in np.flatnonzero(lost.any(axis=(1, 2, 3)))
    ]
    return weights.sum(axis=(2, 3)), warnings


def _map(
    method: str,
    weigh: Callable[[Array, Array], tuple[Array, list[str]]],
    explainer: Explainer,
    x: Any,
    target: Any,
    progress: OnProgress,
    node: str | None,
    layout: str | None,
) -> Explanation:
    """max(0, sum_k w_k A_k) enlarged; weigh: (df/dA, A) -> w (N, K), and warnings."""
    base = explainer.one_pass(x, target, progress=progress)
    plan = explainer.plan(base.output)
    name, image = feature_map(plan, node), _image(plan)
    features = explainer.forward([name])(base.inputs)[name]
    head = above(plan, name)
    upper = make_plan(head, plan.method, plan.output, overrides=explainer.overrides)
    run = (OnnxWalker if explainer.engine == "onnx" else NumpyWalker)(upper, explainer.providers)
    feeds = {value: features if value == name else base.inputs[value] for value in head.inputs}
    question = dataclasses.replace(explainer.loaded.question(target), output=plan.output)
    (outcome,) = run(feeds, [Asked(question)])
    weights, undefined = weigh(outcome.relevance[name].astype(np.float64), features)
    small = np.maximum((weights[:, :, None, None] * features).sum(axis=1), 0)
    empty = [
        f"sample {n}: the weighted sum of the feature maps is nowhere positive, so the map is empty"
        for n in np.flatnonzero(~small.any(axis=(1, 2)))
    ]
    x = base.inputs[image]
    relevance = {other: np.zeros_like(base.inputs[other]) for other in plan.floats}
    relevance[image] = _enlarged(small, x.shape, layout).astype(x.dtype)
    return dataclasses.replace(
        base,
        method=method,
        relevance=relevance,
        seed=np.asarray(base.target_value, np.float64),
        nodes=(),
        constants={},
        warnings=(*base.warnings, *undefined, *empty),
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
            f"Grad-CAM needs one input of rank 4 to draw its map on; this model has {len(images)}"
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
