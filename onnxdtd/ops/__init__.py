"""One file per operator family: which linear map an op is at the point of the forward pass.

Every function takes a `Point` (node and values) and returns a `Site` (maps, inputs, bias, output). Where a map has
`weights=None` in its adjoint, unit weights are meant: the way in which values are moved or scaled one by one.
"""

from onnxdtd.registry import OPS, autoload

autoload(__name__)

__all__ = ["OPS"]
