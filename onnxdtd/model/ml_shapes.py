"""Types and shapes of what the operators of ai.onnx.ml make, most of which onnx does not infer."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

_KEEPS_SHAPE = {"Scaler": TensorProto.FLOAT, "Normalizer": TensorProto.FLOAT, "Imputer": 0, "Binarizer": 0}
_REGRESSORS = {
    "LinearRegressor": "targets",
    "SVMRegressor": "",
    "TreeEnsembleRegressor": "n_targets",
    "TreeEnsemble": "n_targets",
}
"""What scores by its first output, and the attribute that counts the scores, 1 without it."""
_CLASSIFIERS = {"LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"}


def ml_values(node: NodeProto, x: TypeProto.Tensor) -> Iterator[ValueInfoProto]:
    """The outputs of a node whose shapes follow from its first input: scores are (N, targets)."""
    if not x.HasField("shape"):
        return
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in x.shape.dim]
    op, first = node.op_type, node.output[0]
    if op in _KEEPS_SHAPE:
        yield helper.make_tensor_value_info(first, _KEEPS_SHAPE[op] or x.elem_type, sizes)
    elif op == "ArrayFeatureExtractor" and len(sizes) > 1:
        yield helper.make_tensor_value_info(first, x.elem_type, [*sizes[:-1], None])
    elif op == "OneHotEncoder":
        yield helper.make_tensor_value_info(first, TensorProto.FLOAT, [*sizes, None])
    elif len(sizes) == 2 and op in _REGRESSORS:
        kind = x.elem_type if op == "TreeEnsemble" else TensorProto.FLOAT
        counts = [a.i for a in node.attribute if a.name == _REGRESSORS[op]]
        yield helper.make_tensor_value_info(first, kind, [sizes[0], *(counts or [1])])
    elif len(sizes) == 2 and op in _CLASSIFIERS and len(node.output) > 1 and node.output[1]:
        yield helper.make_tensor_value_info(node.output[1], TensorProto.FLOAT, [sizes[0], None])
