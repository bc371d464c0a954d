"""Convolutions and matrix products with what was fused into them, or in another layout."""

from __future__ import annotations

from onnxdtd.model.definitions.activations import activated
from onnxdtd.model.definitions.body import Body

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Channels of a picture to the front and to the end."""


def fused_conv(b: Body) -> list[str]:
    """f(conv(x, w, bias) + z)."""
    return [_conv(b, *b.x[:4])]


def nhwc_conv(b: Body) -> list[str]:
    """conv(x, w, bias) with the channels last, those of the weights too."""
    b.attributes.pop("kernel_shape", None)
    y = _conv(b, b.transpose(b.x[0], *TO_FIRST), b.transpose(b.x[1], *TO_FIRST), b.x[2])
    return [b.transpose(y, *TO_LAST)]


def nhwc_fused_conv(b: Body) -> list[str]:
    """f(conv(x, w, bias) + z) with the channels last; not those of the weights."""
    z = b.transpose(b.x[3], *TO_FIRST) if b.x[3] else ""
    return [b.transpose(_conv(b, b.transpose(b.x[0], *TO_FIRST), b.x[1], b.x[2], z), *TO_LAST)]


def _conv(b: Body, x: str, w: str, bias: str, z: str = "") -> str:
    attributes = dict(b.attributes)
    name, parameters = attributes.pop("activation", ""), attributes.pop("activation_params", ())
    y = b("Conv", x, w, *filter(None, [bias]), **attributes)
    return activated(b, b.sum(y, z), name, parameters)


def fused_gemm(b: Body) -> list[str]:
    """f(alpha a b + beta c)."""
    attributes = dict(b.attributes)
    name = attributes.pop("activation", "")
    parameters = [attributes.pop(f"activation_{k}", None) for k in ("alpha", "beta", "gamma")]
    y = b("Gemm", *(x for x in b.x[:3] if x), **attributes)
    return [activated(b, y, name, [p for p in parameters if p is not None])]


def fused_matmul(b: Body) -> list[str]:
    """alpha a b, each of the two transposed where it is asked for."""
    y = b("MatMul", *(_turned(b, slot, side) for slot, side in enumerate("AB")))
    alpha = b.attribute("alpha", 1.0)
    return [y if alpha == 1 else b("Mul", y, alpha)]


def _turned(b: Body, slot: int, side: str) -> str:
    """A factor; transBatch moves its first axis behind those of the batch, trans swaps the last two."""
    last_two, batch = (b.attribute(f"trans{kind}{side}", 0) for kind in ("", "Batch"))
    if not (last_two or batch) or (rank := b.rank(slot)) < 2:
        return b.x[slot]
    perm = [*range(1, rank - 1), 0, rank - 1] if batch else list(range(rank))
    return b.transpose(b.x[slot], *perm[:-2], *(reversed(perm[-2:]) if last_two else perm[-2:]))


def fused_matmul_activation(b: Body) -> list[str]:
    """f(alpha a b)."""
    [y] = fused_matmul(b)
    parameters = [b.attribute(f"activation_{k}", None) for k in ("alpha", "beta", "gamma")]
    return [activated(b, y, b.attribute("activation", ""), [p for p in parameters if p is not None])]
