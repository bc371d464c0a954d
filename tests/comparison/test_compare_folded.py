"""Methods that say the same are shown once."""

from __future__ import annotations

import numpy as np

import onnxdtd
from onnxdtd.cli import main
from tests.ops.test_tree_shap import CORNERS, and_of_two


def test_on_trees_all_that_share_is_saabas_and_all_gradients_are_nothing(tmp_path, capsys):
    comparison = onnxdtd.compare(and_of_two(), CORNERS[3:], "all", repeats=1)
    assert {"saabas", "tree_shap", "gradient"} <= set(comparison.methods)
    assert comparison.equal["dtd"] == comparison.equal["attnlrp"] == "saabas"
    assert comparison.equal["smoothgrad"] == "gradient"
    assert not set(comparison.equal) & {
        *comparison.methods,
        *comparison.timings,
        *(m for _, m in comparison.cells),
    }
    np.testing.assert_allclose(comparison.cells[0, "saabas"].relevance["x"], [0.25, 0.5, 0])
    assert comparison.document()["equal"]["dtd"] == "saabas"
    (tmp_path / "model.onnx").write_bytes(and_of_two().SerializeToString())
    np.save(tmp_path / "row.npy", CORNERS[3:])
    told = ["compare", str(tmp_path / "model.onnx"), str(tmp_path / "row.npy"), "-o", str(tmp_path / "out")]
    assert main([*told, "--repeats", "1"]) == 0
    assert ": as saabas" in capsys.readouterr().out


def test_what_is_asked_for_by_name_is_shown():
    comparison = onnxdtd.compare(and_of_two(), CORNERS[3:], ["dtd", "saabas"], repeats=1)
    assert (comparison.methods, comparison.equal) == (("dtd", "saabas"), {})
