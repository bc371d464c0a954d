"""The NumPy bodies of convolution and max pooling against obviously right, slow ones and onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxdtd.primitives import convolution, pooling
from onnxdtd.primitives.convolution import conv, conv_transpose
from onnxdtd.primitives.pooling import max_pool_adjoint, max_pool_select
from tests.support.single_op import Example, X, model_of, run_ort

Array = Any
pytestmark = pytest.mark.quick
SEEN = settings(max_examples=300, deadline=None, derandomize=True)


class Layer(NamedTuple):
    """Shapes and attributes of one layer with windows."""

    batch: int
    channels: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    group: int = 1
    out_channels: int = 1

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.batch, self.channels, *self.spatial)

    @property
    def w_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.channels // self.group, *self.kernel)

    @property
    def conv(self) -> dict[str, Any]:
        return {"strides": self.strides, "pads": self.pads, "dilations": self.dilations, "group": self.group}

    @property
    def pool(self) -> dict[str, Any]:
        sliding = {"strides": self.strides, "pads": self.pads, "dilations": self.dilations}
        return {"kernel_shape": self.kernel, **sliding}


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    rank, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def each(low: int, high: int, count: int = rank) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)))

    kernel, strides, dilations, pads, more = (
        each(1, 3),
        each(1, 3),
        each(1, 2),
        each(0, 3, 2 * rank),
        each(0, 4),
    )
    axes = zip(kernel, dilations, pads[:rank], pads[rank:], more, strict=True)
    spatial = tuple(max(1, (k - 1) * d + 1 - a - b) + extra for k, d, a, b, extra in axes)
    channels, out_channels = group * draw(st.integers(1, 3)), group * draw(st.integers(1, 3))
    return Layer(
        draw(st.integers(1, 2)), channels, spatial, kernel, strides, pads, dilations, group, out_channels
    )


def normal(shape: tuple[int, ...], seed: int = 0, dtype: Any = np.float64) -> Array:
    drawn = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    drawn.flags.writeable = False  # no kernel may write to its inputs
    return drawn


def windows(padded: Array, out: tuple[int, ...], layer: Layer) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each kernel offset, and what every window reads through it."""
    for offset in np.ndindex(*layer.kernel):
        axes = zip(offset, layer.dilations, layer.strides, out, strict=True)
        yield offset, padded[(..., *(slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, s, n in axes))]


