"""docs/methods.md: which method is best, by which score? With its figures, their JSON and the tables in docs/figures.

    pip install -e ".[compare]"
    python -m tools.methods_page --work FOLDER       # half an hour on two cores; stopped, it goes on where it was
    python -m tools.methods_page --words             # the page anew from docs/figures/methods.json: a second

Evaluates all native methods on 200 held-out digits (the shipped CNN) and on 24 views of photographs that
scikit-image ships (EfficientNet-Lite0), and compares them, with LIME and KernelSHAP, on ten digits and on the cat.
The work folder holds every evaluation and comparison whole; seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.folder import plain
from tools.methods_page import data, figures, measure, rows, summary, words
from tools.methods_page.claims import claims
from tools.paths import DOCS, FIGURES

TOLD = FIGURES / "methods.json"
EACH = 20
CAT = "chelsea.png, whole"
ESPRESSO = 967


def measured(work: Path) -> dict[str, Any]:
    """Everything measured; the figures that need more than what the JSON keeps are drawn on the way."""
    digits, photos = data.digits(EACH), data.photographs()
    evaluated = {
        name: measure.evaluated(name, x, work) for name, x in (("digits", digits), ("photos", photos))
    }
    firsts = range(0, len(digits.x), EACH)
    folders = [work / f"digit_{k // EACH}" for k in firsts]
    ten = [measure.compared(digits, k, folder) for k, folder in zip(firsts, folders, strict=True)]
    cat = measure.compared(photos, photos.names.index(CAT), work / "cat", (None, ESPRESSO))
    maps = [measure.maps(folder) for folder in folders]
    figures.save(figures.digits([digits.x[k, 0] for k in firsts], maps), TOLD.with_name("methods_digits.png"))
    curves = evaluated["digits"][0].figure(summary.CURVES)
    assert curves is not None
    figures.save(curves, TOLD.with_name("methods_curves.png"))
    return {
        "onnxdtd": onnxdtd.__version__,
        "digits": summary.study("digits", digits, *evaluated["digits"]),
        "photos": summary.study("photos", photos, *evaluated["photos"]),
        "chance": summary.chance(photos, measure.chance(photos, work), 2000),
        "alike": {"digits": summary.likeness(ten), "cat": summary.likeness([cat])},
        "cat": {"input": CAT, **summary.picture(cat, [measure.maps(work / "cat", k) for k in (0, 1)])},
    }


def rounded(value: Any) -> Any:
    """Six digits of every number."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def drawn(told: dict[str, Any]) -> None:
    """The figures of the JSON alone."""
    alike = told["alike"]
    panels = {"ten digits, mean": alike["digits"], f"the cat, {told['cat']['targets'][0]}": alike["cat"]}
    titles = {"digits": "digits", "photos": "views of photographs"}
    studies = {f"{told[name]['inputs']} {title}": told[name] for name, title in titles.items()}
    drawings = {"alike": figures.likeness(panels, "cosine"), "places": figures.places(studies)}
    drawings |= {f"scores_{name}": figures.scores(told[name]) for name in titles}
    for name, figure in drawings.items():
        figures.save(figure, TOLD.with_name(f"methods_{name}.png"))


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--work", type=Path, help="of the evaluations and comparisons, outside the repository")
    one.add_argument("--words", action="store_true", help="nothing is measured")
    arguments = parser.parse_args()
    if arguments.work:
        parts = (
            f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rounded(plain(measured(arguments.work))).items()
        )
        TOLD.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")
    told = json.loads(TOLD.read_text("utf-8"))
    drawn(told)
    (DOCS / "methods.md").write_text(words.page(told), "utf-8")
    TOLD.with_suffix(".md").write_text(rows.tables(told), "utf-8")
    for claim, holds in claims(told):
        if not holds:
            print(f"no longer true, rewrite words.py: {claim}", file=sys.stderr)


if __name__ == "__main__":
    main()
