"""Write the tables of methods, rules, operators and speed from the registries and from measured figures.

python -m tools.tables            # rewrites README.md and docs/operators.md
python -m tools.tables --check    # exit 1 if they are not up to date
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from onnxdtd import METHODS, OPS, PASSES, RULES
from onnxdtd.cli.tables import AUTO
from tools.paths import DOCS, FIGURES, ROOT


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def methods() -> str:
    found = {name: (m.doc, m.bias) for name, m in METHODS.items()}
    found |= {name: (m.doc, "") for name, m in PASSES.items()}
    rows = [(f"`{name}`", *facts) for name, facts in sorted(found.items())]
    return table(
        ("method", "what it is", "bias"),
        [("`auto`", AUTO, ""), *rows],
    )


def rules() -> str:
    return table(("rule", "what it does"), [(f"`{r.name}`", r.doc) for _, r in sorted(RULES.items())])


def ops() -> str:
    groups: dict[tuple[str, str], list[str]] = {}
    for (domain, name), entry in sorted(OPS.items()):
        more = entry.doc if entry.site is None else "" if entry.family == entry.kind else entry.family
        groups.setdefault((entry.kind, more), []).append(f"{domain}.{name}" if domain else name)
    order = (
        "linear", "route", "select", "elementwise", "gate", "norm", "recurrent", "loop", "expanded", "barrier",
        "refuse",
    )  # fmt: skip
    rows = sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0]))
    head = ("verdict", "family, or reason", "operators")
    return table(head, [(kind, more, ", ".join(names)) for (kind, more), names in rows])


def speed() -> str:
    """From docs/figures/bench.json: ratios of medians, and of peak memory, in one run of tools/bench."""
    run = json.loads((FIGURES / "bench.json").read_text())
    rows = []
    for case in run["cases"]:
        found = {(r["ratio"], r["method"]): f"{r['of_median']:.2f}" for r in case.get("ratios", ())}
        peaks = {
            (m["engine"], m["method"]): m["peak_bytes"] for m in case.get("memory", ()) if "peak_bytes" in m
        }
        plain = peaks.get(("forward", ""))
        for method in dict.fromkeys(method for _, method in found):
            other = "torch gradient" if method == "gradient" else "zennit"
            pairs = (("numpy", other), ("onnx", other), ("onnx", "onnxruntime forward"))
            cells = [found.get((f"onnxdtd {ours} / {theirs}", method), "") for ours, theirs in pairs]
            memory = f"{peaks['onnx', method] / plain:.2f}" if plain and ("onnx", method) in peaks else ""
            beside = " (beside torch autograd)" if method == "gradient" else ""
            rows.append((f"{case['network']}, {case['batch']}", f"`{method}`{beside}", *cells, memory))
    head = (
        "network, batch", "method", "numpy engine / zennit", "onnx engine / zennit",
        "onnx engine / onnxruntime forward", "peak memory, onnx engine / forward",
    )  # fmt: skip
    return table(head, rows)


def tables_check() -> str:
    """From docs/figures/tables_check.json: the largest differences, in one run of tools/tables_check."""
    rows = []
    for result in json.loads((FIGURES / "tables_check.json").read_text()):
        told = [f"{result[key]:.0e}" if key in result else "" for key in ("margin", "reference")]
        times = [f"{result[key]:.2f} s" if key in result else "" for key in ("seconds", "reference_seconds")]
        method = f"`{result['method']}`" if "method" in result else f"refused: {result['refused']}"
        rows.append((result["model"], method, *told, *times))
    head = ("model", "method", "off the margin", "off shap or coefficients", "time", "shap's time")
    return table(head, rows)


# Which tables stand in which page, between `<!-- name -->` and `<!-- end -->`.
PAGES = {
    ROOT / "README.md": {"methods": methods, "rules": rules, "speed": speed},
    DOCS / "operators.md": {"ops": ops},
    DOCS / "tables.md": {"tables_check": tables_check},
}


def filled(page: Path) -> str:
    """The page as it should be."""
    text = page.read_text("utf-8")
    for name, written in PAGES[page].items():
        body = written()
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text)
        if count != 1:
            raise SystemExit(f"{page.name} must have exactly one place for {name}")
    return text


if __name__ == "__main__":
    stale = {page: text for page in PAGES if (text := filled(page)) != page.read_text("utf-8")}
    if "--check" in sys.argv:
        raise SystemExit(bool(stale))
    for page, text in stale.items():
        page.write_text(text, "utf-8")