def slow_conv(x: Array, w: Array, layer: Layer) -> Array:
    rank = len(layer.spatial)
    around = list(zip(layer.pads[:rank], layer.pads[rank:], strict=True))
    padded = np.pad(x, [(0, 0), (0, 0), *around])
    axes = zip(padded.shape[2:], layer.kernel, layer.strides, layer.dilations, strict=True)
    out = tuple((size - (k - 1) * d - 1) // s + 1 for size, k, s, d in axes)
    groups = []
    for xs, ws in zip(np.split(padded, layer.group, 1), np.split(w, layer.group, 0), strict=True):
        terms = (np.einsum("nc...,mc->nm...", seen, ws[(..., *k)]) for k, seen in windows(xs, out, layer))
        groups.append(sum(terms))
    return np.concatenate(groups, axis=1)


def slow_conv_transpose(r: Array, w: Array, layer: Layer) -> Array:
    """By the dense Jacobian, whose rows are the convolutions of one-hot images."""
    size = layer.channels * int(np.prod(layer.spatial))
    jacobian = slow_conv(np.eye(size).reshape(size, layer.channels, *layer.spatial), w, layer).reshape(
        size, -1
    )
    return (r.reshape(len(r), -1) @ jacobian.T).reshape(layer.x_shape)


def assert_close(actual: Array, expected: Array) -> None:
    tolerance = {np.float32: 1e-4, np.float64: 1e-10}[actual.dtype.type]
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * max(1, np.abs(expected).max())


@SEEN
@given(layers(), st.sampled_from([np.float32, np.float64]), st.booleans(), st.booleans())
def test_convolution_on_any_layer(layer: Layer, dtype: Any, small_buffer: bool, mirror: bool) -> None:
    x, w = normal(layer.x_shape, 1, dtype), normal(layer.w_shape, 2, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "_mirroring_is_cheaper", lambda at, *_: mirror and set(at.strides) == {1})
        if small_buffer:  # so that a layer takes many runs
            patch.setattr(convolution, "COLUMN_BYTES", 1)
            patch.setattr(convolution, "MIN_COLUMNS", 4)
        y = conv(x, w, **layer.conv)
        r = normal(y.shape, 3, dtype)
        back = conv_transpose(r, w, **layer.conv, spatial=layer.spatial)
    assert y.dtype == back.dtype == dtype
    assert_close(y, slow_conv(x, w, layer))
    assert_close(back, slow_conv_transpose(r, w, layer))
    if dtype == np.float64:
        assert np.vdot(y, r) == pytest.approx(np.vdot(x, back), rel=1e-10, abs=1e-10)


CONVOLUTIONS = {
    "first": Layer(2, 3, (18, 20), (7, 7), (2, 2), (3, 3, 3, 3), (1, 1), 1, 16),
    "3x3": Layer(2, 16, (14, 15), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, 16),
    "1x1": Layer(2, 16, (7, 9), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1, 24),
    "1x1 strided, last row unused": Layer(2, 16, (8, 9), (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1, 24),
    "1x1 padded": Layer(1, 4, (5, 6), (1, 1), (2, 3), (1, 0, 1, 2), (1, 1), 1, 3),
    "3x3 strided, last row unused": Layer(1, 8, (12, 11), (3, 3), (2, 3), (1, 0, 0, 1), (1, 1), 1, 6),
    "dilated": Layer(1, 4, (13, 12), (3, 2), (1, 2), (2, 0, 2, 1), (2, 3), 1, 5),
    "depthwise": Layer(2, 12, (9, 9), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 12, 12),
    "depthwise strided": Layer(2, 12, (10, 10), (5, 5), (2, 2), (2, 2, 2, 2), (1, 1), 12, 12),
    "depthwise, multiplier 2": Layer(2, 6, (9, 8), (3, 3), (1, 1), (0, 1, 0, 1), (1, 1), 6, 12),
    "grouped": Layer(1, 12, (8, 8), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 4, 8),
    "grouped 1x1": Layer(2, 12, (4, 5), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 3, 9),
    "1-D": Layer(2, 5, (40,), (4,), (3,), (2, 0), (2,), 1, 7),
    "3-D": Layer(1, 3, (6, 7, 8), (3, 2, 3), (1, 2, 1), (1, 0, 1, 1, 1, 0), (1, 1, 2), 1, 4),
}


@pytest.mark.parametrize("layer", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_convolution_equals_onnxruntime(layer: Layer) -> None:
    x, w = normal(layer.x_shape, 1, np.float32), normal(layer.w_shape, 2, np.float32)
    y = conv(x, w, **layer.conv)
    assert_close(y, run_ort(model_of(Example("Conv", (X(x.shape), w), layer.conv)), {"x0": x}))
    rank = len(layer.spatial)
    axes = zip(
        layer.spatial, y.shape[2:], *layer[3:5], layer.pads[:rank], layer.pads[rank:], layer[6], strict=True
    )
    unused = [size - ((n - 1) * s + (k - 1) * d + 1 - a - b) for size, n, k, s, a, b, d in axes]
    r = normal(y.shape, 3, np.float32)
    model = model_of(Example("ConvTranspose", (X(r.shape), w), {**layer.conv, "output_padding": unused}))
    assert_close(conv_transpose(r, w, **layer.conv, spatial=layer.spatial), run_ort(model, {"x0": r}))


@pytest.mark.parametrize(
    "name", ["3x3", "1x1", "1x1 strided, last row unused", "depthwise strided", "grouped"]
)
def test_memory_order_does_not_matter(name: str) -> None:
    layer = CONVOLUTIONS[name]
    x, w = normal(layer.x_shape, 1), normal(layer.w_shape, 2)
    y = conv(x, w, **layer.conv)
    r = normal(y.shape, 3)
    back = conv_transpose(r, w, **layer.conv, spatial=layer.spatial)
    for order in (np.asfortranarray, lambda a: np.flip(np.flip(a).copy())):
        np.testing.assert_allclose(conv(order(x), order(w), **layer.conv), y, rtol=1e-12, atol=1e-12)
        again = conv_transpose(order(r), order(w), **layer.conv, spatial=layer.spatial)
        np.testing.assert_allclose(again, back, rtol=1e-12, atol=1e-12)


def test_a_large_layer_of_many_runs() -> None:
    layer = Layer(2, 64, (60, 61), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, 64)
    x, w = normal(layer.x_shape, 1, np.float32), normal(layer.w_shape, 2, np.float32)
    y = conv(x, w, **layer.conv)
    assert_close(y, run_ort(model_of(Example("Conv", (X(x.shape), w), layer.conv)), {"x0": x}))
    one_by_one = [conv(x[n : n + 1], w, **layer.conv)[0] for n in range(2)]
    assert_close(y, np.stack(one_by_one))


FLAWS: dict[str, tuple[Callable[[], Any], str]] = {
    "channels": (
        lambda: conv(np.ones((1, 5, 4, 4)), np.ones((6, 2, 3, 3)), **CONVOLUTIONS["3x3"].conv),
        r"w must have shape \(M, 5 / group",
    ),
    "length": (
        lambda: conv(np.ones((1, 2, 4)), np.ones((6, 2, 3)), **CONVOLUTIONS["3x3"].conv),
        "give 1 numbers each, 2 pads",
    ),
    "kernel": (
        lambda: conv(
            np.ones((1, 3, 2)), np.ones((6, 3, 3)), strides=[1], pads=[0, 0], dilations=[1], group=1
        ),
        r"no window fits \(2,\)",
    ),
    "relevance": (
        lambda: conv_transpose(
            np.ones((1, 6, 4, 4)), np.ones((6, 2, 3, 3)), **CONVOLUTIONS["3x3"].conv, spatial=(5, 4)
        ),
        r"r \(1, 6, 4, 4\), but conv maps \(1, 2, 5, 4\) to \(1, 6, 5, 4\)",
    ),
    "pooled": (
        lambda: max_pool_select(
            np.ones((1, 2, 4)), np.ones((1, 3, 2)), np.ones((1, 2, 4)), **POOLS["1-D"].pool
        ),
        "give the y pooled from x",
    ),
    "arriving": (
        lambda: max_pool_adjoint(
            np.ones((1, 2, 4)), np.ones((1, 2, 2)), np.ones((1, 2, 3)), **POOLS["1-D"].pool
        ),
        r"r has shape \(1, 2, 3\): give it the shape \(1, 2, 2\)",
    ),
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS.keys())
def test_what_does_not_fit_is_named(flaw: tuple[Callable[[], Any], str]) -> None:
    call, message = flaw
    with pytest.raises(ValueError, match=message):
        call()


POOLS = {
    "1-D": Layer(2, 3, (17,), (4,), (3,), (1, 0), (1,)),
    "2x2": Layer(2, 3, (8, 10), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),
    "overlapping, padded": Layer(2, 3, (9, 11), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1)),
    "dilated": Layer(1, 4, (9, 9), (3, 2), (1, 2), (1, 0, 0, 1), (2, 3)),
    "3-D": Layer(1, 2, (5, 6, 4), (2, 3, 2), (1, 2, 2), (0, 1, 0, 1, 1, 0), (1, 1, 1)),
}


def slow_jacobian(x: Array, y: Array, layer: Layer) -> Array:
    """One channel's selection as a matrix (windows, positions): 1 / winners at every winner."""
    jacobian = np.zeros((y.size, x.size))
    for row, window in enumerate(np.ndindex(*y.shape)):
        axes = list(
            zip(window, layer.strides, layer.pads[: x.ndim], layer.kernel, layer.dilations, strict=True)
        )
        reach = product(*([o * s - p + i * d for i in range(k)] for o, s, p, k, d in axes))
        inside = [i for i in reach if all(0 <= a < n for a, n in zip(i, x.shape, strict=True))]
        winners = [i for i in inside if x[i] == y[window]]
        for i in winners:
            jacobian[row, np.ravel_multi_index(i, x.shape)] = 1 / len(winners)
    return jacobian


def slow_pool(x: Array, layer: Layer) -> Array:
    rank = len(layer.spatial)
    around = list(zip(layer.pads[:rank], layer.pads[rank:], strict=True))
    padded = np.pad(x, [(0, 0), (0, 0), *around], constant_values=-np.inf)
    axes = zip(padded.shape[2:], layer.kernel, layer.strides, layer.dilations, strict=True)
    out = tuple((size - (k - 1) * d - 1) // s + 1 for size, k, s, d in axes)
    return np.max([seen for _, seen in windows(padded, out, layer)], axis=0)


@SEEN
@given(layers(), st.sampled_from([np.float32, np.float64]), st.sampled_from([1, 100]), st.booleans())
def test_max_pooling_on_any_layer(layer: Layer, dtype: Any, levels: int, small_blocks: bool) -> None:
    x = np.round(normal(layer.x_shape, 1) * levels).astype(dtype)  # one level: almost all ties
    y = slow_pool(x, layer)
    v, r = normal(x.shape, 2, dtype), normal(y.shape, 3, dtype)
    with pytest.MonkeyPatch.context() as patch:
        if small_blocks:
            patch.setattr(pooling, "BLOCK_BYTES", 1)
        selected = max_pool_select(x, y, v, **layer.pool)
        back = max_pool_adjoint(x, y, r, **layer.pool)
    assert selected.dtype == back.dtype == dtype
    for n, c in np.ndindex(*x.shape[:2]):
        jacobian = slow_jacobian(x[n, c], y[n, c], layer)
        assert_close(selected[n, c], (jacobian @ v[n, c].ravel()).reshape(y.shape[2:]))
        assert_close(back[n, c], (r[n, c].ravel() @ jacobian).reshape(x.shape[2:]))
    if dtype == np.float64:
        assert np.vdot(selected, r) == pytest.approx(np.vdot(v, back), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("layer", POOLS.values(), ids=POOLS.keys())
def test_the_input_selects_onnxruntimes_output(layer: Layer, ceil_mode: int) -> None:
    x = normal(layer.x_shape, 1, np.float32)
    example = Example("MaxPool", (X(x.shape),), {**layer.pool, "ceil_mode": ceil_mode})
    y = run_ort(model_of(example), {"x0": x})
    np.testing.assert_array_equal(max_pool_select(x, y, x, **layer.pool), y)
    r = np.random.default_rng(3).integers(-9, 9, y.shape).astype(np.float32)  # whole, so that sums are exact
    assert max_pool_adjoint(x, y, r, **layer.pool).sum() == r.sum()


def test_ties_share_equally_and_conserve_exactly() -> None:
    layer = POOLS["2x2"]
    x = np.random.default_rng(1).integers(0, 2, layer.x_shape).astype(np.float64)
    y = slow_pool(x, layer)
    r = 12.0 * np.random.default_rng(2).integers(-9, 9, y.shape)  # all shares, of 1 to 4 winners, are whole
    back = max_pool_adjoint(x, y, r, **layer.pool)
    blocks = back.reshape(2, 3, 4, 2, 5, 2)
    np.testing.assert_array_equal(blocks.sum(axis=(3, 5)), r)
    np.testing.assert_array_equal(max_pool_select(x, y, x, **layer.pool), y)
    flat = max_pool_adjoint(np.zeros_like(x), np.zeros_like(y), r, **layer.pool)
    np.testing.assert_array_equal(flat, np.repeat(np.repeat(r / 4, 2, 2), 2, 3))


def test_a_window_of_many_ties() -> None:
    """A dead channel under global pooling has more winners than a byte can count."""
    x, y = np.zeros((1, 1, 17, 17)), np.zeros((1, 1, 1, 1))
    layer = Layer(1, 1, (17, 17), (17, 17), (1, 1), (0, 0, 0, 0), (1, 1))
    back = max_pool_adjoint(x, y, np.full_like(y, 289.0), **layer.pool)
    np.testing.assert_array_equal(back, np.ones_like(x))


def test_windows_without_a_winner_select_and_send_nothing() -> None:
    """A window of padding alone, and one whose maximum is NaN; an infinity that loses does no harm."""
    x = np.array([[[np.nan, 1.0, -np.inf, 2.0]]])
    y = np.array([[[-np.inf, np.nan, 2.0]]])
    layer = Layer(1, 1, (4,), (2,), (2,), (2, 0), (1,))
    np.testing.assert_array_equal(max_pool_select(x, y, x, **layer.pool), [[[0.0, 0.0, 2.0]]])
    np.testing.assert_array_equal(max_pool_adjoint(x, y, np.ones_like(y), **layer.pool), [[[0, 0, 0, 1.0]]])


def test_memory_order_does_not_matter_to_pooling() -> None:
    layer = POOLS["overlapping, padded"]
    x = normal(layer.x_shape, 1)
    y, v = slow_pool(x, layer), normal(layer.x_shape, 2)
    r = normal(y.shape, 3)
    order = np.asfortranarray
    selected = max_pool_select(order(x), order(y), order(v), **layer.pool)
    np.testing.assert_array_equal(selected, max_pool_select(x, y, v, **layer.pool))
    back = max_pool_adjoint(order(x), order(y), order(r), **layer.pool)
    np.testing.assert_array_equal(back, max_pool_adjoint(x, y, r, **layer.pool))
