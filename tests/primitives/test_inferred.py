"""The shapes that are said without onnx are those that onnx says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, shape_inference

from onnxdtd.primitives import Tracer
from onnxdtd.primitives.inferred import shape_of

CASES = [
    ("Add", [("N", 4), ("N", 4)], {}),
    ("Sub", [("N", "M"), ("N", 1)], {}),
    ("Mul", [(4,), ("N", 3, 4)], {}),
    ("Div", [(), ("N", 1, 4)], {}),
    ("Max", [(2, 1), (1, 3), ()], {}),
    ("Clip", [("N", 4), (), ()], {}),
    ("HardSigmoid", [("N", 4)], {"alpha": 2.0}),
    ("Neg", [()], {}),
    ("Transpose", [("N", 3, 4)], {"perm": [2, 0, 1]}),
    ("Transpose", [("N", 3, 4)], {}),
    ("MatMul", [("N", 3), (3, 5)], {}),
    ("MatMul", [("N", "T", 3), (3, 5)], {}),
    ("MatMul", [("N", 1, 2, 3), (7, 3, 5)], {}),
    ("MatMul", [(2, 3), ("N", 3, "T")], {}),
]


@pytest.mark.parametrize(("op", "shapes", "attributes"), CASES)
def test_as_onnx_infers(op: str, shapes: list[tuple[int | str, ...]], attributes: dict[str, object]) -> None:
    names = [f"x{i}" for i in range(len(shapes))]
    node = helper.make_node(op, names, ["y"], **attributes)
    types = {
        n: helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, s)
        for n, s in zip(names, shapes, strict=True)
    }
    made = shape_inference.infer_node_outputs(onnx.defs.get_schema(op, 17), node, types)[
        "y"
    ].tensor_type.shape
    assert shape_of(op, shapes, attributes) == tuple(
        d.dim_value if d.HasField("dim_value") else d.dim_param for d in made.dim
    )


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        ("Add", [("N", 4), ("M", 4)]),
        ("Mul", [("N", 4), (3, 4)]),
        ("MatMul", [(3,), (3, 5)]),
        ("MatMul", [("N", 3), ("K", 5)]),
        ("MatMul", [("N", 2, 3), ("M", 3, 5)]),
        ("Softmax", [("N", 4)]),
    ],
)
def test_what_is_not_sure_is_left_to_onnx(op: str, shapes: list[tuple[int | str, ...]]) -> None:
    assert shape_of(op, shapes, {}) is None


def test_a_scalar_has_the_shape_of_none() -> None:
    shape = shape_of("Abs", [()], {})
    assert shape == ()
    assert np.zeros(shape).ndim == 0


def test_a_shape_is_that_of_the_numbers_that_say_it() -> None:
    tracer = Tracer(17)
    x, y = (tracer.value(name, np.float32, ("N", 12)) for name in "xy")
    shapes = [tracer.emit("Reshape", v, np.array(s)).shape for v in (x, y) for s in ([-1, 2, 6], [0, 3, 4])]
    assert [shape[1:] for shape in shapes] == [(2, 6), (3, 4)] * 2
    assert [shape[0] == "N" for shape in shapes] == [False, True] * 2
    assert shapes[0][0] != shapes[2][0]  # a size of which nothing is known is called after its value
