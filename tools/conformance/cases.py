"""The cases of onnx's own test suite in which a float goes in and a float comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

KINDS = ("node", "pytorch-converted", "pytorch-operator")
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
# What onnxruntime loads; onnx stamps its tests with the newest of each.
NEWEST_OPSET, NEWEST_IR = 26, 10
PREVIEW = ("ai.onnx.preview", "ai.onnx.preview.training")


@dataclass
class Case:
    """One test: op is what it is about, feeds its own input, expected its own first outputs."""

    name: str
    kind: str
    op: str
    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    outputs: list[np.ndarray]


def cases(kinds: tuple[str, ...] = KINDS) -> Iterator[Case]:
    for kind in kinds:
        subjects: dict[str, str] = {}
        for test in load_model_tests(kind=kind):
            if (case := _case(test, kind)) is not None:
                case.op = case.op or subjects.get(test.name.partition("_expanded")[0], "several")
                subjects[test.name] = case.op
                yield case


def _case(test: Any, kind: str) -> Case | None:
    model = onnx.load(Path(test.model_dir) / "model.onnx") if test.model is None else test.model
    if {o.domain for o in model.opset_import} & set(PREVIEW):
        return None
    model = onnx.ModelProto.FromString(model.SerializeToString())
    ins = [v for v in model.graph.input if v.name not in {t.name for t in model.graph.initializer}]
    if not (_floats(ins) and _floats(model.graph.output)):
        return None
    arrays, outputs = _data(test, ins, model.graph.output)
    if arrays is None:
        return None
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = min(entry.version, NEWEST_OPSET)
    model.ir_version = min(model.ir_version, NEWEST_IR)
    return Case(test.name, kind, _subject(model), model, arrays, outputs)


def _floats(values: Any) -> bool:
    return any(v.type.tensor_type.elem_type in FLOATS for v in values)


def _data(test: Any, inputs: Any, outputs: Any) -> tuple[dict[str, np.ndarray] | None, list[np.ndarray]]:
    """The first data set, from memory or from the folder; None where it is no tensor."""
    if test.data_sets:
        given, wanted = test.data_sets[0]
    else:
        folder = Path(test.model_dir) / "test_data_set_0"
        given = [_tensor(folder / f"input_{i}.pb") for i in range(len(inputs))]
        wanted = [_tensor(folder / f"output_{i}.pb") for i in range(len(outputs))]
    given, wanted = list(map(_array, given)), list(map(_array, wanted))
    if any(not isinstance(x, np.ndarray) for x in given):
        return None, []
    return {v.name: x for v, x in zip(inputs, given, strict=False)}, wanted


def _tensor(path: Path) -> np.ndarray | None:
    return numpy_helper.to_array(onnx.load_tensor(str(path))) if path.exists() else None


def _array(x: Any) -> Any:
    if isinstance(x, TensorProto):
        return numpy_helper.to_array(x)
    return np.asarray(x) if isinstance(x, np.generic) else x


def _subject(model: onnx.ModelProto) -> str:
    """The op that a single-node case is about; none for networks and expanded functions."""
    ops = [node.op_type for node in model.graph.node if node.op_type != "Constant"]
    return ops[0] if len(ops) == 1 else ""
