"""onnx's own tests as a test of the explainer: one line per operator, and a total.

    python -m tools.conformance                  # a sample: every fourth case
    python -m tools.conformance --all            # all of them, a few minutes
    python -m tools.conformance --all --op Resize --verbose

Each case in which a float goes in and a float comes out (node tests, their expanded forms, and the networks and
operators converted from PyTorch) is explained: every site against onnxruntime, adjoints by dot products, the gradient
against central differences, relevance finite and accounted for. Exit code 1 if one fails, or if less than 95 % of
those that onnxruntime runs are explained (control flow, quantisation, random and sequences aside).
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import Counter

import numpy as np

from tools.conformance.cases import cases
from tools.conformance.examine import Result, examine

PROMISE = 0.95
VERDICTS = ("explained", "refused", "unrunnable", "failed")


def share(results: list[Result]) -> float:
    """The explained ones of those that the promise is about."""
    inside = [r for r in results if not r.outside and r.verdict != "unrunnable"]
    return sum(r.verdict == "explained" for r in inside) / max(len(inside), 1)


def lines(results: list[Result], verbose: bool) -> list[str]:
    ops = sorted({r.op for r in results})
    head = f"{'operator':<28}" + "".join(f"{v:>12}" for v in VERDICTS)
    found = [head]
    for op in ops:
        count = Counter(r.verdict for r in results if r.op == op)
        found.append(f"{op:<28}" + "".join(f"{count[v] or '':>12}" for v in VERDICTS))
        if verbose:
            told = [r for r in results if r.op == op and r.verdict != "explained"]
            found += [f"    {r.verdict:<11} {r.name}: {r.detail[:300]}" for r in told]
    total = Counter(r.verdict for r in results)
    found.append(f"{'total':<28}" + "".join(f"{total[v]:>12}" for v in VERDICTS))
    outside = Counter(r.outside for r in results if r.outside)
    found.append("outside the promise: " + ", ".join(f"{why} {n}" for why, n in sorted(outside.items())))
    found.append(f"explained, of the rest that onnxruntime runs: {share(results):.1%}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every case, not every fourth")
    parser.add_argument("--op", help="only the cases of one operator")
    parser.add_argument("--verbose", action="store_true", help="name each case that is not explained")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # onnx computes what its tests expect
        chosen = [case for case in cases() if asked.op in (None, case.op)]
    chosen = chosen if asked.all or asked.op else chosen[::4]
    results = [examine(case) for case in chosen]
    if asked.json:
        print(json.dumps({"share": share(results), "cases": [vars(r) for r in results]}, indent=1))
    else:
        print("\n".join(lines(results, asked.verbose)))
    return int(any(r.verdict == "failed" for r in results) or (not asked.op and share(results) < PROMISE))


if __name__ == "__main__":
    raise SystemExit(main())
