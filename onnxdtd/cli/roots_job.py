"""The work of `roots`, loaded when it runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.cli.job import ask
from onnxdtd.cli.text import page, screen, sections, table
from onnxdtd.errors import UsageError

HEAD = ("NEURON", "Z", "T", "RESIDUAL", "DISTANCE", "DOMAIN", "REGION")


def roots(
    model: Path,
    input: Path,
    target: str,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    which: Mapping[str, Any],
    *,
    as_json: bool,
) -> str:
    """Find the roots and tell of them: a table, or one JSON object."""
    asked = ask(model, input, [target], options, preprocess, image, partial(_known, which["scope"]))
    roots = onnxdtd.roots(asked.explainer, asked.x, target=asked.targets[0], **which)
    if as_json:
        return json.dumps(roots.document(), allow_nan=False)
    return words_of(roots)


def words_of(roots: onnxdtd.Roots) -> str:
    """A table, and what it comes to."""
    rows = [
        (
            ",".join(map(str, root.neuron)), *(f"{n:.4g}" for n in (root.z, root.t)), f"{root.residual:.1g}",
            f"{root.distance:.4g}", "inside" if root.in_domain else "outside", str(root.region),
        )
        for root in roots
    ]  # fmt: skip
    rows += [
        (",".join(map(str, neuron)), "", "", "", "", "", f"no root: {why}") for neuron, why in roots.without
    ]
    facts = [
        ("node", [f"{roots.node} ({roots.op}), {roots.rule}"]),
        ("neurons", [f"{roots.asked} looked at, of {roots.active} with relevance"]),
    ]
    if roots.asked:
        facts.append(("in domain", [_share(roots.in_domain)]))
        region = roots.in_region
        facts.append(
            ("in region", ["does not apply: not piecewise linear" if region is None else _share(region)])
        )
    if roots.opposed:
        facts.append(
            ("bias", [f"{roots.opposed} neurons with a bias of z's sign, for which the theory promises no root "
                      "in the domain"])
        )  # fmt: skip
    parts = [table(HEAD, rows, screen())] if rows else []
    return "\n\n".join([*parts, sections(facts, page())])


def _known(scope: str) -> None:
    if scope not in ("network", "layer"):
        raise UsageError(f"no scope '{scope}'; choose among network, layer")


def _share(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.0f} %"
