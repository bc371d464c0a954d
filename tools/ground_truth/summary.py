"""The document and the tables that the scores give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxdtd.metrics.statistics import bootstrap
from tools.ground_truth.games import Scores

RESAMPLES = 10000
GAMES = ("grid", "stroke", "box")


def document(scores: Scores) -> dict[str, Any]:
    """Of one game on one network, for each candidate: the mean share and its 95 % interval, the rate of hits, and
    the paired difference from `auto`."""
    shares = np.stack([by["share"] for by in scores.values()], axis=1)
    apart = shares - scores["auto"]["share"][:, None]
    means, differences = (bootstrap(values, RESAMPLES, 0) for values in (shares, apart))
    return {
        name: {
            "share": mean.document(),
            "from_auto": difference.document(),
            **({"hit": float(by["hit"].mean())} if "hit" in by else {}),
        }
        for (name, by), mean, difference in zip(scores.items(), means, differences, strict=True)
    }


def table(results: Mapping[str, Any], game: str, names: Sequence[str]) -> str:
    """Markdown: a row a method, best mean first; a column a network, its share, and its interval in brackets."""
    networks = [network for network, by in results.items() if game in by]
    mean = {
        name: float(np.mean([results[n][game][name]["share"]["mean"] for n in networks]))
        for name in names
        if all(name in results[n][game] for n in networks)
    }
    lines = [["method", *networks, "mean"], ["---"] * (len(networks) + 2)]
    for name in sorted(mean, key=lambda name: -mean[name]):
        cells = [_cell(results[n][game][name]["share"]) for n in networks]
        lines.append([f"`{name}`" if name in names else name, *cells, f"{mean[name]:.2f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(share: Mapping[str, float]) -> str:
    return f"{share['mean']:.2f} [{share['low']:.2f}, {share['high']:.2f}]"
