"""A folder of every kind, with names that attack wherever a stranger's may stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

import onnxdtd
from onnxdtd.audit import AuditReport, AuditSet
from onnxdtd.audit.finding import Finding
from onnxdtd.comparison import Cell, Comparison
from onnxdtd.comparison.clock import Timing
from onnxdtd.folder import write_folder
from onnxdtd.lessons import cluster, summarise
from tests.support.model_text import model
from tests.support.page import HOSTILE

MODEL = {"name": HOSTILE, "path": f"/tmp/{HOSTILE}", "sha256": HOSTILE, "opset": {"": 17, HOSTILE: 1}}
VERSIONS = {"onnxdtd": "1", HOSTILE: HOSTILE}
X = np.array([[1.0, 2.0]], np.float32)


def network() -> onnx.ModelProto:
    """(N, 2) -> (N, 2), two hostile classes."""
    proto = model("(float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }", w=np.eye(2, dtype=np.float32))
    onnx.helper.set_model_props(proto, {"onnxdtd.labels": json.dumps([HOSTILE, "b"])})
    return proto


def finding(name: str, value: float | None, **details: object) -> Finding:
    return Finding(name, value, 0.5, "above", f"{HOSTILE} {name}", details, name, HOSTILE)


def audit_report() -> AuditReport:
    layers = [
        {"node": HOSTILE, "op": HOSTILE, "rule": HOSTILE, "arrived": 1.0, "left": 0.5, "lost": {HOSTILE: 0.5}}
    ]
    roots = [
        {"node": HOSTILE, "rule": HOSTILE, "sampled": 8, "without_root": 0, "in_domain": 8, "in_region": None}
    ]
    findings = (
        finding("conservation", 1.0, layers=layers),
        finding("convergence", 0.2, random=[0.1, None], classes=[0.1, 0.2], layers=[HOSTILE, "input"]),
        finding("cascading_randomisation", 0.2, depths=[0, 1], cosine=[-0.1, 1.0], layers=[HOSTILE, "b"]),
        finding("roots_domain", 1.0, layers=roots),
        finding(HOSTILE, float("nan")),
        finding("rank", None),
    )
    return AuditReport(findings, MODEL, HOSTILE, (HOSTILE,), 1, False, {HOSTILE: 0.5}, (HOSTILE,), VERSIONS)


def run(folder: Path) -> None:
    onnxdtd.explain(network(), X).save(folder)


def results(folder: Path) -> None:
    def fill(unfinished: Path) -> dict[str, object]:
        onnxdtd.explain(network(), X).save(unfinished / "one")
        line = {"input": HOSTILE, "folder": "one", "label": HOSTILE, "target": HOSTILE, "logit": 2.0,
                "largest": HOSTILE, "fired": "rank"}  # fmt: skip
        return {"results": [line], "faults": [{"input": HOSTILE, "fault": HOSTILE}]}

    write_folder(folder, "onnxdtd.results/1", fill)


def audit(folder: Path) -> None:
    write_folder(folder, "onnxdtd.audit/1", lambda _: audit_report().document())


def audits(folder: Path) -> None:
    AuditSet({HOSTILE: audit_report(), "b": audit_report()}, {HOSTILE: HOSTILE}).save(folder)


def compare(folder: Path) -> None:
    cells = {
        (0, HOSTILE): Cell({HOSTILE: X[0]}, 1.0, 0.5, True, {HOSTILE: HOSTILE}, (HOSTILE,)),
        (0, "b"): Cell({HOSTILE: -X[0]}, 1.0, 0.5, False, {}, ()),
    }
    likeness = np.array([[1.0, np.nan], [np.nan, 1.0]])
    Comparison(
        (HOSTILE, "b"), (HOSTILE,), (2.0,), cells, ({"cosine": likeness, HOSTILE: likeness},), Timing(0.1, 3),
        {HOSTILE: Timing(0.2, 3), "b": Timing(0.2, 3)}, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}, HOSTILE, 0, HOSTILE,
        {HOSTILE: X[0]}, MODEL, VERSIONS, (HOSTILE, "second"),
    ).save(folder)  # fmt: skip


def pair(folder: Path) -> None:
    onnxdtd.compare_models(onnxdtd.Explainer(network()), onnxdtd.Explainer(network()), X).save(folder)


def evaluation(folder: Path) -> None:
    score, other = "pixel_flipping.mean.most_minus_least", f"{HOSTILE}.{HOSTILE}"
    means = {"mean": 1.0, "low": 0.5, "high": "nan", "count": 3}
    curve = {"x": [0.0, 1.0], "mean": [1.0, 0.0], "low": [0.9, "nan"], "high": [1.1, 0.1]}
    methods = [HOSTILE, "b", "random"]
    document = {
        "schema": "onnxdtd.evaluation/1", "files": ["evaluation.json"], "state": "done", "onnxdtd": HOSTILE,
        "model": HOSTILE, "output": HOSTILE, "data": {"count": 3, "sha256": HOSTILE}, "target": HOSTILE, "seed": 0,
        "settings": {HOSTILE: HOSTILE}, "methods": methods, "skipped": {HOSTILE: HOSTILE},
        "left_out": {HOSTILE: HOSTILE}, "notes": [HOSTILE], "sources": {HOSTILE: HOSTILE},
        "better": {score: "higher", other: "lower"}, "headlines": [score, other],
        "scores": {m: {score: means, other: means} for m in methods},
        "differences": {score: [{"a": HOSTILE, "b": "b", **means, "high": 0.7}]},
        "curves": {"pixel_flipping.mean.most": dict.fromkeys(methods, curve), other: {HOSTILE: curve}},
    }  # fmt: skip
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps(document))


def batch(folder: Path) -> None:
    rows = [(f"{HOSTILE}{i}", {"x": X * (i + 1)}, HOSTILE) for i in range(12)]
    rows.append(("broken", {"x": np.zeros((1, 3), np.float32)}, HOSTILE))
    onnxdtd.batch(network(), rows, folder, method="gradient_x_input", features=[HOSTILE, "second"])


def lesson(folder: Path) -> None:
    batch(folder.with_name("of_lesson"))
    summarise(folder.with_name("of_lesson")).draw(folder)


def clusters(folder: Path) -> None:
    batch(folder.with_name("of_clusters"))
    cluster(folder.with_name("of_clusters")).save(folder, pictures=False)


def concepts(folder: Path) -> None:
    entry = {"channel": 1, "share": 0.5, "relevance": 0.25, "positive": 1.0, "rows": 3}
    document = {
        "settings": {"layer": HOSTILE},
        "classes": {HOSTILE: [entry]},
        "references": {},
        "left_out": 2,
    }
    write_folder(folder, "onnxdtd.concepts/1", lambda _: document)


KINDS: dict[str, Callable[[Path], None]] = {
    "explanation": run, "results": results, "audit": audit, "audits": audits, "compare": compare, "pair": pair,
    "evaluation": evaluation, "batch": batch, "lesson": lesson, "clusters": clusters, "concepts": concepts,
}  # fmt: skip
