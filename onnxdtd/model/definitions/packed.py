"""Products with weights of a few bits, several of them in a byte."""

from __future__ import annotations

from onnx import TensorProto

from onnxdtd.model.definitions.body import Body

BYTE = 8


def matmul_nbits(b: Body) -> list[str]:
    """x W + bias with W = ((q - z) s)' of q (N, blocks, bytes), whose blocks of K have a scale and a zero point each.

    z is 2^(bits - 1) where it is left out; the first number of a byte is in its lowest bits.
    """
    if b.x[4]:
        raise b.refuse("its form with g_idx, which sorts the columns, has no definition")
    bits, block = b.attribute("bits", 4), b.attribute("block_size", 0)
    outputs, length = b.attribute("N", 0), b.attribute("K", 0)
    if BYTE % bits:
        raise b.refuse(f"its form with {bits} bits has no definition")
    blocks = -(-length // block)
    q = b.reshape(unpacked(b, b.x[1], bits), outputs, blocks, block)
    z = b.floats(2.0 ** (bits - 1))
    if b.x[3] and b.elem_type(3) == TensorProto.UINT8:
        rows = unpacked(b, b.reshape(b.x[3], outputs, -1), bits)
        z = b.reshape(b.part(rows, 1, 0, blocks), outputs, blocks, 1)
    elif b.x[3]:
        z = b.reshape(b.x[3], outputs, blocks, 1)
    w = b("Mul", b("Sub", q, z), b.reshape(b.x[2], outputs, blocks, 1))
    w = b.part(b.reshape(w, outputs, blocks * block), 1, 0, length)
    return [b.sum(b("MatMul", b.x[0], b.transpose(w, 1, 0)), b.x[5])]


def unpacked(b: Body, x: str, bits: int) -> str:
    """Bytes (N, ...) as rows (N, numbers) of floats."""
    left = b.reshape(b.as_float(x), 0, -1)
    step, parts = 2.0**bits, []
    for _ in range(BYTE // bits - 1):
        above = b("Floor", b("Div", left, step))
        parts.append(b("Sub", left, b("Mul", above, step)))
        left = above
    stacked = b.concat(2, *(b.unsqueeze(part, 2) for part in (*parts, left)))
    return b.reshape(stacked, 0, -1)
