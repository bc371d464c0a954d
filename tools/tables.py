"""Write the tables of methods, rules, operators and speed from the registries and from measured figures.

python -m tools.tables            # rewrites README.md and the pages of docs/ that have such tables
python -m tools.tables --check    # exit 1 if they are not up to date
"""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path

from onnxdtd import METHODS, OPS, PASSES, RULES
from onnxdtd.cli.tables import AUTO
from tools.bench import batch_page, page
from tools.fuzz import page as fuzzed
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


def measured(name: str) -> str:
    """From docs/figures/bench.json, one run of tools/bench."""
    return table(*page.TABLES[name](page.read(FIGURES / "bench.json")))


def sets(name: str) -> str:
    """From docs/figures/batch.json, one run of tools/bench/batch."""
    return table(*batch_page.TABLES[name](FIGURES / "batch.json"))


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


def counted(name: str) -> str:
    """From docs/figures/fuzz.json or fuzz_graphs.json, what runs of tools/fuzz have counted."""
    name, written = {"attacks": ("fuzz", fuzzed.attacks), "graphs": ("fuzz_graphs", fuzzed.graphs)}[name]
    return written(json.loads((FIGURES / f"{name}.json").read_text("utf-8")), table)


# Which tables stand in which page, between `<!-- name -->` and `<!-- end -->`.
PAGES = {
    ROOT / "README.md": {"methods": methods, "rules": rules, "speed": partial(measured, "speed")},
    DOCS / "operators.md": {"ops": ops},
    DOCS / "tables.md": {"tables_check": tables_check},
    DOCS / "scale.md": {name: partial(sets, name) for name in batch_page.TABLES},
    DOCS / "security.md": {name: partial(counted, name) for name in ("attacks", "graphs")},
    DOCS / "performance.md": {name: partial(measured, name) for name in page.TABLES},
}


def filled(path: Path) -> str:
    """The page as it should be."""
    text = path.read_text("utf-8")
    for name, written in PAGES[path].items():
        body = written()
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text)
        if count != 1:
            raise SystemExit(f"{path.name} must have exactly one place for {name}")
    return text


if __name__ == "__main__":
    stale = {path: text for path in PAGES if (text := filled(path)) != path.read_text("utf-8")}
    if "--check" in sys.argv:
        raise SystemExit(bool(stale))
    for path, text in stale.items():
        path.write_text(text, "utf-8")
