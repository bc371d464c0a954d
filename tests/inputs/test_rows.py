"""Rows of CSV files, .npz, folders: what each is called, what it holds, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from onnxdtd.errors import InputError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import Preprocess, open_data, read_inputs
from onnxdtd.model.graph import Value
from onnxdtd.survey import check

TABLE = {"x": Value("x", TensorProto.FLOAT, ("N", 2))}
COLUMNS = {
    "age": Value("age", TensorProto.FLOAT, (None, 1)),
    "city": Value("city", TensorProto.STRING, (None, 1)),
    "sold": Value("sold", TensorProto.INT64, (None,)),
}
IMAGE = {"x": Value("x", TensorProto.FLOAT, ("N", 3, 6, 6))}


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_csv_is_read_by_the_names_of_features(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "b,id,a,label\n1,x,2.5,0\n\n3,y,4,1\n")
    np.testing.assert_array_equal(read_inputs(path, TABLE, None, ("a", "b"))["x"], [[2.5, 1], [4, 3]])
    data = open_data(path, TABLE, features=("a", "b"))
    assert [(row.id, row.inputs["x"].tolist(), row.label) for row in data] == [
        ("a.csv[0]", [[2.5, 1.0]], "0"),
        ("a.csv[1]", [[4.0, 3.0]], "1"),
    ]
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1]


def test_a_csv_is_read_by_the_names_of_inputs(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "city;Sold;age\nUlm;true;31\nBonn;0;\n")
    nan = {"age": Value("age", TensorProto.FLOAT, (None, 1), missing=True)}
    feeds = read_inputs(path, {**COLUMNS, **nan})
    assert feeds["city"].tolist() == [["Ulm"], ["Bonn"]]
    np.testing.assert_array_equal(feeds["age"], [[31], [np.nan]])
    assert (feeds["sold"].dtype, feeds["sold"].tolist()) == (np.int64, [1, 0])


def test_columns_without_names_are_taken_as_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "u\tv\n1\t2\n")
    np.testing.assert_array_equal(read_inputs(path, TABLE)["x"], [[1, 2]])


@pytest.mark.parametrize(
    ("text", "values", "features", "words"),
    [
        ("agee,city\n1,a\n", COLUMNS, None, "lacks the columns 'age', 'sold'; did you mean 'agee'?"),
        ("b,c\n1,2\n", TABLE, ("a", "b"), "lacks the column 'a'; it has 'b', 'c'"),
        (
            "a,b,c\n1,2,3\n",
            TABLE,
            None,
            "has 3 columns, the model takes 2 and does not name them: --features",
        ),
        ("a,b\n1,two\n", TABLE, None, "line 2, column 'b': 'two' is not a number"),
        ("a,b\n1,2\n1\n", TABLE, None, "line 3: 1 cells, where the header has 2"),
        ("1.5,2\n1,2\n", TABLE, None, "holds no header"),
        ("a,b\n", TABLE, None, "holds a header and no rows"),
        ("age,city,sold\n1,a,0.5\n", COLUMNS, None, "column 'sold': '0.5' is not a whole number"),
        ("a,b\n1,2\n", IMAGE, None, "holds rows of a table, and the model's input 'x' is none"),
        ("a,b\n1,\0\n", TABLE, None, "is not a CSV file"),
    ],
)
def test_each_fault_of_a_csv_is_one_line(
    tmp_path: Path, text: str, values: Any, features: Any, words: str
) -> None:
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(InputError) as caught:
        read_inputs(path, values, None, features)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_labels_beside_the_inputs_are_no_input(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", rows=np.ones((3, 2), np.float32), labels=np.arange(3))
    assert read_inputs(tmp_path / "a.npz", TABLE)["x"].shape == (3, 2)
    data = open_data(tmp_path / "a.npz", TABLE)
    assert [(row.id, row.label) for row in data] == [("a.npz[0]", 0), ("a.npz[1]", 1), ("a.npz[2]", 2)]


def test_arrays_of_pixels_are_prepared_as_pictures_are(tmp_path: Path) -> None:
    pixels = np.arange(216, dtype=np.uint8).reshape(2, 6, 6, 3)
    unit, right = Preprocess(scale=0.5), pixels.transpose(0, 3, 1, 2) * np.float32(0.5)
    np.savez(tmp_path / "a.npz", pictures=pixels, labels=[3, 4])
    np.save(tmp_path / "b.npy", pixels.transpose(0, 3, 1, 2))
    for name in ("a.npz", "b.npy"):
        np.testing.assert_array_equal(read_inputs(tmp_path / name, IMAGE, unit)["x"], right)
        rows = list(open_data(tmp_path / name, IMAGE, preprocess=unit))
        np.testing.assert_array_equal(np.concatenate([row.inputs["x"] for row in rows]), right)
        assert rows[1].picture is not None
        np.testing.assert_array_equal(rows[1].picture(), pixels[1])


def test_one_bad_file_does_not_lose_the_others(tmp_path: Path) -> None:
    for name in ("cats/a.png", "dogs/a.png", "dogs/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 6)).save(tmp_path / name)
    (tmp_path / "dogs" / "b.png").write_bytes(b"no picture")
    faults: list[tuple[str, str]] = []
    data = open_data(tmp_path, IMAGE, preprocess=Preprocess())
    rows = list(data.each(lambda name, error: faults.append((name, str(error)))))
    assert [(row.id, row.label) for row in rows] == [
        ("cats/a.png", "cats"),
        ("dogs/a.png", "dogs"),
        ("dogs/c.png", "dogs"),
    ]
    assert data.names == ("cats/a.png", "dogs/a.png", "dogs/b.png", "dogs/c.png")
    ((name, fault),) = faults
    assert (name, fault.endswith("b.png' is not an image that Pillow can read")) == ("dogs/b.png", True)
    with pytest.raises(InputError, match="is not an image that Pillow can read"):
        list(data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no inputs"):
        open_data(tmp_path / "empty", IMAGE)


def test_a_whole_disk_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More other files than inputs are fine, until there are so many that the folder must be another one."""
    monkeypatch.setattr("onnxdtd.inputs.listing.OTHERS", 30)
    for name in ("a/x.npy", "b/x.npy", "b/y.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.ones((1, 2), np.float32))
    for number in range(20):
        (tmp_path / "b" / f"{number}.md").touch()
    (tmp_path / "c").symlink_to(tmp_path)
    assert open_data(tmp_path, TABLE).names == ("a/x.npy", "b/x.npy", "b/y.npy")
    for number in range(30):
        (tmp_path / "a" / f"{number}.md").touch()
    with pytest.raises(InputError, match="name the folder that the inputs are in"):
        open_data(tmp_path, TABLE)
    with pytest.raises(InputError, match="name the folder that the inputs are in"):
        open_data(tmp_path / "c", TABLE)


def test_several_files_of_which_one_cannot_be_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 2), np.float32))
    np.save(tmp_path / "b.npy", np.ones((1, 3), np.float32))
    faults: list[str] = []
    data = open_data([tmp_path / n for n in ("a.npy", "none.npy", "b.npy")], TABLE)
    assert [row.id for row in data.each(lambda name, _: faults.append(name))] == ["a.npy[0]", "a.npy[1]"]
    assert faults == ["none.npy", "b.npy"]
    assert [row.id for row in open_data(tmp_path / "a.npy", TABLE, limit=1)] == ["a.npy[0]"]


def test_check_refuses_what_no_run_can_be_given() -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    several = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("SequenceLength", ["s"], ["length"]),
        helper.make_node("Cast", ["length"], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "factor"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x, several], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    fault = "input 's' is no tensor in the model: only tensors can be given"
    assert check(proto).faults == (fault,)
    with pytest.raises(InputError, match=fault):
        Explainer(proto)({"x": np.ones((1, 2), np.float32), "s": np.ones(1, np.float32)})
