"""`cluster`: spectral relevance analysis of a planted set, and each step of it by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.datasets.recipe import reopened
from onnxdtd.lessons.features import features, spans
from onnxdtd.lessons.spectral import eigengap, outlying, spectral
from tests.support.command_line import Cli
from tests.support.model_text import model

pytest.importorskip("pyarrow", reason="shards are Parquet")
SIDE, ROWS, MARKED = 12, 40, 8


def planted() -> tuple[np.ndarray, np.ndarray]:
    """Pictures of two classes with a blob in the middle; of class 1 every fifth has a bright corner instead."""
    rng = np.random.default_rng(0)
    x = 0.02 * rng.random((2 * ROWS, 1, SIDE, SIDE))
    labels = np.repeat([0, 1], ROWS)
    x[:, 0, 4:8, 4:8] += rng.random((2 * ROWS, 4, 4))
    marked = np.arange(ROWS, 2 * ROWS, ROWS // MARKED)
    x[marked, 0, 4:8, 4:8] = 0
    x[marked, 0, :2, :2] = 1 + 0.1 * rng.random((MARKED, 2, 2))
    return x.astype(np.float32), labels


@pytest.fixture
def job(tmp_path: Path) -> onnxdtd.Results:
    """Two logits, each the sum of all pixels, so that gradient x input is the picture."""
    w = np.ones((SIDE * SIDE, 2), np.float32)
    onnx.save(
        model(
            f"(float[N, 1, {SIDE}, {SIDE}] x) => (float[N, 2] y) {{ f = Flatten(x)\n y = MatMul(f, w) }}", w=w
        ),
        tmp_path / "net.onnx",
    )
    x, labels = planted()
    np.savez(tmp_path / "rows.npz", x=x, labels=labels)
    return onnxdtd.batch(
        tmp_path / "net.onnx", tmp_path / "rows.npz", tmp_path / "job", 0, "gradient_x_input", shard_rows=30
    )


def test_spans_share_an_element_by_its_parts() -> None:
    """Three elements in two spans: the middle one lies half in each."""
    np.testing.assert_array_equal(spans(3, 2), [[1, 0.5, 0], [0, 0.5, 1]])
    np.testing.assert_array_equal(spans(2, 5), np.eye(2))


def test_a_heatmap_becomes_a_vector_of_length_one() -> None:
    """Two channels of 4 x 4, all ones but a -7: cells of 2 x 2 sum up to 8, 8, 8 and 8 - 8 = 0."""
    r = np.ones((2, 4, 4))
    r[0, 3, 3] = -7
    np.testing.assert_allclose(features({"x": r}, 2), np.array([1, 1, 1, 0]) / np.sqrt(3), rtol=1e-6)
    np.testing.assert_allclose(features({"a": np.array([3.0]), "b": np.array([-4.0])}, 2), [0.6, -0.8])
    assert features({"x": np.zeros(3)}, 2) is None
    assert features({"x": np.array([np.nan, 1.0])}, 2) is None


def test_the_gap_and_the_outlier_score_by_hand() -> None:
    """Cluster 0: 0 and 2 on a line, cluster 1: 10. Means 1 and 10, squared spreads 1 and 0: F = 81."""
    assert eigengap(np.array([0, 0, 0.5, 0.6])) == 2
    assert eigengap(np.array([0, 0.4, 0.5, 0.6])) == 1
    rows = np.array([[0.0], [2.0], [10.0]])
    scores = outlying(rows, np.array([0, 0, 1]), (0.0, 0.25), 0.5)
    np.testing.assert_allclose(scores, [81 / 82 / 6, 81 / 82 / 3 * 0.75])
    assert outlying(rows, np.zeros(3, int), (0.0,), 0.5) == [0.0]


def test_a_cut_is_the_share_of_neighbours_elsewhere() -> None:
    """Four rows in a line, each joined to the next: of the three ends that two of them have, one leads away."""
    pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")
    spectrum = spectral(np.array([[0.0], [1.0], [2.1], [4.0]]), 1, 2, 2)
    assert spectrum.labels.tolist() == [0, 0, 1, 1]
    assert spectrum.cuts == (1 / 3, 1 / 3)
    assert spectrum.gap == pytest.approx(1.0)  # of the walk on a line of four: 0, .5, 1.5, 2


def test_parts_that_nothing_joins_each_have_an_eigenvalue_of_zero() -> None:
    """Three far clouds, of which one is large enough for the iteration of sparse matrices."""
    pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")
    rows = np.random.default_rng(0).normal(size=(540, 6))
    rows[:, 0] += np.repeat([0.0, 100, 250], [400, 90, 50])
    spectrum = spectral(rows, 10, 5)
    np.testing.assert_allclose(spectrum.eigenvalues[:3], 0, atol=1e-8)
    assert spectrum.eigenvalues[3] > 0.05
    assert np.bincount(spectrum.labels).tolist() == [400, 90, 50]
    assert spectrum.cuts == (0, 0, 0)


def test_planted_rows_are_a_cluster(job: onnxdtd.Results, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")
    clusters = onnxdtd.cluster(job, neighbours=5, classes=["1"])
    (group,) = clusters.groups
    assert (group.name, len(group.ids), clusters.left_out) == ("1", ROWS, {})
    np.testing.assert_allclose(group.eigenvalues[:2], 0, atol=1e-6)  # two parts that nothing joins
    marked = {str(i) for i in range(ROWS, 2 * ROWS, ROWS // MARKED)}
    best = clusters.lines[0]
    assert (best["cluster"], best["rows"], best["share"]) == (1, MARKED, MARKED / ROWS)
    other = clusters.lines[1]
    assert best["score"] > 2 * other["score"] > 0
    assert {row["id"] for row in clusters.rows if row["cluster"] == 1} == marked
    assert set(group.maps["tsne"].shape) == {ROWS, 2}
    again = onnxdtd.cluster(job, neighbours=5, classes=["1"])
    assert again.rows == clusters.rows


def test_the_command_and_its_files(cli: Cli, job: onnxdtd.Results, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")
    code, out, err = cli("cluster", "job", "-o", "out", "--neighbours", 5, "--class", 1, "--json")
    document = json.loads(out)
    assert (code, err, document["clusters"][0]["rows"]) == (0, "", MARKED)
    (folder,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert {path.name for path in folder.iterdir()} == {"map.png", "cluster-0.png", "cluster-1.png"}
    assert len((tmp_path / "out" / "rows.csv").read_text().splitlines()) == 1 + ROWS
    (tmp_path / "rows.npz").unlink()
    code, out, err = cli("cluster", "job", "-o", "out", "--neighbours", 5, "--class", 1, "--clusters", 1)
    assert (code, "contact sheets show relevance alone" in err) == (0, True)
    assert cli("cluster", "job", "-o", "out", "--class", "seven")[0] == 2
    assert cli("cluster", "job", "-o", "job")[0] == 2
    assert cli("cluster", "nowhere", "-o", "out")[0] == 2


def test_what_cannot_be_clustered_is_named(job: onnxdtd.Results, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")
    few = onnxdtd.batch(tmp_path / "net.onnx", planted()[0][:4], tmp_path / "few", 0)
    assert "it has 4 rows" in onnxdtd.cluster(few, by="prediction").left_out["class 0"]
    with pytest.raises(onnxdtd.UsageError, match="no class by 'colour'"):
        onnxdtd.cluster(job, by="colour")
    with pytest.raises(onnxdtd.UsageError, match="no relevance of an input z is stored; there are x"):
        onnxdtd.cluster(job, inputs=["z"])
    onnx.save(
        model("(float[N, M] x) => (float[N, 1] y) { y = ReduceSum(x, one) }", one=np.array([1])),
        tmp_path / "open.onnx",
    )

    def texts() -> Iterator[tuple[str, Any]]:
        yield from ((str(i), np.ones((1, 3 + i % 2), np.float32)) for i in range(9))

    mixed = onnxdtd.batch(tmp_path / "open.onnx", texts(), tmp_path / "mixed", 0)
    with pytest.raises(onnxdtd.InputError, match=r"'x' is of shape \(3,\) in some rows and \(4,\) in '1'"):
        onnxdtd.cluster(mixed)


@pytest.mark.parametrize("seed", [-1, 2**32, "1", True])
def test_a_seed_that_is_none(job: onnxdtd.Results, seed: Any) -> None:
    with pytest.raises(
        onnxdtd.UsageError, match=f"seed is a whole number from 0 to 4294967295, not {seed!r}"
    ):
        onnxdtd.cluster(job, seed=seed)


def test_a_missing_library_is_named(job: onnxdtd.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(onnxdtd.UsageError, match=r'scikit-learn: pip install "onnxdtd\[cluster\]"'):
        onnxdtd.cluster(job)


def test_the_files_of_virelay(cli: Cli, job: onnxdtd.Results, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="clusters are found by scikit-learn")
    h5py = pytest.importorskip("h5py", reason="ViRelAy's files are HDF5")
    yaml = pytest.importorskip("yaml", reason="its project is YAML")
    words = ("cluster", "job", "-o", "out", "--neighbours", 5, "--no-pictures", "--virelay", "project/p.yaml")
    assert cli(*words)[0] == 0
    project = yaml.safe_load((tmp_path / "project" / "p.yaml").read_text())["project"]
    assert (project["dataset"]["type"], project["dataset"]["input_width"]) == ("hdf5", SIDE)
    assert project["attributions"]["attribution_strategy"] == "true_label"
    folder, x = tmp_path / "project", planted()[0]
    with h5py.File(folder / project["attributions"]["sources"][0]) as file:
        np.testing.assert_allclose(file["attribution"], x, atol=1e-6)
        np.testing.assert_allclose(file["prediction"][:, 0], x.sum(axis=(1, 2, 3)), rtol=1e-5)
        assert file["label"].dtype == np.uint16
    with h5py.File(folder / project["dataset"]["path"]) as file:
        assert file["data"].shape == (2 * ROWS, 3, SIDE, SIDE)
        np.testing.assert_array_equal(file["label"], planted()[1])
    with h5py.File(folder / project["analyses"][0]["sources"][0]) as file:
        assert list(file) == ["00000000", "00000001"]
        one = file["00000001"]
        np.testing.assert_array_equal(one["index"], np.arange(ROWS, 2 * ROWS))
        assert one["embedding/spectral"].attrs["eigenvalue"].shape == (one["embedding/spectral"].shape[1],)
        assert one["embedding/tsne"].attrs["embedding"] == "spectral"
        assert one["cluster/spectral"].attrs["k"] == 2
        assert one["cluster/spectral"][()].sum() == MARKED
    names = json.loads((folder / project["label_map"]).read_text())
    assert [entry["word_net_id"] for entry in names] == ["00000000", "00000001"]
    assert cli(*words)[0] == 0  # over its own
    (folder / "p.yaml").write_text("mine: 1\n")
    code, _, err = cli(*words)
    assert (code, "was not written by onnxdtd" in err) == (2, True)
    assert cli(*words[:-1], "p.txt")[0] == 2
    assert reopened(tmp_path / "job").data is not None
