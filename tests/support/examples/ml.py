"""ai.onnx.ml: what has a site of its own."""

from __future__ import annotations

import numpy as np
from onnx.numpy_helper import from_array

from tests.support.single_op import X, ex, w

DOMAIN = "ai.onnx.ml"
KERNEL = {
    "n_supports": 4, "kernel_params": [0.3, 0.2, 3.0], "rho": [0.4], "domain": DOMAIN,
    "support_vectors": w(12).tolist(), "coefficients": w(4).tolist(),
}  # fmt: skip
STUMPS = {
    "nodes_treeids": [0] * 3 + [1] * 3, "nodes_nodeids": [0, 1, 2] * 2, "nodes_featureids": [0, 0, 0, 2, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2, "nodes_values": [0.1, 0.0, 0.0, -0.2, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 0] * 2, "nodes_falsenodeids": [2, 0, 0] * 2, "n_targets": 2,
    "target_treeids": [0, 0, 1, 1], "target_nodeids": [1, 2, 1, 2], "target_ids": [0, 1, 0, 0],
    "target_weights": [1.0, 2.0, -3.0, 0.5], "domain": DOMAIN,
}  # fmt: skip
STUMP = {
    "tree_roots": [0], "nodes_featureids": [1], "nodes_modes": from_array(np.array([0], np.uint8)),
    "nodes_splits": from_array(np.array([0.1], np.float32)), "nodes_truenodeids": [0], "nodes_trueleafs": [1],
    "nodes_falsenodeids": [1], "nodes_falseleafs": [1], "leaf_targetids": [0, 1],
    "leaf_weights": from_array(np.array([1.5, -2.0], np.float32)), "n_targets": 2, "domain": DOMAIN,
}  # fmt: skip

EXAMPLES = [
    ex("Imputer", X((2, 4)), domain=DOMAIN, imputed_value_floats=[1.0], replaced_value_float=0.0),
    ex("SVMRegressor", X((2, 3)), kernel_type="RBF", note="rbf", **KERNEL),
    ex("SVMRegressor", X((2, 3)), kernel_type="POLY", note="poly", **KERNEL),
    ex("SVMRegressor", X((2, 3)), kernel_type="SIGMOID", note="sigmoid", **KERNEL),
    ex("TreeEnsembleRegressor", X((2, 3)), note="stumps", **STUMPS),
    ex("TreeEnsemble", X((2, 3)), note="stump", **STUMP),
]
