"""A result as an ONNX model: the graph that was explained, with the books of every node where viewers show them.

Netron shows a node's doc_string and metadata_props when the node is chosen. The file is an ordinary model, which
computes what the explained one computes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnx import helper

from onnxdtd.compiled.export import write
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.model import external
from onnxdtd.model.graph import Graph
from onnxdtd.node_report import NodeReport
from onnxdtd.owned import check_owned
from onnxdtd.printing import printable, shortened
from onnxdtd.version import __version__

MARK = "Annotated by onnxdtd"
LEAST_IR = 10
"""The first version of the format in which nodes have metadata_props."""
_LONGEST = 200  # of a stranger's name


def save_annotated(
    e: Explanation, graph: Graph, path: str | Path, source: str | Path | None = None
) -> list[Path]:
    """Write the graph that was explained, annotated; returns the files: a second one holds the weights where those of
    `source`, the model's file, lie in files of another folder, or where one file cannot hold them.

    Raises UsageError where the file may not be written, UnsupportedError for a result without books of its nodes.
    """
    path, source = Path(path), None if source is None else Path(source)
    check_annotated(path, source)
    apart = source is not None and bool(external.files(source))
    return write(annotated(e, graph), graph.constants, path, apart=apart)


def annotated(e: Explanation, graph: Graph) -> onnx.ModelProto:
    """The graph as a model without its constants; relevance, rule and losses in doc_string and metadata_props of each
    node that relevance reached. Raises UnsupportedError where the explanation has no nodes."""
    if not e.nodes:
        raise no_books(e.method)
    model = graph.to_proto(constants=False)
    model.ir_version = max(model.ir_version, LEAST_IR)
    model.producer_version = __version__
    model.doc_string = f"{MARK} {__version__}: {_short(e.method)} of {_short(e.label())}"
    helper.set_model_props(model, {**graph.metadata, **_facts(e, graph)})
    reports = {report.name: report for report in e.nodes}
    protos = iter(model.graph.node)
    for node in graph.nodes:
        parts = [next(protos) for _ in node.to_protos(graph.opsets)]
        if report := reports.get(node.name):
            for part in parts:
                _annotate(part, report, len(parts))
    return model


def no_books(method: str) -> UnsupportedError:
    """The refusal of a method that looks into no node."""
    return UnsupportedError(
        f"{_short(method)} leaves no numbers of single nodes to annotate with; take a method of one walk on engine "
        "numpy, such as attnlrp or epsilon_gamma"
    )


def check_annotated(path: Path, source: Path | None) -> None:
    """UsageError unless the file may be written: it is new, or an earlier one of these, and neither the model itself
    nor one of the files with its weights."""
    if path.is_dir():
        raise UsageError(
            f"'{path}' is a directory: name the file that is to be written, such as annotated.onnx"
        )
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"'{path}' is no ONNX file by its name: name it *.onnx")
    beside = path.with_name(f"{path.name}.data")
    own = [source, *external.files(source)] if source is not None and source.is_file() else []
    for file in (path, beside):
        if file.exists() and any(other.exists() and file.samefile(other) for other in own):
            raise UsageError(f"'{file}' belongs to the model itself: name another file")
    if beside.exists() and not path.exists():
        raise UsageError(
            f"'{beside}' is there, where weights may have to go: name another file, or remove it"
        )
    check_owned(path, MARK.encode(), "was not written by onnxdtd annotate")


def _annotate(proto: onnx.NodeProto, report: NodeReport, parts: int) -> None:
    """The books on a node; parts: how many nodes of the file stand for that one."""
    lines = list(_lines(report))
    if parts > 1:
        lines.append(f"all of this of {parts} nodes together, which stand for {_name(report.name)}")
    proto.doc_string = ";\n".join(lines)
    facts = {
        "rule": report.rule,
        "arrived": repr(report.arrived),
        "left": repr(report.left),
        "lost": json.dumps(report.lost),
        "handed": json.dumps(report.handed),
        "error": repr(report.error),
        "node": report.name,
    }
    for name, text in facts.items():
        proto.metadata_props.add(key=f"onnxdtd/{name}", value=printable(text))


def _lines(report: NodeReport) -> Iterator[str]:
    """What a reader sees, who may see it in one line."""
    yield f"rule {printable(report.rule)}"
    yield f"relevance {report.arrived:.6g} arrived, {report.left:.6g} left"
    yield f"lost {_amounts(report.lost.items()) or 'nothing'}"
    if report.handed:
        yield f"handed {_amounts(((_name(name), amount) for name, amount in report.handed.items()))}"


def _amounts(items: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{amount:.6g} to {name}" for name, amount in items)


def _name(name: str) -> str:
    return f"'{_short(name)}'"


def _short(text: str) -> str:
    return shortened(printable(text), _LONGEST)


def _facts(e: Explanation, graph: Graph) -> dict[str, str]:
    """What a reader of the file must know of all of it."""
    return {
        "onnxdtd/version": __version__,
        "onnxdtd/method": _short(e.method),
        "onnxdtd/target": _short(e.label()),
        "onnxdtd/output": printable(e.output),
        "onnxdtd/conservation": str(e.conservation),
        "onnxdtd/samples": str(len(e.seed)),
        "onnxdtd/source_sha256": graph.sha256,
        "onnxdtd/conditions": json.dumps(graph.all_conditions),
        "onnxdtd/notes": json.dumps(e.notes),
        "onnxdtd/warnings": json.dumps(e.warnings),
    }
