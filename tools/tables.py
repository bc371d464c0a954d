"""Write the README's tables of methods, rules, operators and speed from the registries and benchmark figures.

python tools/tables.py            # rewrites README.md
python tools/tables.py --check    # exit 1 if it is not up to date
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from onnxdtd import COMPOSED, METHODS, OPS, RULES

README = Path(__file__).parent.parent / "README.md"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def methods() -> str:
    found = {name: (m.doc, m.bias) for name, m in METHODS.items()}
    found |= {name: (m.doc, "") for name, m in COMPOSED.items()}
    rows = [(f"`{name}`", *facts) for name, facts in sorted(found.items())]
    return table(("method", "what it is", "bias"), [("`auto`", "`composite` or `dtd`, by depth", ""), *rows])


def rules() -> str:
    return table(("rule", "what it does"), [(f"`{r.name}`", r.doc) for _, r in sorted(RULES.items())])


def ops() -> str:
    families: dict[tuple[str, str], list[str]] = {}
    for (domain, name), entry in sorted(OPS.items()):
        families.setdefault((entry.kind, entry.family), []).append(f"{domain}.{name}" if domain else name)
    rows = [
        (kind, "" if family == kind else family, ", ".join(names))
        for (kind, family), names in families.items()
    ]
    order = ("linear", "route", "select", "elementwise", "barrier")
    return table(("kind", "family", "operators"), sorted(rows, key=lambda row: (order.index(row[0]), row)))


def speed() -> str:
    """From docs/figures/bench.json: medians and ratios of one run of tools/bench."""
    run = json.loads((README.parent / "docs" / "figures" / "bench.json").read_text())
    rows = []
    for case in run["cases"]:
        for result in case["results"]:
            if "median_s" not in result:
                continue
            who = result["contender"] + (f" ({result['method']})" if result["method"] else "")
            ratio = next(
                (r["of_median"] for r in case["ratios"] if r["ratio"] == f"{result['contender']} / zennit"),
                None,
            )
            peak = next((m for m in case["memory"] if f"onnxdtd {m['engine']}" == result["contender"]), None)
            rows.append(
                (
                    f"{case['network']}, {case['batch']}",
                    who,
                    f"{result['median_s']:.3f}",
                    "" if ratio is None else f"{ratio:.2f}",
                    ""
                    if peak is None
                    else f"{peak['peak_bytes'] / 2**20:.0f} ({peak['peak_over_bound']:.2f})",
                )
            )
    head = ("network, batch", "contender", "seconds (median)", "of zennit", "peak MiB (of bound)")
    return table(head, rows)


def filled(text: str) -> str:
    bodies = {"methods": methods(), "rules": rules(), "ops": ops(), "speed": speed()}
    for name, body in bodies.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text)
        if count != 1:
            raise SystemExit(f"README.md must have exactly one place for {name}")
    return text


if __name__ == "__main__":
    before = README.read_text()
    after = filled(before)
    if "--check" in sys.argv:
        raise SystemExit(before != after)
    README.write_text(after)
